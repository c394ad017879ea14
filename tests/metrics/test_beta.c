#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden/beta.h"
#include "metrics/beta.h"

#include <math.h>

static void check_log(const char *name, const struct golden_beta *g, double found, double expected)
{
    /* The tolerance: four times the error in the header; relative where the logarithm is large.
     */
    double tolerance = 4e-16 * (g->a + g->b) + 4e-14 + 4e-15 * fabs(expected);
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("a %g, b %g, x %.17g: %s is %.17g, expected %.17g", g->a, g->b, g->x, name, found,
                 expected);
}

/* Against 400-digit sums, from parameters below 1 to counts of millions and from tails of 1e-300
 * million to those that round to 1. A logarithm close to 0 must have a small relative error. */
static void test_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden_betas / sizeof *golden_betas; i++) {
        const struct golden_beta *g = &golden_betas[i];
        pd_beta_tails tails = pd_beta_log_tails(g->a, g->b, g->x);
        check_log("log_below", g, tails.log_below, g->log_below);
        check_log("log_above", g, tails.log_above, g->log_above);
        const double pairs[2][2] = {{tails.log_below, g->log_below},
                                    {tails.log_above, g->log_above}};
        for (int j = 0; j < 2; j++)
            if (pairs[j][1] > -1e-3 && pairs[j][1] < 0)
                assert_true(fabs(pairs[j][0] / pairs[j][1] - 1) <
                            1e-12 + 4e-15 * (g->a + g->b) - 4e-15 * g->log_below);
    }
}

/* Checks without a table: I_x(a, 1) = x^a, the symmetry, and that both tails add up to 1. */
static void test_identities(void **state)
{
    (void)state;
    for (double a = 0.25; a < 1e6; a *= 3.7)
        for (double x = 1.0 / 64; x < 1; x += 1.0 / 64) {
            double expected = a * log(x);
            assert_true(fabs(pd_beta_log_tails(a, 1, x).log_below - expected) <=
                        1e-13 + 1e-15 * (a - expected));
            for (double b = 0.5; b < 1e4; b *= 17) {
                pd_beta_tails t = pd_beta_log_tails(a, b, x), m = pd_beta_log_tails(b, a, 1 - x);
                assert_true(t.log_below == m.log_above && t.log_above == m.log_below);
                assert_true(fabs(exp(t.log_below) + exp(t.log_above) - 1) < 1e-14);
            }
        }
}

static void test_ends(void **state)
{
    (void)state;
    pd_beta_tails tails = pd_beta_log_tails(3, 4, 0);
    assert_true(tails.log_below == -INFINITY && tails.log_above == 0);
    tails = pd_beta_log_tails(3, 4, 1);
    assert_true(tails.log_below == 0 && tails.log_above == -INFINITY);
    const double wrong[][3] = {{0, 1, 0.5}, {1, 0, 0.5},   {-1, 1, 0.5},       {1, 1, -0.1},
                               {1, 1, 1.1}, {NAN, 1, 0.5}, {1, INFINITY, 0.5}, {1, 1, NAN}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tails = pd_beta_log_tails(wrong[i][0], wrong[i][1], wrong[i][2]);
        assert_true(isnan(tails.log_below) && isnan(tails.log_above));
    }
}

/* Counts of a national archive, where the fraction converges slowest. */
static void test_billions(void **state)
{
    (void)state;
    pd_beta_tails tails = pd_beta_log_tails(9.5e8, 5e7, 0.95);
    assert_true(fabs(exp(tails.log_below) - 0.5) < 1e-4);
    assert_true(fabs(exp(tails.log_below) + exp(tails.log_above) - 1) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_billions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
