#include "golden/statistics.h"
#include "metrics/made_scores.h"
#include "pneumo/metrics/difference.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 400 };

static void check_difference(const char *what, pd_difference d, const double expected[4])
{
    char name[64];
    const double values[] = {d.value, d.low, d.high, d.p};
    const char *parts[] = {"value", "low", "high", "p"};
    for (size_t i = 0; i < COUNT(parts); i++) {
        snprintf(name, sizeof name, "%s: %s", what, parts[i]);
        check_close(name, values[i], expected[i], 1e-9);
    }
}

static void test_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden_differences); i++) {
        const struct golden_difference *g = &golden_differences[i];
        size_t count = (size_t)g->count;
        pd_score a[MOST], b[MOST];
        for (int j = 0; j < g->count; j++) {
            a[j] = (pd_score)SCORE(j, g->a[j], g->truth[j]);
            b[j] = (pd_score)SCORE(j, g->b[j], g->truth[j]);
        }
        pd_difference d;
        assert_int_equal(pd_difference_auc(&d, a, b, count), PD_OK);
        check_difference("AUC", d, g->auc);
        assert_int_equal(
            pd_difference_accuracy(&d, a, g->thresholds[0], b, g->thresholds[1], count), PD_OK);
        check_difference("accuracy", d, g->accuracy);

        /* Neither the order of the models nor that of the samples matters. */
        shuffle_scores(a, count, 1);
        shuffle_scores(b, count, 2);
        const double auc[] = {-g->auc[0], -g->auc[2], -g->auc[1], g->auc[3]};
        assert_int_equal(pd_difference_auc(&d, b, a, count), PD_OK);
        check_difference("AUC, exchanged", d, auc);
        const double accuracy[] = {-g->accuracy[0], -g->accuracy[2], -g->accuracy[1],
                                   g->accuracy[3]};
        assert_int_equal(
            pd_difference_accuracy(&d, b, g->thresholds[1], a, g->thresholds[0], count), PD_OK);
        check_difference("accuracy, exchanged", d, accuracy);
    }
}

/* Scores of two models: both correct on e samples, only the first on f, only the second on g,
 * neither on h. */
static size_t make_pairs(pd_score *a, pd_score *b, int e, int f, int g, int h)
{
    int count = e + f + g + h;
    for (int i = 0; i < count; i++) {
        int32_t truth = i % 3 == 0;
        bool right_a = i < e + f, right_b = i < e || (i >= e + f && i < e + f + g);
        a[i] = (pd_score)SCORE(i, right_a == truth ? 0.9 : 0.1, truth);
        b[i] = (pd_score)SCORE(i, right_b == truth ? 0.7 : 0.2, truth);
    }
    return (size_t)count;
}

/* Altman, Machin, Bryant, Gardner, "Statistics with confidence", 2000, table 6.2, and Fagerland,
 * Lydersen, Laake, Statistics in Medicine 33, 2850-2875, 2014 (airway hyper-responsiveness). */
static void test_accuracy_published(void **state)
{
    (void)state;
    const struct {
        int e, f, g, h;
        double value, low, high, p;
    } table[] = {{14, 5, 0, 22, 0.122, 0.011, 0.226, 0.0625},
                 {1, 1, 7, 12, -0.286, -0.507, -0.026, 0.0703}};
    for (size_t i = 0; i < COUNT(table); i++) {
        pd_score a[MOST], b[MOST];
        size_t count = make_pairs(a, b, table[i].e, table[i].f, table[i].g, table[i].h);
        pd_difference d;
        assert_int_equal(pd_difference_accuracy(&d, a, 0.5, b, 0.5, count), PD_OK);
        check_close("value", d.value, table[i].value, 5.1e-4);
        check_close("low", d.low, table[i].low, 5.1e-4);
        check_close("high", d.high, table[i].high, 5.1e-4);
        check_close("p", d.p, table[i].p, 5.1e-5);
    }
}

/* For any cells, an interval must lie within -1..1, contain the value and have a positive width. */
static void test_accuracy_all_tables(void **state)
{
    (void)state;
    for (int e = 0; e < 6; e++)
        for (int f = 0; f < 6; f++)
            for (int g = 0; g < 6; g++)
                for (int h = 0; h < 6; h++) {
                    pd_score a[MOST], b[MOST];
                    size_t count = make_pairs(a, b, e, f, g, h);
                    pd_difference d;
                    assert_int_equal(pd_difference_accuracy(&d, a, 0.5, b, 0.5, count), PD_OK);
                    if (count == 0) {
                        assert_true(isnan(d.value) && isnan(d.low) && isnan(d.high) && isnan(d.p));
                        continue;
                    }
                    assert_true(d.low >= -1 - 1e-12 && d.high <= 1 + 1e-12);
                    assert_true(d.low <= d.value && d.value <= d.high && d.high - d.low > 0.05);
                    assert_true(d.p > 0 && d.p <= 1);
                    assert_true(f != g || d.p == 1);
                }
}

/* Many discordant pairs: close to the normal approximation with continuity correction. */
static void test_mcnemar_large(void **state)
{
    (void)state;
    enum { LARGE = 20000 };
    static pd_score a[LARGE], b[LARGE];
    size_t count = make_pairs(a, b, 0, 10150, 9850, 0);
    pd_difference d;
    assert_int_equal(pd_difference_accuracy(&d, a, 0.5, b, 0.5, count), PD_OK);
    check_close("p", d.p, erfc(299 / sqrt(20000) * M_SQRT1_2), 1e-4);
    count = make_pairs(a, b, 0, LARGE, 0, 0);
    assert_int_equal(pd_difference_accuracy(&d, a, 0.5, b, 0.5, count), PD_OK);
    check_close("p", d.p, 0, 0);
}

static void test_auc_degenerate(void **state)
{
    (void)state;
    pd_score right[40], wrong[40], equal[40];
    for (int i = 0; i < 40; i++) {
        right[i] = (pd_score)SCORE(i, i < 20 ? 0.1 : 0.9, i >= 20);
        wrong[i] = (pd_score)SCORE(i, i < 20 ? 0.9 : 0.1, i >= 20);
        equal[i] = (pd_score)SCORE(i, 0.5, i >= 20);
    }
    pd_difference d;
    pd_figure auc;
    assert_int_equal(pd_auc(&auc, right, 40), PD_OK);
    /* Neither is ever wrong: no difference, but an interval of positive width. */
    assert_int_equal(pd_difference_auc(&d, right, right, 40), PD_OK);
    assert_true(d.value == 0 && d.p == 1);
    check_close("low", d.low, auc.low - 1, 1e-12);
    check_close("high", d.high, 1 - auc.low, 1e-12);
    assert_int_equal(pd_difference_auc(&d, right, equal, 40), PD_OK);
    assert_true(d.value == 0.5 && d.low > 0.2 && d.low < 0.5 && d.high <= 1 && d.p < 1e-3);
    assert_true(d.p > 1e-12);
    assert_int_equal(pd_difference_auc(&d, wrong, right, 40), PD_OK);
    assert_true(d.value == -1 && d.low >= -1 && d.high < -0.5 && d.p < 1e-6);
    /* One positive: DeLong's variance does not exist. */
    const pd_score one_a[] = {SCORE(1, 0.9, 1), SCORE(2, 0.1, 0), SCORE(3, 0.2, 0)};
    const pd_score one_b[] = {SCORE(1, 0.1, 1), SCORE(2, 0.3, 0), SCORE(3, 0.2, 0)};
    assert_int_equal(pd_difference_auc(&d, one_a, one_b, 3), PD_OK);
    assert_true(d.value == 1 && d.low < 0.9 && d.high == 1 && d.p > 0.001 && d.p < 0.5);
    assert_int_equal(pd_difference_auc(&d, one_a, one_a, 3), PD_OK);
    assert_true(d.value == 0 && d.low < -0.1 && d.high > 0.1 && d.p == 1);
    /* One class, and none. */
    assert_int_equal(pd_difference_auc(&d, right, wrong, 20), PD_OK);
    assert_true(isnan(d.value) && isnan(d.low) && isnan(d.high) && isnan(d.p));
    assert_int_equal(pd_difference_auc(&d, NULL, NULL, 0), PD_OK);
    assert_true(isnan(d.value) && isnan(d.p));
}

/* p and the interval must agree. */
static void test_auc_interval_and_p(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 200; number++) {
        pd_score a[MOST], b[MOST];
        size_t count = make_scores(a, number, 60, 1000);
        pd_random random = pd_random_stream(3, PD_PURPOSE_TEST, 3, number);
        memcpy(b, a, count * sizeof *b);
        for (size_t i = 0; i < count; i++)
            b[i].probability += number % 3 ? (double)pd_random_uniform(&random) : b[i].positive;
        pd_difference d;
        assert_int_equal(pd_difference_auc(&d, a, b, count), PD_OK);
        assert_true(d.low >= -1 && d.low <= d.value && d.value <= d.high && d.high <= 1);
        assert_int_equal(d.p<0.05, d.low> 0 || d.high < 0);
    }
}

/* Repeating each image k times for its patient adds nothing. */
static void test_repeated(void **state)
{
    (void)state;
    enum { SINGLE = 60, REPEATS = 5 };
    for (uint64_t number = 0; number < 20; number++) {
        pd_score a[SINGLE], b[SINGLE], many_a[SINGLE * REPEATS], many_b[SINGLE * REPEATS];
        size_t count = make_scores(a, number, SINGLE, 1000);
        pd_random random = pd_random_stream(4, PD_PURPOSE_TEST, 4, number);
        memcpy(b, a, count * sizeof *b);
        for (size_t i = 0; i < count; i++)
            b[i].probability += (double)pd_random_uniform(&random) - 0.5;
        for (size_t i = 0; i < count * REPEATS; i++) {
            many_a[i] = a[i / REPEATS];
            many_b[i] = b[i / REPEATS];
            many_a[i].id = many_b[i].id = (int64_t)i;
        }
        pd_difference one, many;
        assert_int_equal(pd_difference_auc(&one, a, b, count), PD_OK);
        assert_int_equal(pd_difference_auc(&many, many_a, many_b, count * REPEATS), PD_OK);
        check_difference("AUC", many, (const double[]){one.value, one.low, one.high, one.p});
        assert_int_equal(pd_difference_accuracy(&one, a, 0.5, b, 0.5, count), PD_OK);
        assert_int_equal(pd_difference_accuracy(&many, many_a, 0.5, many_b, 0.5, count * REPEATS),
                         PD_OK);
        check_close("accuracy", many.value, one.value, 1e-12);
        check_close("accuracy, p", many.p, one.p, 1e-9);
        /* The design effect is that of a sample: REPEATS but for the divisors n - 1. */
        double width = one.high - one.low;
        check_close("accuracy, low", many.low, one.low, width / (double)count);
        check_close("accuracy, high", many.high, one.high, width / (double)count);
    }
}

/* p by trying all signs of the patients' leads. */
static void test_accuracy_all_signs(void **state)
{
    (void)state;
    enum { PATIENTS = 9, EACH = 4, COUNT_ALL = PATIENTS * EACH };
    for (uint64_t number = 0; number < 50; number++) {
        pd_score a[COUNT_ALL], b[COUNT_ALL];
        int leads[PATIENTS] = {0}, sum = 0, as_large = 0;
        pd_random random = pd_random_stream(5, PD_PURPOSE_TEST, 5, number);
        for (int i = 0; i < COUNT_ALL; i++) {
            bool right_a = pd_random_below(&random, 4) > 0, right_b = pd_random_below(&random, 2);
            a[i] = (pd_score)SCORE(i, right_a ? 0.9 : 0.1, 1);
            b[i] = (pd_score)SCORE(i, right_b ? 0.9 : 0.1, 1);
            a[i].patient = b[i].patient = i % PATIENTS;
            leads[i % PATIENTS] += right_a - right_b;
            sum += right_a - right_b;
        }
        for (int signs = 0; signs < 1 << PATIENTS; signs++) {
            int flipped = 0;
            for (int i = 0; i < PATIENTS; i++)
                flipped += signs >> i & 1 ? -leads[i] : leads[i];
            as_large += abs(flipped) >= abs(sum);
        }
        pd_difference d;
        assert_int_equal(pd_difference_accuracy(&d, a, 0.5, b, 0.5, COUNT_ALL), PD_OK);
        check_close("p", d.p, as_large / (double)(1 << PATIENTS), 1e-12);
        check_close("value", d.value, sum / (double)COUNT_ALL, 1e-12);
    }
}

/* Two equally good models with errors that the images of a patient share: p is below 0.05 in about
 * 5 % of experiments, and the interval contains 0 in about 95 %. */
static void test_same_models(void **state)
{
    (void)state;
    enum { EXPERIMENTS = 1000, PATIENTS = 60, EACH = 5, IMAGES = PATIENTS * EACH };
    int significant[2][2] = {0}, missed[2][2] = {0}; /* [AUC, accuracy][by patient, by image] */
    for (uint64_t number = 0; number < EXPERIMENTS; number++) {
        static pd_score a[IMAGES], b[IMAGES];
        pd_random random = pd_random_stream(6, PD_PURPOSE_TEST, 6, number);
        for (int32_t patient = 0; patient < PATIENTS; patient++) {
            int32_t truth = patient % 2;
            double both = (double)pd_random_normal(&random) + 1.5 * (truth - 0.5);
            double own_a = (double)pd_random_normal(&random);
            double own_b = (double)pd_random_normal(&random);
            for (int i = patient * EACH; i < (patient + 1) * EACH; i++) {
                double x = both + own_a + 0.5 * (double)pd_random_normal(&random);
                double y = both + own_b + 0.5 * (double)pd_random_normal(&random);
                a[i] = (pd_score)SCORE(i, 1 / (1 + exp(-x)), truth);
                b[i] = (pd_score)SCORE(i, 1 / (1 + exp(-y)), truth);
                a[i].patient = b[i].patient = patient;
            }
        }
        for (int by_image = 0; by_image < 2; by_image++) {
            for (int i = 0; i < IMAGES && by_image; i++)
                a[i].patient = b[i].patient = i;
            pd_difference d[2];
            assert_int_equal(pd_difference_auc(&d[0], a, b, IMAGES), PD_OK);
            assert_int_equal(pd_difference_accuracy(&d[1], a, 0.5, b, 0.5, IMAGES), PD_OK);
            for (int figure = 0; figure < 2; figure++) {
                significant[figure][by_image] += d[figure].p < 0.05;
                missed[figure][by_image] += d[figure].low > 0 || d[figure].high < 0;
            }
        }
    }
    for (int figure = 0; figure < 2; figure++) {
        printf("%s: p < 0.05 in %.1f %% by patient, %.1f %% by image\n",
               figure ? "accuracy" : "AUC", 100.0 * significant[figure][0] / EXPERIMENTS,
               100.0 * significant[figure][1] / EXPERIMENTS);
        assert_in_range(significant[figure][0], EXPERIMENTS * 2 / 100, EXPERIMENTS * 7 / 100);
        assert_in_range(missed[figure][0], EXPERIMENTS * 2 / 100, EXPERIMENTS * 7 / 100);
        assert_true(significant[figure][1] > EXPERIMENTS / 5);
    }
}

static void check_refused(const pd_score *a, const pd_score *b, size_t count, const char *complaint)
{
    pd_difference d;
    assert_int_equal(pd_difference_auc(&d, a, b, count), PD_FAILED);
    if (!strstr(pd_error_message(), complaint))
        fail_msg("%s", pd_error_message());
    assert_int_equal(pd_difference_accuracy(&d, a, 0.5, b, 0.5, count), PD_FAILED);
    if (!strstr(pd_error_message(), complaint))
        fail_msg("%s", pd_error_message());
}

static void test_refused(void **state)
{
    (void)state;
    const pd_score good[] = {SCORE(5, 0.1, 0), SCORE(3, 0.9, 1)};
    const pd_score other[] = {SCORE(5, 0.1, 0), SCORE(4, 0.9, 1)};
    const pd_score truth[] = {SCORE(5, 0.1, 1), SCORE(3, 0.9, 1)};
    const pd_score twice[] = {SCORE(5, 0.1, 0), SCORE(5, 0.9, 1)};
    const pd_score nan[] = {SCORE(5, NAN, 0), SCORE(3, 0.9, 1)};
    check_refused(good, other, 2, "sample 3;");
    check_refused(other, good, 2, "sample 3;");
    check_refused(good, truth, 2, "sample 5 is normal for one and pneumonia for the other");
    check_refused(good, twice, 2, "sample 5 has two scores");
    check_refused(twice, good, 2, "sample 5 has two scores");
    check_refused(good, nan, 2, "sample 5");
    pd_difference d;
    assert_int_equal(pd_difference_accuracy(&d, good, NAN, good, 0.5, 2), PD_FAILED);
    assert_int_equal(pd_difference_accuracy(&d, good, 0.5, good, NAN, 2), PD_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_accuracy_published),
        cmocka_unit_test(test_accuracy_all_tables),
        cmocka_unit_test(test_mcnemar_large),
        cmocka_unit_test(test_auc_degenerate),
        cmocka_unit_test(test_auc_interval_and_p),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_accuracy_all_signs),
        cmocka_unit_test(test_same_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
