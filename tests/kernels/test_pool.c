/* Pooling against plain loops in double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/random.h"
#include "pneumo/kernels/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/arrays.h"

static size_t at(const pd_window *g, int n, int iy, int ix, int j)
{
    return (((size_t)n * g->h + iy) * g->w + ix) * g->c + j;
}

static size_t out_at(const pd_window *g, int n, int oy, int ox, int j)
{
    return (((size_t)n * g->out_h + oy) * g->out_w + ox) * g->c + j;
}

/* Max and average pooling in both directions, one output at a time, in double. */
static void pool_reference(const pd_window *g, int samples, const float *x, const float *dy,
                           double *max, double *max_dx, double *average, double *average_dx)
{
    for (int n = 0; n < samples; n++)
        for (int oy = 0; oy < g->out_h; oy++)
            for (int ox = 0; ox < g->out_w; ox++)
                for (int j = 0; j < g->c; j++) {
                    size_t out = out_at(g, n, oy, ox, j), inside[PD_POOL_WINDOW_MAX], best = 0;
                    int count = 0;
                    double sum = 0;
                    for (int ky = 0; ky < g->kernel_h; ky++)
                        for (int kx = 0; kx < g->kernel_w; kx++) {
                            int iy = oy * g->stride - g->pad_top + ky;
                            int ix = ox * g->stride - g->pad_left + kx;
                            if (iy < 0 || iy >= g->h || ix < 0 || ix >= g->w)
                                continue;
                            size_t in = at(g, n, iy, ix, j);
                            if (count == 0 || x[in] > x[best])
                                best = in;
                            inside[count++] = in;
                            sum += x[in];
                        }
                    max[out] = x[best];
                    max_dx[best] += dy[out];
                    average[out] = sum / count;
                    for (int k = 0; k < count; k++)
                        average_dx[inside[k]] += dy[out] / count;
                }
}

static void assert_near(const float *got, const double *want, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) <= 2e-6 * (1 + fabs(want[i]))))
            fail_msg("element %zu is %.9g, expected %.9g", i, got[i], want[i]);
}

static void check_window(int h, int w, int c, int kernel_h, int kernel_w, int stride, bool same,
                         int threads)
{
    const int samples = 2;
    pd_window g = pd_window_make(h, w, c, kernel_h, kernel_w, stride, same);
    size_t in = (size_t)samples * h * w * c, out = (size_t)samples * g.out_h * g.out_w * c;
    float *x = make_zeros(in, sizeof(float)), *dx = make_zeros(in, sizeof(float));
    float *y = make_zeros(out, sizeof(float)), *dy = make_zeros(out, sizeof(float));
    uint8_t *argmax = make_zeros(out, 1);
    double *max = make_zeros(out, sizeof(double)), *average = make_zeros(out, sizeof(double));
    double *max_dx = make_zeros(in, sizeof(double)), *average_dx = make_zeros(in, sizeof(double));
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 0, in);
    for (size_t i = 0; i < in; i++) /* few distinct values, so that ties occur; half are negative */
        x[i] = (float)pd_random_below(&random, 7) - 3;
    for (size_t i = 0; i < out; i++) /* eighths, so that sums of them are exact */
        dy[i] = ((float)pd_random_below(&random, 65) - 32) / 8;
    pool_reference(&g, samples, x, dy, max, max_dx, average, average_dx);

    pd_pool_max(&g, samples, PD_FLOAT32, x, y, argmax, threads);
    assert_near(y, max, out);
    memset(dx, 0xFF, in * sizeof(float)); /* outputs are overwritten */
    pd_pool_max_backward(&g, samples, PD_FLOAT32, dy, argmax, dx, threads);
    assert_near(dx, max_dx, in);
    memset(y, 0, out * sizeof(float));
    pd_pool_max(&g, samples, PD_FLOAT32, x, y, NULL, threads);
    assert_near(y, max, out);

    pd_pool_average(&g, samples, x, y, threads);
    assert_near(y, average, out);
    memset(dx, 0xFF, in * sizeof(float));
    pd_pool_average_backward(&g, samples, dy, dx, threads);
    assert_near(dx, average_dx, in);

    free(x);
    free(dx);
    free(y);
    free(dy);
    free(argmax);
    free(max);
    free(average);
    free(max_dx);
    free(average_dx);
}

static void test_windows(void **state)
{
    (void)state;
    /* Channels around the chunk widths of the kernels. */
    const int channels[] = {1, 3, 7, 8, 9, 15, 16, 17, 24, 31, 33};
    for (size_t k = 0; k < sizeof channels / sizeof *channels; k++) {
        int c = channels[k];
        check_window(7, 9, c, 2, 2, 2, false, 2);
        check_window(7, 9, c, 2, 2, 2, true, 2);
        check_window(8, 7, c, 3, 3, 2, true, 3);
        check_window(5, 6, c, 3, 3, 1, true, 2);
        check_window(11, 10, c, 5, 2, 3, false, 1);
        check_window(7, 8, c, 1, 2, 3, true, 2);
        check_window(3, 4, c, 5, 5, 2, true, 2);
        check_window(1, 1, c, 1, 1, 1, false, 2);
    }
    check_window(20, 17, 2, 16, 16, 1, true, 2); /* the largest index that fits into a byte */
}

static void test_nan_wins(void **state)
{
    (void)state;
    pd_window g = pd_window_make(2, 2, 1, 2, 2, 2, false);
    for (int nan_at = 0; nan_at < 4; nan_at++) {
        float x[4] = {1, 2, -1, 3}, y;
        uint8_t argmax;
        x[nan_at] = NAN;
        pd_pool_max(&g, 1, PD_FLOAT32, x, &y, &argmax, 1);
        assert_true(isnan(y));
        assert_int_equal(argmax, nan_at);
    }
}

static void test_global(void **state)
{
    (void)state;
    const int samples = 3, pixels = 35;
    for (int c = 1; c < 40; c += 6) {
        size_t in = (size_t)samples * pixels * c, out = (size_t)samples * c;
        float *x = make_zeros(in, sizeof(float)), *y = make_zeros(out, sizeof(float));
        double *mean = make_zeros(out, sizeof(double)), *spread = make_zeros(in, sizeof(double));
        pd_random random = pd_random_stream(2, PD_PURPOSE_TEST, 0, in);
        for (size_t i = 0; i < in; i++)
            x[i] = pd_random_normal(&random);
        for (size_t i = 0; i < in; i++)
            mean[i / (pixels * c) * c + i % c] += x[i] / (double)pixels;
        pd_pool_global(samples, pixels, c, PD_FLOAT32, x, y, 2);
        assert_near(y, mean, out);
        for (size_t i = 0; i < in; i++)
            spread[i] = y[i / (pixels * c) * c + i % c] / (double)pixels;
        pd_pool_global_backward(samples, pixels, c, PD_FLOAT32, y, x, 2);
        assert_near(x, spread, in);
        free(x);
        free(y);
        free(mean);
        free(spread);
    }
}

static void test_global_max(void **state)
{
    (void)state;
    enum { SAMPLES = 2, PIXELS = 5, C = 3, IN = SAMPLES * PIXELS * C, OUT = SAMPLES * C };
    float x[IN], y[OUT], dx[IN];
    const float dy[OUT] = {1, 2, 3, 4, 5, 6};
    int64_t argmax[OUT];
    for (int i = 0; i < IN; i++)
        x[i] = (float)(i * 7 % 11); /* has ties */
    x[2 * C + 1] = NAN;
    pd_pool_global_max(SAMPLES, PIXELS, C, x, y, argmax, 2);
    pd_pool_global_max_backward(SAMPLES, PIXELS, C, dy, argmax, dx, 2);
    for (int i = 0; i < OUT; i++) {
        const float *in = x + i / C * PIXELS * C + i % C;
        int best = 0;
        for (int p = 1; p < PIXELS; p++)
            if (in[p * C] > in[best * C])
                best = p;
        best = i == 1 ? 2 : best;
        assert_int_equal(argmax[i], best);
        assert_true(i == 1 ? isnan(y[i]) : y[i] == in[best * C]);
        for (int p = 0; p < PIXELS; p++)
            assert_true(dx[(i / C * PIXELS + p) * C + i % C] == (p == best ? dy[i] : 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_nan_wins),
        cmocka_unit_test(test_global),
        cmocka_unit_test(test_global_max),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
