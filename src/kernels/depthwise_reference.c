#include "depthwise_reference.h"

#include "window_internal.h"

#include <string.h>

typedef struct depthwise_arrays {
    size_t c;
    bool relu;
    const float *x, *left, *right;
    float *out;
} depthwise_arrays;

/* Whether the ReLU, if there is one, passes element x. NaN passes. */
static bool passes(const depthwise_arrays *arrays, size_t x)
{
    return !arrays->relu || !(arrays->x[x] <= 0);
}

static void visit_forward(void *context, size_t x, size_t tap, size_t y)
{
    const depthwise_arrays *arrays = context;
    const size_t c = arrays->c;
    for (size_t j = 0; j < c; j++) {
        if (passes(arrays, x * c + j))
            arrays->out[y * c + j] += arrays->x[x * c + j] * arrays->right[tap * c + j];
    }
}

static void visit_input(void *context, size_t x, size_t tap, size_t y)
{
    const depthwise_arrays *arrays = context;
    const size_t c = arrays->c;
    for (size_t j = 0; j < c; j++) {
        if (passes(arrays, x * c + j))
            arrays->out[x * c + j] += arrays->left[y * c + j] * arrays->right[tap * c + j];
    }
}

static void visit_kernel(void *context, size_t x, size_t tap, size_t y)
{
    const depthwise_arrays *arrays = context;
    const size_t c = arrays->c;
    for (size_t j = 0; j < c; j++) {
        if (passes(arrays, x * c + j))
            arrays->out[tap * c + j] += arrays->x[x * c + j] * arrays->right[y * c + j];
    }
}

static int sample_count(const pd_depthwise_shape *shape)
{
    return shape->lanes * shape->lane_samples;
}

void pd_depthwise_reference_forward(const pd_depthwise_shape *shape, const float *x,
                                    const float *kernel, float *y)
{
    const pd_window w = shape->window;
    depthwise_arrays arrays = {
        .c = (size_t)w.c, .relu = shape->relu, .x = x, .right = kernel, .out = y};
    memset(y, 0, (size_t)sample_count(shape) * w.out_h * w.out_w * w.c * sizeof *y);
    pd_window_visit_all(&w, sample_count(shape), visit_forward, &arrays);
}

void pd_depthwise_reference_backward_input(const pd_depthwise_shape *shape, const float *x,
                                           const float *dy, const float *kernel, float *dx)
{
    const pd_window w = shape->window;
    depthwise_arrays arrays = {
        .c = (size_t)w.c, .relu = shape->relu, .x = x, .left = dy, .right = kernel, .out = dx};
    memset(dx, 0, (size_t)sample_count(shape) * w.h * w.w * w.c * sizeof *dx);
    pd_window_visit_all(&w, sample_count(shape), visit_input, &arrays);
}

void pd_depthwise_reference_backward_kernel(const pd_depthwise_shape *shape, const float *x,
                                            const float *dy, float *dkernel, size_t stride)
{
    const pd_window w = shape->window;
    size_t x_lane = (size_t)shape->lane_samples * w.h * w.w * w.c;
    size_t dy_lane = (size_t)shape->lane_samples * w.out_h * w.out_w * w.c;
    for (int lane = 0; lane < shape->lanes; lane++) {
        depthwise_arrays arrays = {.c = (size_t)w.c,
                                   .relu = shape->relu,
                                   .x = x + lane * x_lane,
                                   .right = dy + lane * dy_lane,
                                   .out = dkernel + lane * stride};
        memset(arrays.out, 0, (size_t)w.kernel_h * w.kernel_w * w.c * sizeof *dkernel);
        pd_window_visit_all(&w, shape->lane_samples, visit_kernel, &arrays);
    }
}
