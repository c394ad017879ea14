/* Winograd convolution against the plain references, to its stated accuracy, and the same bits for
 * any number of threads, samples and lanes. */
#include "kernels/conv_reference.h"
#include "kernels/winograd_plan.h"
#include "pneumo/base/random.h"
#include "pneumo/kernels/winograd.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/arrays.h"

typedef struct wino_case {
    int h, w, c;
    bool same;
    int k, lanes, lane_samples;
} wino_case;

/* One-pixel images and outputs, every remainder of the tile, channel counts around those of a
 * vector and of a register tile, several samples and blocks per lane, lanes that threads share, and
 * a kernel large enough for threads to share its blocks. */
static const wino_case cases[] = {
    {1, 1, 1, true, 1, 1, 1},    {1, 1, 5, true, 24, 2, 2},    {3, 3, 3, false, 5, 1, 2},
    {2, 5, 3, true, 33, 3, 1},   {7, 7, 33, true, 24, 2, 2},   {7, 7, 15, true, 17, 8, 1},
    {6, 11, 5, false, 64, 2, 3}, {9, 4, 16, true, 16, 3, 2},   {13, 10, 1, true, 48, 2, 1},
    {8, 12, 48, false, 1, 1, 2}, {14, 14, 40, true, 80, 3, 1}, {4, 4, 150, true, 140, 2, 2},
    {61, 90, 3, true, 20, 1, 2}, {90, 61, 20, true, 3, 2, 1},
};
enum { CASES = sizeof cases / sizeof *cases };

static pd_conv_shape case_shape(const wino_case *at, int lanes, int lane_samples, int threads)
{
    return (pd_conv_shape){pd_window_make(at->h, at->w, at->c, 3, 3, 1, at->same),
                           at->k,
                           lanes,
                           lane_samples,
                           threads,
                           PD_FLOAT32};
}

/* All arrays of a case, of variance 1. A lane's gradient is that of the kernel, that of the bias,
 * and a gap. */
typedef struct wino_data {
    pd_conv_shape shape;
    int samples;
    size_t x_count, y_count, kernel_count, lane_stride;
    float *x, *kernel, *bias, *dy;
} wino_data;

static wino_data make_data(const wino_case *at)
{
    wino_data data = {.shape = case_shape(at, at->lanes, at->lane_samples, 2),
                      .samples = at->lanes * at->lane_samples};
    const pd_window *window = &data.shape.window;
    assert_true(window->out_h > 0 && window->out_w > 0);
    data.x_count = (size_t)data.samples * at->h * at->w * at->c;
    data.y_count = (size_t)data.samples * window->out_h * window->out_w * at->k;
    data.kernel_count = (size_t)9 * at->c * at->k;
    data.lane_stride = data.kernel_count + at->k + 5;
    data.x = make_array(data.x_count, 1, sqrtf(3));
    data.kernel = make_array(data.kernel_count, 2, sqrtf(3));
    data.bias = make_array(at->k, 3, sqrtf(3));
    data.dy = make_array(data.y_count, 4, sqrtf(3));
    return data;
}

static void free_data(wino_data *data)
{
    free(data->x);
    free(data->kernel);
    free(data->bias);
    free(data->dy);
}

static float *run_forward(const wino_case *at, const wino_data *data, const float *x, int samples,
                          bool bias, bool relu, int threads)
{
    float *y = make_result(data->y_count / data->samples * samples);
    pd_conv_shape shape = case_shape(at, 1, samples, threads);
    float *prepared = make_result(pd_winograd_prepared_size(&shape));
    float *workspace = make_result(pd_winograd_forward_workspace(&shape));
    pd_winograd_prepare(&shape, data->kernel, prepared);
    pd_winograd_forward(&shape, x, prepared, bias ? data->bias : NULL, relu, y, workspace);
    free(prepared);
    free(workspace);
    return y;
}

static float *run_input(const wino_case *at, const wino_data *data, const float *dy, int samples,
                        const float *mask, int threads)
{
    float *dx = make_result(data->x_count / data->samples * samples);
    pd_conv_shape shape = case_shape(at, 1, samples, threads);
    float *workspace = make_result(pd_winograd_backward_input_workspace(&shape));
    pd_winograd_backward_input(&shape, dy, data->kernel, mask, dx, workspace);
    free(workspace);
    return dx;
}

/* The gradients of lanes first .. first + lanes - 1. */
static float *run_kernel(const wino_case *at, const wino_data *data, int first, int lanes,
                         bool bias, int threads)
{
    float *gradient = make_result(lanes * data->lane_stride);
    pd_conv_shape shape = case_shape(at, lanes, at->lane_samples, threads);
    float *workspace = make_result(pd_winograd_backward_kernel_workspace(&shape));
    pd_winograd_backward_kernel(&shape, data->x + data->x_count / at->lanes * first,
                                data->dy + data->y_count / at->lanes * first, gradient,
                                bias ? gradient + data->kernel_count : NULL, data->lane_stride,
                                workspace);
    free(workspace);
    return gradient;
}

/* Relative to the largest output. Gradients of the kernel are sums over whole images, where the
 * reference, too, rounds at each of thousands of additions. */
static const double LIMIT = 5e-6, LONG_SUM_LIMIT = 1e-5;

/* The largest difference, relative to the largest expected magnitude; infinite if one is NaN. */
static double error_of(const float *got, const float *expected, size_t count)
{
    double difference = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
        if (isnan(got[i]))
            return INFINITY;
        difference = fmax(difference, fabs((double)got[i] - expected[i]));
        most = fmax(most, fabs(expected[i]));
    }
    return difference / most;
}

static void assert_error(const float *got, const float *expected, size_t count, const char *what,
                         const wino_case *at, double limit)
{
    double error = error_of(got, expected, count);
    if (!(error <= limit))
        fail_msg("%d x %d, %d -> %d: %s differs by %.3g of the largest value", at->h, at->w, at->c,
                 at->k, what, error);
}

static void assert_matches_reference(const wino_case *at)
{
    wino_data data = make_data(at);
    float *expected = make_result(data.y_count);
    for (int way = 0; way < 2; way++) {
        bool bias = way, relu = way;
        pd_conv_reference_forward(&data.shape, data.x, data.kernel, data.bias, false, expected);
        float *y = run_forward(at, &data, data.x, data.samples, bias, relu, 2);
        float most = fabsf(expected[0]);
        for (size_t i = 0; i < data.y_count; i++)
            most = fmaxf(most, fabsf(expected[i]));
        pd_conv_reference_forward(&data.shape, data.x, data.kernel, bias ? data.bias : NULL, relu,
                                  expected);
        for (size_t i = 0; i < data.y_count; i++)
            assert_true(fabsf(y[i] - expected[i]) <= LIMIT * fmaxf(most, 1));
        assert_true(isnan(y[data.y_count]));
        free(y);
    }
    free(expected);

    expected = make_result(data.x_count);
    float *dx = run_input(at, &data, data.dy, data.samples, NULL, 2);
    pd_conv_reference_backward_input(&data.shape, data.dy, data.kernel, expected);
    assert_error(dx, expected, data.x_count, "dx", at, LIMIT);
    assert_true(isnan(dx[data.x_count]));
    float *masked = run_input(at, &data, data.dy, data.samples, data.x, 2);
    for (size_t i = 0; i < data.x_count; i++)
        assert_true(masked[i] == (data.x[i] > 0 ? dx[i] : 0));
    free(masked);
    free(dx);
    free(expected);

    expected = make_result(at->lanes * data.lane_stride);
    pd_conv_reference_backward_kernel(&data.shape, data.x, data.dy, expected,
                                      expected + data.kernel_count, data.lane_stride);
    for (int bias = 0; bias < 2; bias++) {
        float *gradient = run_kernel(at, &data, 0, at->lanes, bias, 2);
        for (int lane = 0; lane < at->lanes; lane++) {
            const float *got = gradient + lane * data.lane_stride;
            const float *want = expected + lane * data.lane_stride;
            assert_error(got, want, data.kernel_count, "dw", at, LONG_SUM_LIMIT);
            if (bias)
                assert_error(got + data.kernel_count, want + data.kernel_count, at->k, "db", at,
                             LONG_SUM_LIMIT);
            for (size_t j = data.kernel_count + (bias ? at->k : 0); j < data.lane_stride; j++)
                assert_true(isnan(got[j]));
        }
        free(gradient);
    }
    free(expected);
    free_data(&data);
}

static void matches_reference(void **state)
{
    (void)state;
    for (const wino_case *at = cases; at < cases + CASES; at++)
        assert_matches_reference(at);
}

/* The documented accuracy, with sums over many channels. */
static void error_is_below_5e_6_of_the_largest(void **state)
{
    (void)state;
    static const wino_case many[] = {{12, 9, 512, true, 20, 1, 1}, {12, 9, 20, true, 512, 1, 1}};
    for (int i = 0; i < 2; i++)
        assert_matches_reference(&many[i]);
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    for (const wino_case *at = cases; at < cases + CASES; at++) {
        wino_data data = make_data(at);
        float *y = run_forward(at, &data, data.x, data.samples, true, true, 1);
        float *dx = run_input(at, &data, data.dy, data.samples, NULL, 1);
        float *gradient = run_kernel(at, &data, 0, at->lanes, true, 1);
        for (int threads = 2; threads <= 3; threads++) {
            float *other = run_forward(at, &data, data.x, data.samples, true, true, threads);
            assert_memory_equal(other, y, data.y_count * sizeof *y);
            free(other);
            other = run_input(at, &data, data.dy, data.samples, NULL, threads);
            assert_memory_equal(other, dx, data.x_count * sizeof *dx);
            free(other);
            other = run_kernel(at, &data, 0, at->lanes, true, threads);
            assert_memory_equal(other, gradient, at->lanes * data.lane_stride * sizeof *gradient);
            free(other);
        }
        free(y);
        free(dx);
        free(gradient);
        free_data(&data);
    }
}

static void bits_do_not_depend_on_batch_or_lanes(void **state)
{
    (void)state;
    for (const wino_case *at = cases; at < cases + CASES; at++) {
        wino_data data = make_data(at);
        size_t x_sample = data.x_count / data.samples, y_sample = data.y_count / data.samples;
        float *y = run_forward(at, &data, data.x, data.samples, true, true, 2);
        float *dx = run_input(at, &data, data.dy, data.samples, NULL, 2);
        for (int n = 0; n < data.samples; n++) {
            float *alone = run_forward(at, &data, data.x + n * x_sample, 1, true, true, 1);
            assert_memory_equal(alone, y + n * y_sample, y_sample * sizeof *y);
            free(alone);
            alone = run_input(at, &data, data.dy + n * y_sample, 1, NULL, 1);
            assert_memory_equal(alone, dx + n * x_sample, x_sample * sizeof *dx);
            free(alone);
        }
        float *gradient = run_kernel(at, &data, 0, at->lanes, true, 2);
        for (int lane = 0; lane < at->lanes; lane++) {
            for (int threads = 1; threads <= 3; threads++) {
                float *alone = run_kernel(at, &data, lane, 1, true, threads);
                assert_memory_equal(alone, gradient + lane * data.lane_stride,
                                    (data.kernel_count + at->k) * sizeof *gradient);
                free(alone);
            }
        }
        free(y);
        free(dx);
        free(gradient);
        free_data(&data);
    }
}

static void fewer_samples_need_no_more_workspace(void **state)
{
    (void)state;
    for (const wino_case *at = cases; at < cases + CASES; at++) {
        for (int threads = 1; threads <= 3; threads++) {
            for (int samples = 1; samples < 100; samples++) {
                pd_conv_shape fewer = case_shape(at, 1, samples, threads);
                pd_conv_shape more = case_shape(at, 1, samples + 1, threads);
                assert_true(pd_winograd_forward_workspace(&fewer) <=
                            pd_winograd_forward_workspace(&more));
                assert_true(pd_winograd_backward_input_workspace(&fewer) <=
                            pd_winograd_backward_input_workspace(&more));
                assert_true(pd_winograd_backward_kernel_workspace(&fewer) <=
                            pd_winograd_backward_kernel_workspace(&more));
            }
        }
    }
}

/* More than 2^31 tiles are counted in full: the last one is where it belongs, and the workspace is
 * that of fewer tiles. */
static void two_to_the_31_tiles_do_not_overflow(void **state)
{
    (void)state;
    enum { SIDE = 224, TILES = (SIDE / 4) * (SIDE / 4), FEW = 1000, MANY = 1000000 };
    const wino_case at = {SIDE, SIDE, 16, true, 16, 1, MANY};
    pd_conv_shape many = case_shape(&at, 1, MANY, 2);
    pd_conv_shape few = many;
    few.lane_samples = FEW;
    const pd_winograd_plan plans[] = {pd_winograd_plan_forward(&many),
                                      pd_winograd_plan_input(&many)};
    for (int i = 0; i < 2; i++) {
        const pd_winograd_plan *plan = &plans[i];
        assert_true(plan->tiles == (int64_t)TILES * MANY && plan->tiles > INT32_MAX);
        assert_false(plan->shared);
        pd_winograd_place last = pd_winograd_grid_place(&plan->grid, plan->tiles - 1);
        assert_int_equal(last.sample, MANY - 1);
        assert_int_equal(last.y, SIDE - 4);
        assert_int_equal(last.x, SIDE - 4);
    }
    assert_true(pd_winograd_forward_workspace(&many) == pd_winograd_forward_workspace(&few));
    assert_true(pd_winograd_backward_input_workspace(&many) ==
                pd_winograd_backward_input_workspace(&few));
    assert_true(pd_winograd_backward_kernel_workspace(&many) ==
                pd_winograd_backward_kernel_workspace(&few));
    assert_int_equal(pd_winograd_block_tiles(56, (int64_t)1 << 32), 56);
    assert_int_equal(pd_winograd_block_tiles(56, 55), 55);
}

static void nan_is_not_hidden(void **state)
{
    (void)state;
    pd_conv_shape shape = {pd_window_make(1, 1, 1, 3, 3, 1, true), 1, 1, 1, 1, PD_FLOAT32};
    float x = NAN, kernel[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, y = 0;
    float *prepared = make_result(pd_winograd_prepared_size(&shape));
    float *workspace = make_result(pd_winograd_forward_workspace(&shape));
    pd_winograd_prepare(&shape, kernel, prepared);
    pd_winograd_forward(&shape, &x, prepared, NULL, true, &y, workspace);
    assert_true(isnan(y));
    free(prepared);
    free(workspace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_reference),
        cmocka_unit_test(error_is_below_5e_6_of_the_largest),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(bits_do_not_depend_on_batch_or_lanes),
        cmocka_unit_test(fewer_samples_need_no_more_workspace),
        cmocka_unit_test(two_to_the_31_tiles_do_not_overflow),
        cmocka_unit_test(nan_is_not_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
