#include "conv_reference.h"

#include "window_internal.h"

#include <string.h>

/* One product: out = left * right, which of them depends on the direction. */
typedef struct conv_arrays {
    size_t c, k;
    const float *left, *right;
    float *out;
} conv_arrays;

static void conv_visit_forward(void *context, size_t x, size_t tap, size_t y)
{
    const conv_arrays *arrays = context;
    const size_t c = arrays->c, k = arrays->k;
    for (size_t i = 0; i < c; i++) {
        for (size_t j = 0; j < k; j++)
            arrays->out[y * k + j] +=
                arrays->left[x * c + i] * arrays->right[(tap * c + i) * k + j];
    }
}

static void conv_visit_input(void *context, size_t x, size_t tap, size_t y)
{
    const conv_arrays *arrays = context;
    const size_t c = arrays->c, k = arrays->k;
    for (size_t i = 0; i < c; i++) {
        for (size_t j = 0; j < k; j++)
            arrays->out[x * c + i] +=
                arrays->left[y * k + j] * arrays->right[(tap * c + i) * k + j];
    }
}

static void conv_visit_kernel(void *context, size_t x, size_t tap, size_t y)
{
    const conv_arrays *arrays = context;
    const size_t c = arrays->c, k = arrays->k;
    for (size_t i = 0; i < c; i++) {
        for (size_t j = 0; j < k; j++)
            arrays->out[(tap * c + i) * k + j] +=
                arrays->left[x * c + i] * arrays->right[y * k + j];
    }
}

static conv_arrays conv_arrays_make(const pd_conv_shape *shape, const float *left,
                                    const float *right, float *out)
{
    return (conv_arrays){(size_t)shape->window.c, (size_t)shape->k, left, right, out};
}

void pd_conv_reference_forward(const pd_conv_shape *shape, const float *x, const float *kernel,
                               const float *bias, bool relu, float *y)
{
    const pd_window *window = &shape->window;
    size_t k = (size_t)shape->k;
    size_t count = (size_t)pd_conv_samples(shape) * window->out_h * window->out_w * k;
    memset(y, 0, count * sizeof *y);
    conv_arrays arrays = conv_arrays_make(shape, x, kernel, y);
    pd_window_visit_all(window, pd_conv_samples(shape), conv_visit_forward, &arrays);
    for (size_t i = 0; i < count; i++) {
        if (bias != NULL)
            y[i] += bias[i % k];
        if (relu && y[i] < 0)
            y[i] = 0;
    }
}

void pd_conv_reference_backward_input(const pd_conv_shape *shape, const float *dy,
                                      const float *kernel, float *dx)
{
    const pd_window *window = &shape->window;
    int samples = pd_conv_samples(shape);
    memset(dx, 0, (size_t)samples * window->h * window->w * window->c * sizeof *dx);
    conv_arrays arrays = conv_arrays_make(shape, dy, kernel, dx);
    pd_window_visit_all(window, samples, conv_visit_input, &arrays);
}

void pd_conv_reference_backward_kernel(const pd_conv_shape *shape, const float *x, const float *dy,
                                       float *dkernel, float *dbias, size_t stride)
{
    const pd_window *window = &shape->window;
    size_t k = (size_t)shape->k;
    size_t x_count = (size_t)shape->lane_samples * window->h * window->w * window->c;
    size_t dy_count = (size_t)shape->lane_samples * window->out_h * window->out_w * k;
    size_t kernel_count = (size_t)window->kernel_h * window->kernel_w * window->c * k;
    for (int lane = 0; lane < shape->lanes; lane++) {
        float *lane_dkernel = dkernel + lane * stride;
        const float *lane_dy = dy + lane * dy_count;
        memset(lane_dkernel, 0, kernel_count * sizeof *dkernel);
        conv_arrays arrays = conv_arrays_make(shape, x + lane * x_count, lane_dy, lane_dkernel);
        pd_window_visit_all(window, shape->lane_samples, conv_visit_kernel, &arrays);
        if (dbias == NULL)
            continue;
        memset(dbias + lane * stride, 0, k * sizeof *dbias);
        for (size_t i = 0; i < dy_count; i++)
            dbias[lane * stride + i % k] += lane_dy[i];
    }
}
