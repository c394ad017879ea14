/* Dense products against plain loops, and the same bits for any number of threads, samples and
 * lanes.
 */
#include "kernels/blas_internal.h"
#include "pneumo/base/random.h"
#include "pneumo/kernels/dense.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct dense_case {
    int inputs, units, lanes, lane_samples;
} dense_case;

static const dense_case cases[] = {{1, 1, 1, 1},     {7, 3, 2, 3},     {512, 1, 4, 8},
                                   {513, 33, 3, 5},  {1300, 48, 8, 2}, {64, 80, 2, 9},
                                   {2000, 16, 1, 15}};
enum { CASES = sizeof cases / sizeof *cases };

static float *make_array(size_t count, uint64_t seed)
{
    float *array = malloc(count * sizeof *array);
    assert_non_null(array);
    pd_random random = pd_random_stream(seed, PD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < count; i++)
        array[i] = seed ? pd_random_between(&random, -1, 1) : NAN;
    return array;
}

static float *run_forward(const dense_case *at, const float *x, int samples, const float *weights,
                          const float *bias, bool relu, int threads)
{
    float *y = make_array((size_t)samples * at->units, 0);
    pd_dense_shape shape = {1, samples, at->inputs, at->units, threads};
    float *workspace = make_array(pd_dense_forward_workspace(&shape), 0);
    pd_dense_forward(&shape, x, weights, bias, relu, y, workspace);
    free(workspace);
    return y;
}

/* The gradients of `lanes` lanes: weights, bias, lane by lane. */
static float *run_weights(const dense_case *at, const float *x, const float *dy, int lanes,
                          int threads)
{
    size_t weights = (size_t)at->inputs * at->units, stride = weights + at->units;
    float *gradient = make_array(lanes * stride, 0);
    pd_dense_shape shape = {lanes, at->lane_samples, at->inputs, at->units, threads};
    float *workspace = make_array(pd_dense_backward_weights_workspace(&shape), 0);
    pd_dense_backward_weights(&shape, x, dy, gradient, gradient + weights, stride, workspace);
    free(workspace);
    return gradient;
}

static void run_input(const dense_case *at, const float *dy, const float *weights, int lanes,
                      int threads, float *dx)
{
    pd_dense_shape shape = {lanes, at->lane_samples, at->inputs, at->units, threads};
    pd_dense_backward_input(&shape, dy, weights, dx);
}

static void assert_close(const float *got, const float *expected, size_t count, int terms)
{
    for (size_t i = 0; i < count; i++)
        assert_true(fabsf(got[i] - expected[i]) <= 1e-6 * sqrt(terms) + 1e-6);
}

static void matches_plain_loops(void **state)
{
    (void)state;
    for (const dense_case *at = cases; at < cases + CASES; at++) {
        int samples = at->lanes * at->lane_samples, inputs = at->inputs, units = at->units;
        size_t outputs = (size_t)samples * units, weight_count = (size_t)inputs * units;
        float *x = make_array((size_t)samples * inputs, 1), *weights = make_array(weight_count, 2);
        float *bias = make_array(units, 3), *dy = make_array(outputs, 4);
        float *expected = make_array(outputs, 0);
        for (int way = 0; way < 4; way++) {
            const float *used = way & 1 ? bias : NULL;
            pd_gemm_reference(false, false, samples, units, inputs, 1, x, inputs, weights, units, 0,
                              expected, units);
            for (size_t i = 0; i < outputs; i++) {
                expected[i] += used ? used[i % units] : 0;
                if (way & 2 && expected[i] < 0)
                    expected[i] = 0;
            }
            float *y = run_forward(at, x, samples, weights, used, way & 2, 2);
            assert_close(y, expected, outputs, inputs);
            free(y);
        }
        free(expected);

        float *dx = make_array((size_t)samples * inputs, 0);
        expected = make_array((size_t)samples * inputs, 0);
        run_input(at, dy, weights, at->lanes, 2, dx);
        pd_gemm_reference(false, true, samples, inputs, units, 1, dy, units, weights, units, 0,
                          expected, inputs);
        assert_close(dx, expected, (size_t)samples * inputs, units);
        free(dx);
        free(expected);

        float *gradient = run_weights(at, x, dy, at->lanes, 2);
        expected = make_array(weight_count + units, 0);
        for (int lane = 0; lane < at->lanes; lane++) {
            const float *lane_x = x + (size_t)lane * at->lane_samples * inputs;
            const float *lane_dy = dy + (size_t)lane * at->lane_samples * units;
            const float one = 1;
            pd_gemm_reference(true, false, inputs, units, at->lane_samples, 1, lane_x, inputs,
                              lane_dy, units, 0, expected, units);
            pd_gemm_reference(true, false, 1, units, at->lane_samples, 1, &one, 0, lane_dy, units,
                              0, expected + weight_count, units);
            assert_close(gradient + lane * (weight_count + units), expected, weight_count + units,
                         at->lane_samples);
        }
        free(gradient);
        free(expected);
        free(x);
        free(weights);
        free(bias);
        free(dy);
    }
}

static void bits_do_not_depend_on_threads_batch_or_lanes(void **state)
{
    (void)state;
    for (const dense_case *at = cases; at < cases + CASES; at++) {
        int samples = at->lanes * at->lane_samples, inputs = at->inputs, units = at->units;
        size_t outputs = (size_t)samples * units, stride = (size_t)(inputs + 1) * units;
        size_t lane_outputs = outputs / at->lanes, lane_x = (size_t)at->lane_samples * inputs;
        float *x = make_array((size_t)samples * inputs, 1);
        float *weights = make_array((size_t)inputs * units, 2), *dy = make_array(outputs, 4);
        float *y = run_forward(at, x, samples, weights, NULL, true, 1);
        float *gradient = run_weights(at, x, dy, at->lanes, 1);
        float *dx = make_array((size_t)samples * inputs, 0);
        float *other_dx = make_array((size_t)samples * inputs, 0);
        run_input(at, dy, weights, at->lanes, 1, dx);
        for (int threads = 2; threads <= 3; threads++) {
            float *other = run_forward(at, x, samples, weights, NULL, true, threads);
            assert_memory_equal(other, y, outputs * sizeof *y);
            free(other);
            other = run_weights(at, x, dy, at->lanes, threads);
            assert_memory_equal(other, gradient, at->lanes * stride * sizeof *other);
            free(other);
        }
        for (int n = 0; n < samples; n++) {
            float *alone = run_forward(at, x + (size_t)n * inputs, 1, weights, NULL, true, 2);
            assert_memory_equal(alone, y + (size_t)n * units, units * sizeof *y);
            free(alone);
        }
        for (int lane = 0; lane < at->lanes; lane++) {
            const float *own_dy = dy + lane * lane_outputs;
            float *alone = run_weights(at, x + lane * lane_x, own_dy, 1, 2);
            assert_memory_equal(alone, gradient + lane * stride, stride * sizeof *alone);
            free(alone);
            run_input(at, own_dy, weights, 1, 2, other_dx + lane * lane_x);
        }
        assert_memory_equal(other_dx, dx, (size_t)samples * inputs * sizeof *dx);
        free(x);
        free(weights);
        free(dy);
        free(y);
        free(gradient);
        free(dx);
        free(other_dx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_plain_loops),
        cmocka_unit_test(bits_do_not_depend_on_threads_batch_or_lanes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
