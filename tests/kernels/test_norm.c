/* Normalisation against plain loops in double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/random.h"
#include "pneumo/kernels/norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/arrays.h"

/* Arrays of one problem; x has the given mean and a deviation of 1. */
typedef struct problem {
    pd_norm norm;
    size_t size;
    float *x, *dy, *out, *mean, *scale, *beta, *dz_mean, *slope, *workspace;
    double *sums, *expected;
} problem;

static float *make_normal(size_t count, pd_random *random, float mean)
{
    float *values = make_zeros(count, sizeof(float));
    for (size_t i = 0; i < count; i++)
        values[i] = mean + pd_random_normal(random);
    return values;
}

static void problem_open(problem *p, int lanes, size_t rows, int c, bool relu, float mean)
{
    pd_random random = pd_random_stream(3, PD_PURPOSE_TEST, 0, rows);
    size_t columns = (size_t)lanes * (size_t)c;
    p->size = columns * rows;
    p->x = make_normal(p->size, &random, mean);
    p->dy = make_normal(p->size, &random, 0.5f);
    p->out = make_zeros(p->size, sizeof(float));
    p->mean = make_normal(columns, &random, mean);
    p->scale = make_normal(columns, &random, 0);
    p->beta = make_normal((size_t)c, &random, 0);
    p->dz_mean = make_normal(columns, &random, 0);
    p->slope = make_normal(columns, &random, 0);
    p->workspace = make_zeros(pd_norm_workspace(lanes, rows, c), sizeof(float));
    p->sums = make_zeros(2 * columns, sizeof(double));
    p->expected = make_zeros(2 * columns, sizeof(double));
    p->norm = (pd_norm){lanes, rows, c, relu, p->mean, p->scale, p->beta, PD_FLOAT32};
}

static void problem_close(problem *p)
{
    free(p->x);
    free(p->dy);
    free(p->out);
    free(p->mean);
    free(p->scale);
    free(p->beta);
    free(p->dz_mean);
    free(p->slope);
    free(p->workspace);
    free(p->sums);
    free(p->expected);
}

/* Index [lane][c] of element i, and of its first sum in [lane][2][c]. */
static size_t column_of(const problem *p, size_t i)
{
    size_t c = (size_t)p->norm.c;
    return i / (p->norm.rows * c) * c + i % c;
}

static size_t sum_of(const problem *p, size_t i)
{
    size_t c = (size_t)p->norm.c;
    return i / (p->norm.rows * c) * 2 * c + i % c;
}

static double reference_z(const problem *p, size_t i)
{
    size_t column = column_of(p, i);
    return ((double)p->x[i] - p->mean[column]) * p->scale[column] + p->beta[i % (size_t)p->norm.c];
}

static double reference_dz(const problem *p, size_t i)
{
    return !p->norm.relu || reference_z(p, i) > 0 ? p->dy[i] : 0;
}

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want))))
        fail_msg("%.9g, expected %.9g", got, want);
}

/* The first row of a block may be some deviations off the mean. Squares relative to it are up to
 * about ten times larger than squares around the mean, and so are their float errors. */
static void check_sums(problem *p, const double *expected)
{
    size_t columns = (size_t)p->norm.lanes * (size_t)p->norm.c;
    for (size_t i = 0; i < 2 * columns; i++)
        assert_near(p->sums[i] / (double)p->norm.rows, expected[i] / (double)p->norm.rows, 1e-5);
}

static void check(int lanes, size_t rows, int c, bool relu, int threads)
{
    problem p;
    problem_open(&p, lanes, rows, c, relu, 0.3f);
    size_t columns = (size_t)lanes * (size_t)c;

    for (size_t i = 0; i < p.size; i++) {
        p.expected[sum_of(&p, i)] += p.x[i];
        p.expected[sum_of(&p, i) + (size_t)c] += (double)p.x[i] * p.x[i];
    }
    pd_norm_sums(&p.norm, p.x, p.workspace, p.sums, threads);
    check_sums(&p, p.expected);

    pd_norm_forward(&p.norm, p.x, p.out, threads);
    for (size_t i = 0; i < p.size; i++) {
        double z = reference_z(&p, i);
        assert_near(p.out[i], relu && z < 0 ? 0 : z, 1e-6);
    }

    memset(p.expected, 0, 2 * columns * sizeof(double));
    for (size_t i = 0; i < p.size; i++) {
        p.expected[sum_of(&p, i)] += reference_dz(&p, i);
        p.expected[sum_of(&p, i) + (size_t)c] +=
            reference_dz(&p, i) * ((double)p.x[i] - p.mean[column_of(&p, i)]);
    }
    pd_norm_backward_sums(&p.norm, p.x, p.dy, p.workspace, p.sums, threads);
    check_sums(&p, p.expected);

    memcpy(p.out, p.dy, p.size * sizeof(float)); /* dx may be dy */
    pd_norm_backward(&p.norm, p.x, p.out, p.dz_mean, p.slope, p.out, threads);
    for (size_t i = 0; i < p.size; i++) {
        size_t column = column_of(&p, i);
        double centered = (double)p.x[i] - p.mean[column];
        assert_near(p.out[i],
                    p.scale[column] *
                        (reference_dz(&p, i) - p.dz_mean[column] - centered * p.slope[column]),
                    3e-6);
    }
    problem_close(&p);
}

static void test_against_reference(void **state)
{
    (void)state;
    /* Rows around the block of 128 and the step of 4, channels around vector widths. */
    const size_t rows[] = {1, 3, 4, 127, 128, 129, 391};
    const int channels[] = {1, 5, 16, 24, 35};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < sizeof channels / sizeof *channels; k++) {
            check(1, rows[i], channels[k], false, 1);
            check(3, rows[i], channels[k], true, 2);
        }
}

/* A mean of 3000 with a deviation of 1: float sums of squares would lose the variance. */
static void test_large_mean_keeps_the_variance(void **state)
{
    (void)state;
    problem p;
    problem_open(&p, 1, 1000, 7, false, 3000);
    pd_norm_sums(&p.norm, p.x, p.workspace, p.sums, 2);
    for (int j = 0; j < 7; j++) {
        double mean = 0, variance = 0;
        for (size_t r = 0; r < 1000; r++)
            mean += p.x[r * 7 + (size_t)j] / 1000.0;
        for (size_t r = 0; r < 1000; r++)
            variance += pow(p.x[r * 7 + (size_t)j] - mean, 2) / 1000;
        double got = p.sums[j] / 1000;
        assert_near(p.sums[7 + j] / 1000 - got * got, variance, 1e-4);
    }
    problem_close(&p);
}

static void test_nan_passes_the_relu(void **state)
{
    (void)state;
    problem p;
    problem_open(&p, 1, 6, 20, true, 0);
    p.x[25] = NAN;
    pd_norm_forward(&p.norm, p.x, p.out, 1);
    for (size_t i = 0; i < p.size; i++)
        assert_int_equal(isnan(p.out[i]) != 0, i == 25);
    problem_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_reference),
        cmocka_unit_test(test_large_mean_keeps_the_variance),
        cmocka_unit_test(test_nan_passes_the_relu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
