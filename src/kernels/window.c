#include "pneumo/kernels/window.h"

#include "window_internal.h"

/* Positions along one axis, and the padding before its first element. */
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

/* The taps of output (oy, ox) of sample n. */
static void window_visit_output(const pd_window *window, int n, int oy, int ox,
                                pd_window_visit visit, void *context)
{
    const pd_window w = *window;
    size_t out = ((size_t)n * w.out_h + oy) * w.out_w + ox;
    for (int ky = 0; ky < w.kernel_h; ky++) {
        for (int kx = 0; kx < w.kernel_w; kx++) {
            int iy = oy * w.stride - w.pad_top + ky;
            int ix = ox * w.stride - w.pad_left + kx;
            if (iy >= 0 && iy < w.h && ix >= 0 && ix < w.w)
                visit(context, ((size_t)n * w.h + iy) * w.w + ix, (size_t)ky * w.kernel_w + kx,
                      out);
        }
    }
}

void pd_window_visit_all(const pd_window *window, int samples, pd_window_visit visit, void *context)
{
    for (int n = 0; n < samples; n++) {
        for (int oy = 0; oy < window->out_h; oy++) {
            for (int ox = 0; ox < window->out_w; ox++)
                window_visit_output(window, n, oy, ox, visit, context);
        }
    }
}
