/* Convolution: the references against finite differences, the fast functions against the
 * references, and the same bits for any number of threads, samples and lanes. */
#include "kernels/conv_reference.h"
#include "pneumo/base/random.h"
#include "pneumo/kernels/conv.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/conv_cases.h"

/* One-pixel images, odd sizes, every stride and padding, channel counts around a vector's width,
 * windows larger than the image, 1 x 1, and images that are cut into bands. */
static const conv_case cases[] = {
    {1, 1, 1, 1, 1, 1, true, 1, 1, 1},     {1, 1, 3, 3, 3, 1, true, 24, 2, 2},
    {1, 1, 24, 5, 3, 2, true, 33, 1, 3},   {7, 7, 33, 3, 3, 1, true, 24, 2, 2},
    {5, 9, 3, 3, 3, 1, false, 33, 2, 2},   {9, 5, 1, 5, 3, 1, true, 24, 3, 1},
    {8, 11, 24, 5, 3, 2, true, 3, 2, 2},   {8, 11, 3, 5, 3, 2, false, 48, 2, 1},
    {13, 10, 1, 3, 3, 3, true, 1, 2, 3},   {13, 10, 24, 3, 3, 3, false, 80, 1, 2},
    {6, 6, 33, 1, 1, 1, true, 33, 2, 2},   {7, 6, 24, 1, 1, 2, true, 17, 2, 2},
    {7, 6, 3, 1, 1, 3, false, 16, 2, 2},   {2, 2, 3, 5, 5, 1, true, 3, 1, 2},
    {3, 17, 3, 3, 2, 2, true, 5, 1, 1},    {3, 3, 2, 3, 3, 1, false, 49, 1, 2},
    {67, 70, 24, 3, 3, 1, true, 24, 1, 1}, {150, 61, 33, 3, 3, 1, true, 3, 1, 1},
    {61, 150, 33, 5, 3, 2, true, 5, 1, 1}, {70, 90, 24, 2, 2, 3, false, 40, 1, 1},
    {300, 300, 4, 1, 3, 2, true, 3, 1, 1},
};
enum { CASES = sizeof cases / sizeof *cases };

/* Compares sums of `terms` products of numbers in [-1, 1]. The reference adds one by one, so its
 * own rounding error grows with their number. */
static void assert_close(const float *got, const float *expected, size_t count, double terms,
                         const conv_case *at, const char *what)
{
    double tolerance = 2e-7 * terms + 2e-6;
    for (size_t i = 0; i < count; i++) {
        if (!(fabs((double)got[i] - expected[i]) <= tolerance))
            fail_msg("case %d, %s[%zu]: %.9g, expected %.9g", (int)(at - cases), what, i, got[i],
                     expected[i]);
    }
}

static void window_pads_as_keras(void **state)
{
    (void)state;
    /* total = max((ceil(h / s) - 1) * s + kernel - h, 0), top = total / 2. */
    pd_window window = pd_window_make(112, 7, 1, 3, 3, 2, true);
    assert_int_equal(window.out_h, 56);
    assert_int_equal(window.pad_top, 0);
    assert_int_equal(window.out_w, 4);
    assert_int_equal(window.pad_left, 1);
    window = pd_window_make(10, 4, 1, 4, 1, 1, true);
    assert_int_equal(window.out_h, 10);
    assert_int_equal(window.pad_top, 1);
    assert_int_equal(window.pad_left, 0);
    window = pd_window_make(10, 10, 1, 1, 3, 3, true);
    assert_int_equal(window.out_h, 4);
    assert_int_equal(window.pad_top, 0);
    assert_int_equal(window.pad_left, 1);
    window = pd_window_make(10, 2, 1, 3, 3, 2, false);
    assert_int_equal(window.out_h, 4);
    assert_int_equal(window.out_w, 0);
    assert_int_equal(window.pad_top, 0);
}

static void reference_gives_a_known_result(void **state)
{
    (void)state;
    /* A 3 x 3 window of ones over a 2 x 2 image sums the image. */
    pd_conv_shape shape = {pd_window_make(2, 2, 1, 3, 3, 1, true), 1, 1, 1, 1, PD_FLOAT32};
    const float x[] = {1, 2, 3, 4}, ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, bias = -10;
    float y[4];
    pd_conv_reference_forward(&shape, x, ones, NULL, false, y);
    for (int i = 0; i < 4; i++)
        assert_float_equal(y[i], 10, 0);
    /* The kernel is not flipped: the first tap sees the upper left neighbour. */
    const float first[] = {1, 0, 0, 0, 0, 0, 0, 0, 0};
    pd_conv_reference_forward(&shape, x, first, NULL, false, y);
    const float shifted[] = {0, 0, 0, 1};
    assert_memory_equal(y, shifted, sizeof y);
    pd_conv_reference_forward(&shape, x, first, &bias, true, y);
    for (int i = 0; i < 4; i++)
        assert_float_equal(y[i], 0, 0);
}

/* sum of y * dy. The convolution is linear in x and in the kernel, so a central difference is exact
 * except for rounding. */
static double product(const conv_data *data)
{
    float *y = make_result(data->y_count);
    pd_conv_reference_forward(&data->shape, data->x, data->kernel, data->bias, false, y);
    double sum = 0;
    for (size_t i = 0; i < data->y_count; i++)
        sum += (double)y[i] * data->dy[i];
    free(y);
    return sum;
}

static double difference(const conv_data *data, float *element)
{
    float kept = *element;
    *element = kept + 0.5f;
    double above = product(data);
    *element = kept - 0.5f;
    double below = product(data);
    *element = kept;
    return above - below;
}

static void references_are_derivatives(void **state)
{
    (void)state;
    static const conv_case small[] = {{5, 4, 2, 3, 3, 1, true, 3, 1, 2},
                                      {5, 6, 2, 3, 2, 2, true, 2, 1, 2},
                                      {6, 5, 1, 2, 3, 2, false, 3, 1, 1},
                                      {4, 4, 2, 1, 1, 3, true, 2, 1, 1}};
    for (int i = 0; i < 4; i++) {
        const conv_case *at = &small[i];
        conv_data data = make_data(&pd_conv_direct, at, 1);
        float *dx = make_result(data.x_count), *gradient = make_result(data.lane_stride);
        pd_conv_reference_backward_input(&data.shape, data.dy, data.kernel, dx);
        pd_conv_reference_backward_kernel(&data.shape, data.x, data.dy, gradient,
                                          gradient + data.kernel_count, data.lane_stride);
        for (size_t j = 0; j < data.x_count; j++)
            assert_float_equal(dx[j], difference(&data, &data.x[j]), 1e-4);
        for (size_t j = 0; j < data.kernel_count; j++)
            assert_float_equal(gradient[j], difference(&data, &data.kernel[j]), 1e-4);
        for (int j = 0; j < at->k; j++)
            assert_float_equal(gradient[data.kernel_count + j], difference(&data, &data.bias[j]),
                               1e-4);
        free(dx);
        free(gradient);
        free_data(&data);
    }
}

static void fast_matches_reference(void **state)
{
    (void)state;
    for (const conv_case *at = cases; at < cases + CASES; at++) {
        conv_data data = make_data(&pd_conv_direct, at, 1);
        double taps = at->kernel_h * at->kernel_w;
        float *expected = make_result(data.y_count);
        for (int way = 0; way < 2; way++) {
            bool bias = way, relu = way;
            float *y = run_forward(&data, data.x, data.samples, bias, relu, 2);
            pd_conv_reference_forward(&data.shape, data.x, data.kernel, bias ? data.bias : NULL,
                                      relu, expected);
            assert_close(y, expected, data.y_count, taps * at->c, at, "y");
            assert_true(isnan(y[data.y_count]));
            free(y);
        }
        free(expected);

        expected = make_result(data.x_count);
        float *dx = run_input(&data, data.dy, data.samples, NULL, 2);
        pd_conv_reference_backward_input(&data.shape, data.dy, data.kernel, expected);
        assert_close(dx, expected, data.x_count, taps * at->k, at, "dx");
        assert_true(isnan(dx[data.x_count]));
        float *masked = run_input(&data, data.dy, data.samples, data.x, 2);
        for (size_t i = 0; i < data.x_count; i++)
            assert_true(masked[i] == (data.x[i] > 0 ? dx[i] : 0));
        free(masked);
        free(dx);
        free(expected);

        expected = make_result(at->lanes * data.lane_stride);
        float *gradient = run_kernel(&data, 0, at->lanes, true, 2);
        pd_conv_reference_backward_kernel(&data.shape, data.x, data.dy, expected,
                                          expected + data.kernel_count, data.lane_stride);
        for (int lane = 0; lane < at->lanes; lane++) {
            assert_close(gradient + lane * data.lane_stride, expected + lane * data.lane_stride,
                         data.kernel_count + at->k,
                         1.0 * at->lane_samples * data.shape.window.out_h * data.shape.window.out_w,
                         at, "dw");
            for (size_t j = data.kernel_count + at->k; j < data.lane_stride; j++)
                assert_true(isnan(gradient[lane * data.lane_stride + j]));
        }
        free(gradient);
        free(expected);
        free_data(&data);
    }
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    for (const conv_case *at = cases; at < cases + CASES; at++) {
        conv_data data = make_data(&pd_conv_direct, at, 1);
        assert_threads_change_nothing(&data);
        free_data(&data);
    }
}

/* Shapes as in training, where a lane's samples are in several groups or bands. */
static const conv_case lane_cases[] = {
    {7, 7, 40, 3, 3, 1, true, 33, 8, 3},
    {14, 14, 96, 3, 3, 1, true, 48, 3, 11},
    {40, 60, 24, 3, 3, 1, true, 24, 3, 3},
    {9, 9, 3, 3, 3, 2, true, 24, 8, 2},
};

static void bits_do_not_depend_on_batch_or_lanes(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        conv_data data = make_data(&pd_conv_direct, &lane_cases[i], 1);
        assert_others_change_nothing(&data);
        free_data(&data);
    }
}

static void fewer_samples_need_no_more_workspace(void **state)
{
    (void)state;
    for (const conv_case *at = cases; at < cases + CASES; at++)
        assert_workspaces_grow(&pd_conv_direct, at, 40);
}

static void nan_is_not_hidden(void **state)
{
    (void)state;
    assert_nan_is_not_hidden(&pd_conv_direct, &(conv_case){1, 1, 1, 1, 1, 1, true, 1, 1, 1});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_pads_as_keras),
        cmocka_unit_test(reference_gives_a_known_result),
        cmocka_unit_test(references_are_derivatives),
        cmocka_unit_test(fast_matches_reference),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(bits_do_not_depend_on_batch_or_lanes),
        cmocka_unit_test(fewer_samples_need_no_more_workspace),
        cmocka_unit_test(nan_is_not_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
