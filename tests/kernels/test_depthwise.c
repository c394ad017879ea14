/* Depthwise convolution: the fast functions against the references, the references against a known
 * result and finite differences, and the same bits for any number of threads, samples and lanes. */
#include "kernels/depthwise_reference.h"
#include "pneumo/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/arrays.h"

typedef struct depthwise_case {
    int h, w, c, kernel_h, kernel_w, stride;
    bool same;
    int lanes, lane_samples;
} depthwise_case;

/* One-pixel images, odd sizes, every stride and padding, channel counts around a vector's width. */
static const depthwise_case cases[] = {
    {1, 1, 1, 3, 3, 1, true, 1, 1},    {1, 1, 24, 3, 3, 1, true, 2, 2},
    {7, 7, 33, 3, 3, 1, true, 2, 2},   {4, 4, 16, 3, 3, 1, true, 3, 1},
    {5, 9, 3, 3, 3, 1, false, 2, 2},   {9, 5, 40, 5, 3, 1, true, 2, 1},
    {8, 11, 24, 5, 3, 2, true, 2, 2},  {8, 11, 17, 3, 3, 2, true, 2, 1},
    {13, 10, 1, 3, 3, 3, true, 2, 3},  {14, 14, 88, 3, 3, 1, true, 2, 2},
    {6, 6, 33, 1, 1, 1, true, 2, 2},   {2, 2, 3, 5, 5, 1, true, 1, 2},
    {3, 17, 20, 3, 2, 2, true, 1, 1},  {2, 6, 15, 3, 3, 1, true, 2, 1},
    {19, 18, 48, 3, 3, 1, true, 3, 2}, {6, 8, 32, 3, 3, 1, false, 1, 3},
    {6, 3, 32, 3, 3, 1, true, 1, 3},   {9, 9, 31, 7, 7, 1, true, 1, 2},
};
enum { CASES = sizeof cases / sizeof *cases };

/* All arrays of a case. A lane's gradient is followed by a gap. */
typedef struct depthwise_data {
    pd_window window;
    int samples;
    size_t x_sample, y_sample, kernel_count, lane_stride;
    float *x, *kernel, *dy;
} depthwise_data;

static depthwise_data make_data(const depthwise_case *at)
{
    pd_window window =
        pd_window_make(at->h, at->w, at->c, at->kernel_h, at->kernel_w, at->stride, at->same);
    depthwise_data data = {.window = window, .samples = at->lanes * at->lane_samples};
    assert_true(window.out_h > 0 && window.out_w > 0);
    data.x_sample = (size_t)at->h * at->w * at->c;
    data.y_sample = (size_t)window.out_h * window.out_w * at->c;
    data.kernel_count = (size_t)at->kernel_h * at->kernel_w * at->c;
    data.lane_stride = data.kernel_count + 5;
    data.x = make_array(data.samples * data.x_sample, 1, 1);
    data.kernel = make_array(data.kernel_count, 2, 1);
    data.dy = make_array(data.samples * data.y_sample, 3, 1);
    return data;
}

static void free_data(depthwise_data *data)
{
    free(data->x);
    free(data->kernel);
    free(data->dy);
}

/* The shape of the case's window with `samples` samples. */
static pd_depthwise_shape data_shape(const depthwise_data *data, bool relu, int samples,
                                     int threads)
{
    return (pd_depthwise_shape){data->window, relu, 1, samples, threads, PD_FLOAT32};
}

static float *run_forward(const depthwise_data *data, int first, int samples, bool relu,
                          int threads)
{
    float *y = make_result(samples * data->y_sample);
    pd_depthwise_shape shape = data_shape(data, relu, samples, threads);
    pd_depthwise_forward(&shape, data->x + first * data->x_sample, data->kernel, y);
    return y;
}

static float *run_input(const depthwise_data *data, int first, int samples, bool relu, int threads)
{
    float *dx = make_result(samples * data->x_sample);
    pd_depthwise_shape shape = data_shape(data, relu, samples, threads);
    pd_depthwise_backward_input(&shape, relu ? data->x + first * data->x_sample : NULL,
                                data->dy + first * data->y_sample, data->kernel, dx);
    return dx;
}

static float *run_kernel(const depthwise_case *at, const depthwise_data *data, int first, int lanes,
                         bool relu, int threads)
{
    float *gradient = make_result(lanes * data->lane_stride);
    pd_depthwise_shape shape = {data->window, relu, lanes, at->lane_samples, threads, PD_FLOAT32};
    float *workspace = make_result(pd_depthwise_backward_kernel_workspace(&shape));
    pd_depthwise_backward_kernel(&shape, data->x + first * at->lane_samples * data->x_sample,
                                 data->dy + first * at->lane_samples * data->y_sample, gradient,
                                 data->lane_stride, workspace);
    free(workspace);
    return gradient;
}

static void assert_close(const float *got, const float *expected, size_t count, double terms,
                         const depthwise_case *at, const char *what)
{
    double tolerance = 2e-7 * terms + 1e-6;
    for (size_t i = 0; i < count; i++) {
        if (!(fabs((double)got[i] - expected[i]) <= tolerance))
            fail_msg("case %d, %s[%zu]: %.9g, expected %.9g", (int)(at - cases), what, i, got[i],
                     expected[i]);
    }
}

static void reference_gives_a_known_result(void **state)
{
    (void)state;
    /* Channel 0 is shifted by the first tap, channel 1 is summed; negative inputs count as 0. */
    pd_depthwise_shape shape = {pd_window_make(2, 2, 2, 3, 3, 1, true), false, 1, 1, 1, PD_FLOAT32};
    const float x[] = {1, 1, 2, -5, 3, 2, 4, 3};
    float kernel[18] = {1}, y[8];
    for (int i = 0; i < 9; i++)
        kernel[2 * i + 1] = 1;
    pd_depthwise_reference_forward(&shape, x, kernel, y);
    const float plain[] = {0, 1, 0, 1, 0, 1, 1, 1};
    assert_memory_equal(y, plain, sizeof y);
    shape.relu = true;
    pd_depthwise_reference_forward(&shape, x, kernel, y);
    const float rectified[] = {0, 6, 0, 6, 0, 6, 1, 6};
    assert_memory_equal(y, rectified, sizeof y);
}

/* sum of y * dy, which is linear in x, except at the ReLU's kink, and in the kernel. */
static double product(const depthwise_data *data, bool relu)
{
    float *y = make_result(data->samples * data->y_sample);
    pd_depthwise_shape shape = data_shape(data, relu, data->samples, 1);
    pd_depthwise_reference_forward(&shape, data->x, data->kernel, y);
    double sum = 0;
    for (size_t i = 0; i < data->samples * data->y_sample; i++)
        sum += (double)y[i] * data->dy[i];
    free(y);
    return sum;
}

static double difference(const depthwise_data *data, bool relu, float *element)
{
    float kept = *element;
    *element = kept + 0.125f;
    double above = product(data, relu);
    *element = kept - 0.125f;
    double below = product(data, relu);
    *element = kept;
    return (above - below) * 4;
}

static void references_are_derivatives(void **state)
{
    (void)state;
    static const depthwise_case small[] = {{5, 4, 3, 3, 3, 1, true, 1, 2},
                                           {5, 6, 2, 3, 2, 2, true, 1, 2},
                                           {6, 5, 1, 2, 3, 2, false, 1, 1}};
    for (int i = 0; i < 6; i++) {
        bool relu = i % 2;
        depthwise_data data = make_data(&small[i / 2]);
        size_t x_count = data.samples * data.x_sample;
        for (size_t j = 0; j < x_count; j++)
            data.x[j] += data.x[j] < 0 ? -0.25f : 0.25f;
        float *dx = make_result(x_count), *gradient = make_result(data.kernel_count);
        pd_depthwise_shape shape = data_shape(&data, relu, data.samples, 1);
        pd_depthwise_reference_backward_input(&shape, data.x, data.dy, data.kernel, dx);
        pd_depthwise_reference_backward_kernel(&shape, data.x, data.dy, gradient, data.lane_stride);
        for (size_t j = 0; j < x_count; j++)
            assert_float_equal(dx[j], difference(&data, relu, &data.x[j]), 1e-4);
        for (size_t j = 0; j < data.kernel_count; j++)
            assert_float_equal(gradient[j], difference(&data, relu, &data.kernel[j]), 1e-4);
        free(dx);
        free(gradient);
        free_data(&data);
    }
}

static void fast_matches_reference(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * CASES; i++) {
        const depthwise_case *at = &cases[i / 2];
        bool relu = i % 2;
        depthwise_data data = make_data(at);
        double taps = at->kernel_h * at->kernel_w;
        size_t y_count = data.samples * data.y_sample, x_count = data.samples * data.x_sample;
        float *expected = make_result(y_count);
        float *y = run_forward(&data, 0, data.samples, relu, 2);
        pd_depthwise_shape shape = {data.window, relu, at->lanes, at->lane_samples, 1, PD_FLOAT32};
        pd_depthwise_reference_forward(&shape, data.x, data.kernel, expected);
        assert_close(y, expected, y_count, taps, at, "y");
        assert_true(isnan(y[y_count]));
        free(y);
        free(expected);

        expected = make_result(x_count);
        float *dx = run_input(&data, 0, data.samples, relu, 2);
        pd_depthwise_reference_backward_input(&shape, data.x, data.dy, data.kernel, expected);
        assert_close(dx, expected, x_count, taps, at, "dx");
        assert_true(isnan(dx[x_count]));
        free(dx);
        free(expected);

        expected = make_result(at->lanes * data.lane_stride);
        float *gradient = run_kernel(at, &data, 0, at->lanes, relu, 2);
        pd_depthwise_reference_backward_kernel(&shape, data.x, data.dy, expected, data.lane_stride);
        for (int lane = 0; lane < at->lanes; lane++) {
            assert_close(gradient + lane * data.lane_stride, expected + lane * data.lane_stride,
                         data.kernel_count,
                         1.0 * at->lane_samples * data.window.out_h * data.window.out_w, at, "dw");
            for (size_t j = data.kernel_count; j < data.lane_stride; j++)
                assert_true(isnan(gradient[lane * data.lane_stride + j]));
        }
        free(gradient);
        free(expected);
        free_data(&data);
    }
}

static void bits_do_not_depend_on_threads_batch_or_lanes(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * CASES; i++) {
        const depthwise_case *at = &cases[i / 2];
        bool relu = i % 2;
        depthwise_data data = make_data(at);
        float *y = run_forward(&data, 0, data.samples, relu, 2);
        float *dx = run_input(&data, 0, data.samples, relu, 2);
        float *gradient = run_kernel(at, &data, 0, at->lanes, relu, 2);
        for (int threads = 1; threads <= 3; threads += 2) {
            for (int n = 0; n < data.samples; n++) {
                float *alone = run_forward(&data, n, 1, relu, threads);
                assert_memory_equal(alone, y + n * data.y_sample, data.y_sample * sizeof *y);
                free(alone);
                alone = run_input(&data, n, 1, relu, threads);
                assert_memory_equal(alone, dx + n * data.x_sample, data.x_sample * sizeof *dx);
                free(alone);
            }
            for (int lane = 0; lane < at->lanes; lane++) {
                float *alone = run_kernel(at, &data, lane, 1, relu, threads);
                assert_memory_equal(alone, gradient + lane * data.lane_stride,
                                    data.kernel_count * sizeof *gradient);
                free(alone);
            }
        }
        free(y);
        free(dx);
        free(gradient);
        free_data(&data);
    }
}

static void nan_is_not_hidden(void **state)
{
    (void)state;
    pd_depthwise_shape shape = {
        pd_window_make(4, 4, 16, 3, 3, 1, true), false, 1, 1, 1, PD_FLOAT32};
    float x[4 * 4 * 16] = {0}, kernel[9 * 16], y[4 * 4 * 16];
    for (int i = 0; i < 9 * 16; i++)
        kernel[i] = 1;
    x[0] = NAN;
    for (int relu = 0; relu < 2; relu++) {
        shape.relu = relu;
        pd_depthwise_forward(&shape, x, kernel, y);
        assert_true(isnan(y[0]));
        assert_true(y[1] == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_gives_a_known_result),
        cmocka_unit_test(references_are_derivatives),
        cmocka_unit_test(fast_matches_reference),
        cmocka_unit_test(bits_do_not_depend_on_threads_batch_or_lanes),
        cmocka_unit_test(nan_is_not_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
