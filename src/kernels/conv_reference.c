#include "pneumo/kernels/conv.h"

#include <string.h>

/* One multiplication of the convolution: indices into x, kernel and y. */
typedef void (*conv_visit)(void *context, size_t x, size_t kernel, size_t y);

/* Visits every pair of an input and an output element that a kernel element connects. */
static void conv_visit_all(const pd_window *window, int samples, int k, conv_visit visit,
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
                        for (int ic = 0; ic < w.c; ic++) {
                            size_t at_x = (((size_t)n * w.h + iy) * w.w + ix) * w.c + ic;
                            size_t at_kernel = (((size_t)ky * w.kernel_w + kx) * w.c + ic) * k;
                            size_t at_y = (((size_t)n * w.out_h + oy) * w.out_w + ox) * k;
                            for (int ik = 0; ik < k; ik++)
                                visit(context, at_x, at_kernel + ik, at_y + ik);
                        }
                    }
                }
            }
        }
    }
}

typedef struct conv_arrays {
    const float *left, *right;
    float *out;
} conv_arrays;

static void conv_visit_forward(void *context, size_t x, size_t kernel, size_t y)
{
    conv_arrays *arrays = context;
    arrays->out[y] += arrays->left[x] * arrays->right[kernel];
}

static void conv_visit_input(void *context, size_t x, size_t kernel, size_t y)
{
    conv_arrays *arrays = context;
    arrays->out[x] += arrays->left[y] * arrays->right[kernel];
}

static void conv_visit_kernel(void *context, size_t x, size_t kernel, size_t y)
{
    conv_arrays *arrays = context;
    arrays->out[kernel] += arrays->left[x] * arrays->right[y];
}

void pd_conv_reference_forward(const pd_window *window, int samples, int k, const float *x,
                               const float *kernel, const float *bias, bool relu, float *y)
{
    size_t count = (size_t)samples * window->out_h * window->out_w * k;
    memset(y, 0, count * sizeof *y);
    conv_arrays arrays = {.left = x, .right = kernel, .out = y};
    conv_visit_all(window, samples, k, conv_visit_forward, &arrays);
    for (size_t i = 0; i < count; i++) {
        if (bias)
            y[i] += bias[i % k];
        if (relu && y[i] < 0)
            y[i] = 0;
    }
}

void pd_conv_reference_backward_input(const pd_window *window, int samples, int k, const float *dy,
                                      const float *kernel, float *dx)
{
    memset(dx, 0, (size_t)samples * window->h * window->w * window->c * sizeof *dx);
    conv_arrays arrays = {.left = dy, .right = kernel, .out = dx};
    conv_visit_all(window, samples, k, conv_visit_input, &arrays);
}

void pd_conv_reference_backward_kernel(const pd_window *window, int lanes, int lane_samples, int k,
                                       const float *x, const float *dy, float *dkernel,
                                       float *dbias, size_t stride)
{
    size_t x_count = (size_t)lane_samples * window->h * window->w * window->c;
    size_t dy_count = (size_t)lane_samples * window->out_h * window->out_w * k;
    size_t kernel_count = (size_t)window->kernel_h * window->kernel_w * window->c * k;
    for (int lane = 0; lane < lanes; lane++) {
        float *lane_dkernel = dkernel + lane * stride;
        const float *lane_dy = dy + lane * dy_count;
        memset(lane_dkernel, 0, kernel_count * sizeof *dkernel);
        conv_arrays arrays = {.left = x + lane * x_count, .right = lane_dy, .out = lane_dkernel};
        conv_visit_all(window, lane_samples, k, conv_visit_kernel, &arrays);
        if (!dbias)
            continue;
        memset(dbias + lane * stride, 0, (size_t)k * sizeof *dbias);
        for (size_t i = 0; i < dy_count; i++)
            dbias[lane * stride + i % k] += lane_dy[i];
    }
}
