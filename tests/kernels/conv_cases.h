/* What the tests of all convolutions have in common: cases, their arrays, and the promise of the
 * same bits. The method is an argument. Include cmocka.h first. */
#ifndef PNEUMO_TESTS_KERNELS_CONV_CASES_H
#define PNEUMO_TESTS_KERNELS_CONV_CASES_H

#include "kernels/arrays.h"
#include "pneumo/kernels/conv_method.h"

#include <stdbool.h>

typedef struct conv_case {
    int h, w, c, kernel_h, kernel_w, stride;
    bool same;
    int k, lanes, lane_samples;
} conv_case;

static inline pd_conv_shape case_shape(const conv_case *at, int lanes, int lane_samples,
                                       int threads)
{
    pd_window window =
        pd_window_make(at->h, at->w, at->c, at->kernel_h, at->kernel_w, at->stride, at->same);
    return (pd_conv_shape){window, at->k, lanes, lane_samples, threads, PD_FLOAT32};
}

/* All arrays of a case. A lane's gradient is that of the kernel, that of the bias, and a gap. */
typedef struct conv_data {
    const pd_conv_method *method;
    const conv_case *at;
    pd_conv_shape shape;
    int samples;
    size_t x_count, y_count, kernel_count, lane_stride;
    float *x, *kernel, *bias, *dy;
} conv_data;

/* Numbers in [-spread, spread). Release with free_data. */
static inline conv_data make_data(const pd_conv_method *method, const conv_case *at, float spread)
{
    conv_data data = {.method = method,
                      .at = at,
                      .shape = case_shape(at, at->lanes, at->lane_samples, 2),
                      .samples = at->lanes * at->lane_samples};
    const pd_window *window = &data.shape.window;
    assert_true(window->out_h > 0 && window->out_w > 0);
    data.x_count = (size_t)data.samples * at->h * at->w * at->c;
    data.y_count = (size_t)data.samples * window->out_h * window->out_w * at->k;
    data.kernel_count = (size_t)at->kernel_h * at->kernel_w * at->c * at->k;
    data.lane_stride = data.kernel_count + at->k + 5;
    data.x = make_array(data.x_count, 1, spread);
    data.kernel = make_array(data.kernel_count, 2, spread);
    data.bias = make_array(at->k, 3, spread);
    data.dy = make_array(data.y_count, 4, spread);
    return data;
}

static inline void free_data(conv_data *data)
{
    free(data->x);
    free(data->kernel);
    free(data->bias);
    free(data->dy);
}

/* The output of `samples` samples at x. The caller frees it. */
static inline float *run_forward(const conv_data *data, const float *x, int samples, bool bias,
                                 bool relu, int threads)
{
    const pd_conv_method *method = data->method;
    float *y = make_result(data->y_count / data->samples * samples);
    pd_conv_shape shape = case_shape(data->at, 1, samples, threads);
    float *prepared = make_result(method->prepared_size(&shape));
    float *workspace = make_result(method->forward_workspace(&shape));
    method->prepare(&shape, data->kernel, prepared);
    method->forward(&shape, x, prepared, bias ? data->bias : NULL, relu, y, workspace);
    free(prepared);
    free(workspace);
    return y;
}

/* The gradient of the input of `samples` samples. The caller frees it. */
static inline float *run_input(const conv_data *data, const float *dy, int samples,
                               const float *mask, int threads)
{
    float *dx = make_result(data->x_count / data->samples * samples);
    pd_conv_shape shape = case_shape(data->at, 1, samples, threads);
    float *workspace = make_result(data->method->backward_input_workspace(&shape));
    data->method->backward_input(&shape, dy, data->kernel, mask, dx, workspace);
    free(workspace);
    return dx;
}

/* The gradients of lanes first .. first + lanes - 1. The caller frees them. */
static inline float *run_kernel(const conv_data *data, int first, int lanes, bool bias, int threads)
{
    const conv_case *at = data->at;
    float *gradient = make_result(lanes * data->lane_stride);
    pd_conv_shape shape = case_shape(at, lanes, at->lane_samples, threads);
    float *workspace = make_result(data->method->backward_kernel_workspace(&shape));
    data->method->backward_kernel(&shape, data->x + data->x_count / at->lanes * first,
                                  data->dy + data->y_count / at->lanes * first, gradient,
                                  bias ? gradient + data->kernel_count : NULL, data->lane_stride,
                                  workspace);
    free(workspace);
    return gradient;
}

/* 2 and 3 threads give the bits of 1. */
static inline void assert_threads_change_nothing(const conv_data *data)
{
    float *y = run_forward(data, data->x, data->samples, true, true, 1);
    float *dx = run_input(data, data->dy, data->samples, NULL, 1);
    float *gradient = run_kernel(data, 0, data->at->lanes, true, 1);
    for (int threads = 2; threads <= 3; threads++) {
        float *other = run_forward(data, data->x, data->samples, true, true, threads);
        assert_memory_equal(other, y, data->y_count * sizeof *y);
        free(other);
        other = run_input(data, data->dy, data->samples, NULL, threads);
        assert_memory_equal(other, dx, data->x_count * sizeof *dx);
        free(other);
        other = run_kernel(data, 0, data->at->lanes, true, threads);
        assert_memory_equal(other, gradient,
                            data->at->lanes * data->lane_stride * sizeof *gradient);
        free(other);
    }
    free(y);
    free(dx);
    free(gradient);
}

/* A sample alone, and a lane alone, have the bits that they have among the others. */
static inline void assert_others_change_nothing(const conv_data *data)
{
    const conv_case *at = data->at;
    size_t x_sample = data->x_count / data->samples, y_sample = data->y_count / data->samples;
    float *y = run_forward(data, data->x, data->samples, true, true, 2);
    float *dx = run_input(data, data->dy, data->samples, NULL, 2);
    for (int n = 0; n < data->samples; n++) {
        float *alone = run_forward(data, data->x + n * x_sample, 1, true, true, 1);
        assert_memory_equal(alone, y + n * y_sample, y_sample * sizeof *y);
        free(alone);
        alone = run_input(data, data->dy + n * y_sample, 1, NULL, 1);
        assert_memory_equal(alone, dx + n * x_sample, x_sample * sizeof *dx);
        free(alone);
    }
    float *gradient = run_kernel(data, 0, at->lanes, true, 2);
    for (int lane = 0; lane < at->lanes; lane++) {
        for (int threads = 1; threads <= 3; threads++) {
            float *alone = run_kernel(data, lane, 1, true, threads);
            assert_memory_equal(alone, gradient + lane * data->lane_stride,
                                (data->kernel_count + at->k) * sizeof *gradient);
            free(alone);
        }
    }
    free(y);
    free(dx);
    free(gradient);
}

/* More samples need at least as much workspace, so that a plan for a batch serves a smaller one. */
static inline void assert_workspaces_grow(const pd_conv_method *method, const conv_case *at,
                                          int samples)
{
    for (int threads = 1; threads <= 3; threads++) {
        for (int n = 1; n < samples; n++) {
            pd_conv_shape fewer = case_shape(at, 1, n, threads);
            pd_conv_shape more = case_shape(at, 1, n + 1, threads);
            assert_true(method->forward_workspace(&fewer) <= method->forward_workspace(&more));
            assert_true(method->backward_input_workspace(&fewer) <=
                        method->backward_input_workspace(&more));
            assert_true(method->backward_kernel_workspace(&fewer) <=
                        method->backward_kernel_workspace(&more));
        }
    }
}

/* A NaN in the image reaches the output, through a ReLU, too. `at` has one pixel. */
static inline void assert_nan_is_not_hidden(const pd_conv_method *method, const conv_case *at)
{
    conv_data data = make_data(method, at, 1);
    data.x[0] = NAN;
    float *y = run_forward(&data, data.x, 1, false, true, 1);
    assert_true(isnan(y[0]));
    free(y);
    free_data(&data);
}

#endif
