#include "pneumo/kernels/depthwise.h"

#include <string.h>

/* One multiplication of the convolution: indices into x, kernel and y. */
typedef void (*depthwise_visit)(void *context, size_t x, size_t kernel, size_t y);

/* Visits every pair of an input and an output element that a kernel element connects. */
static void depthwise_visit_all(const pd_window *window, int samples, depthwise_visit visit,
                                void *context)
{
    const pd_window w = *window;
    for (int n = 0; n < samples; n++) {
        for (int oy = 0; oy < w.out_h; oy++) {
            for (int ox = 0; ox < w.out_w; ox++) {
                for (int ky = 0; ky < w.kernel_h; ky++) {
                    for (int kx = 0; kx < w.kernel_w; kx++) {
                        int iy = oy * w.stride - w.pad_top + ky;
                        int ix = ox * w.stride - w.pad_left + kx;
                        if (iy < 0 || iy >= w.h || ix < 0 || ix >= w.w)
                            continue;
                        size_t x = (((size_t)n * w.h + iy) * w.w + ix) * w.c;
                        size_t kernel = ((size_t)ky * w.kernel_w + kx) * w.c;
                        size_t y = (((size_t)n * w.out_h + oy) * w.out_w + ox) * w.c;
                        for (int j = 0; j < w.c; j++)
                            visit(context, x + j, kernel + j, y + j);
                    }
                }
            }
        }
    }
}

typedef struct depthwise_arrays {
    bool relu;
    const float *x, *left, *right;
    float *out;
} depthwise_arrays;

static bool passes(const depthwise_arrays *arrays, size_t x)
{
    return !arrays->relu || !(arrays->x[x] <= 0);
}

static void visit_forward(void *context, size_t x, size_t kernel, size_t y)
{
    depthwise_arrays *arrays = context;
    if (passes(arrays, x))
        arrays->out[y] += arrays->x[x] * arrays->right[kernel];
}

static void visit_input(void *context, size_t x, size_t kernel, size_t y)
{
    depthwise_arrays *arrays = context;
    if (passes(arrays, x))
        arrays->out[x] += arrays->left[y] * arrays->right[kernel];
}

static void visit_kernel(void *context, size_t x, size_t kernel, size_t y)
{
    depthwise_arrays *arrays = context;
    if (passes(arrays, x))
        arrays->out[kernel] += arrays->x[x] * arrays->right[y];
}

void pd_depthwise_reference_forward(const pd_window *window, int samples, bool relu, const float *x,
                                    const float *kernel, float *y)
{
    const pd_window w = *window;
    depthwise_arrays arrays = {.relu = relu, .x = x, .right = kernel, .out = y};
    memset(y, 0, (size_t)samples * w.out_h * w.out_w * w.c * sizeof *y);
    depthwise_visit_all(window, samples, visit_forward, &arrays);
}

void pd_depthwise_reference_backward_input(const pd_window *window, int samples, bool relu,
                                           const float *x, const float *dy, const float *kernel,
                                           float *dx)
{
    const pd_window w = *window;
    depthwise_arrays arrays = {.relu = relu, .x = x, .left = dy, .right = kernel, .out = dx};
    memset(dx, 0, (size_t)samples * w.h * w.w * w.c * sizeof *dx);
    depthwise_visit_all(window, samples, visit_input, &arrays);
}

void pd_depthwise_reference_backward_kernel(const pd_window *window, int lanes, int lane_samples,
                                            bool relu, const float *x, const float *dy,
                                            float *dkernel, size_t stride)
{
    const pd_window w = *window;
    size_t x_lane = (size_t)lane_samples * w.h * w.w * w.c;
    size_t dy_lane = (size_t)lane_samples * w.out_h * w.out_w * w.c;
    for (int lane = 0; lane < lanes; lane++) {
        depthwise_arrays arrays = {.relu = relu,
                                   .x = x + lane * x_lane,
                                   .right = dy + lane * dy_lane,
                                   .out = dkernel + lane * stride};
        memset(arrays.out, 0, (size_t)w.kernel_h * w.kernel_w * w.c * sizeof *dkernel);
        depthwise_visit_all(window, lane_samples, visit_kernel, &arrays);
    }
}
