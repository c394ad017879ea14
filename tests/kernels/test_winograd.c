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

#include "kernels/conv_cases.h"

/* One-pixel images and outputs, every remainder of the tile, channel counts around those of a
 * vector and of a register tile, several samples and blocks per lane, lanes that threads share, and
 * a kernel large enough for threads to share its blocks. */
static const conv_case cases[] = {
    {1, 1, 1, 3, 3, 1, true, 1, 1, 1},     {1, 1, 5, 3, 3, 1, true, 24, 2, 2},
    {3, 3, 3, 3, 3, 1, false, 5, 1, 2},    {2, 5, 3, 3, 3, 1, true, 33, 3, 1},
    {7, 7, 33, 3, 3, 1, true, 24, 2, 2},   {7, 7, 15, 3, 3, 1, true, 17, 8, 1},
    {6, 11, 5, 3, 3, 1, false, 64, 2, 3},  {9, 4, 16, 3, 3, 1, true, 16, 3, 2},
    {13, 10, 1, 3, 3, 1, true, 48, 2, 1},  {8, 12, 48, 3, 3, 1, false, 1, 1, 2},
    {14, 14, 40, 3, 3, 1, true, 80, 3, 1}, {4, 4, 150, 3, 3, 1, true, 140, 2, 2},
    {61, 90, 3, 3, 3, 1, true, 20, 1, 2},  {90, 61, 20, 3, 3, 1, true, 3, 2, 1},
};
enum { CASES = sizeof cases / sizeof *cases };

/* Arrays of variance 1. */
static conv_data make_unit_data(const conv_case *at)
{
    return make_data(&pd_conv_winograd, at, sqrtf(3));
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
                         const conv_case *at, double limit)
{
    double error = error_of(got, expected, count);
    if (!(error <= limit))
        fail_msg("%d x %d, %d -> %d: %s differs by %.3g of the largest value", at->h, at->w, at->c,
                 at->k, what, error);
}

static void assert_matches_reference(const conv_case *at)
{
    conv_data data = make_unit_data(at);
    float *expected = make_result(data.y_count);
    for (int way = 0; way < 2; way++) {
        bool bias = way, relu = way;
        pd_conv_reference_forward(&data.shape, data.x, data.kernel, data.bias, false, expected);
        float *y = run_forward(&data, data.x, data.samples, bias, relu, 2);
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
    float *dx = run_input(&data, data.dy, data.samples, NULL, 2);
    pd_conv_reference_backward_input(&data.shape, data.dy, data.kernel, expected);
    assert_error(dx, expected, data.x_count, "dx", at, LIMIT);
    assert_true(isnan(dx[data.x_count]));
    float *masked = run_input(&data, data.dy, data.samples, data.x, 2);
    for (size_t i = 0; i < data.x_count; i++)
        assert_true(masked[i] == (data.x[i] > 0 ? dx[i] : 0));
    free(masked);
    free(dx);
    free(expected);

    expected = make_result(at->lanes * data.lane_stride);
    pd_conv_reference_backward_kernel(&data.shape, data.x, data.dy, expected,
                                      expected + data.kernel_count, data.lane_stride);
    for (int bias = 0; bias < 2; bias++) {
        float *gradient = run_kernel(&data, 0, at->lanes, bias, 2);
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
    for (const conv_case *at = cases; at < cases + CASES; at++)
        assert_matches_reference(at);
}

/* The documented accuracy, with sums over many channels. */
static void error_is_below_5e_6_of_the_largest(void **state)
{
    (void)state;
    static const conv_case many[] = {{12, 9, 512, 3, 3, 1, true, 20, 1, 1},
                                     {12, 9, 20, 3, 3, 1, true, 512, 1, 1}};
    for (int i = 0; i < 2; i++)
        assert_matches_reference(&many[i]);
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    for (const conv_case *at = cases; at < cases + CASES; at++) {
        conv_data data = make_unit_data(at);
        assert_threads_change_nothing(&data);
        free_data(&data);
    }
}

static void bits_do_not_depend_on_batch_or_lanes(void **state)
{
    (void)state;
    for (const conv_case *at = cases; at < cases + CASES; at++) {
        conv_data data = make_unit_data(at);
        assert_others_change_nothing(&data);
        free_data(&data);
    }
}

static void fewer_samples_need_no_more_workspace(void **state)
{
    (void)state;
    for (const conv_case *at = cases; at < cases + CASES; at++)
        assert_workspaces_grow(&pd_conv_winograd, at, 100);
}

/* More than 2^31 tiles are counted in full: the last one is where it belongs, and the workspace is
 * that of fewer tiles. */
static void two_to_the_31_tiles_do_not_overflow(void **state)
{
    (void)state;
    enum { SIDE = 224, TILES = (SIDE / 4) * (SIDE / 4), FEW = 1000, MANY = 1000000 };
    const conv_case at = {SIDE, SIDE, 16, 3, 3, 1, true, 16, 1, MANY};
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
    assert_nan_is_not_hidden(&pd_conv_winograd, &(conv_case){1, 1, 1, 3, 3, 1, true, 1, 1, 1});
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
