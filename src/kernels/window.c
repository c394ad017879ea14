#include "pneumo/kernels/window.h"

/* Places along one axis, and the padding before its first element. */
static void window_axis(int size, int kernel, int stride, bool same, int *out, int *pad)
{
    if (same) {
        *out = (size + stride - 1) / stride;
        int total = (*out - 1) * stride + kernel - size;
        *pad = total > 0 ? total / 2 : 0;
    } else {
        *out = size >= kernel ? (size - kernel) / stride + 1 : 0;
        *pad = 0;
    }
}

pd_window pd_window_make(int h, int w, int c, int kernel_h, int kernel_w, int stride, bool same)
{
    pd_window window = {
        .h = h, .w = w, .c = c, .kernel_h = kernel_h, .kernel_w = kernel_w, .stride = stride};
    window_axis(h, kernel_h, stride, same, &window.out_h, &window.pad_top);
    window_axis(w, kernel_w, stride, same, &window.out_w, &window.pad_left);
    return window;
}
