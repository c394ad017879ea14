#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden/metrics.h"
#include "metrics/made_scores.h"
#include "pneumo/base/random.h"
#include "pneumo/metrics/metrics.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 400 };

static void check_figure(const char *name, const char *metric, pd_figure figure,
                         const double expected[3])
{
    char what[128];
    const double values[3] = {figure.value, figure.low, figure.high};
    const char *parts[3] = {"value", "low", "high"};
    for (int i = 0; i < 3; i++) {
        snprintf(what, sizeof what, "%s: %s.%s", name, metric, parts[i]);
        check_close(what, values[i], expected[i], 1e-9);
    }
}

static void test_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden_cases); i++) {
        const struct golden_case *g = &golden_cases[i];
        pd_score scores[GOLDEN_SAMPLES];
        for (int j = 0; j < g->count; j++)
            scores[j] = (pd_score)SCORE(j, g->score[j], g->truth[j]);
        pd_metrics m;
        assert_int_equal(pd_metrics_compute(&m, scores, (size_t)g->count, g->threshold), PD_OK);
        check_close("threshold", m.threshold, g->threshold, 0);
        check_figure(g->name, "accuracy", m.accuracy, g->accuracy);
        check_figure(g->name, "balanced_accuracy", m.balanced_accuracy, g->balanced_accuracy);
        check_figure(g->name, "sensitivity", m.sensitivity, g->sensitivity);
        check_figure(g->name, "specificity", m.specificity, g->specificity);
        check_figure(g->name, "precision", m.precision, g->precision);
        check_figure(g->name, "f1", m.f1, g->f1);
        check_figure(g->name, "auc", m.auc, g->auc);
    }
}

/* Newcombe, Statistics in Medicine 17, 857-872, 1998, table I, method 3. */
static void test_wilson_published(void **state)
{
    (void)state;
    const struct {
        int successes, trials;
        double low, high;
    } table[] = {{81, 263, 0.2553, 0.3662},
                 {15, 148, 0.0624, 0.1605},
                 {0, 20, 0, 0.1611},
                 {1, 29, 0.0061, 0.1718}};
    for (size_t i = 0; i < COUNT(table); i++) {
        pd_figure f = pd_wilson(table[i].successes, table[i].trials);
        check_close("value", f.value, (double)table[i].successes / table[i].trials, 0);
        check_close("low", f.low, table[i].low, 5.1e-5);
        check_close("high", f.high, table[i].high, 5.1e-5);
    }
}

static void test_wilson_limits(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 3000; n++) {
        pd_figure none = pd_wilson(0, n), all = pd_wilson(n, n);
        assert_true(none.value == 0 && none.low == 0 && none.high > 0 && none.high < 1);
        assert_true(all.value == 1 && all.high == 1 && all.low > 0 && all.low < 1);
        assert_true(fabs(none.high - (1 - all.low)) < 1e-12);
    }
    assert_true(isnan(pd_wilson(0, 0).value) && isnan(pd_wilson(0, 0).low));
    assert_true(isnan(pd_wilson(3, 2).value));
    assert_true(isnan(pd_wilson(-1, 2).high));
}

/* Newcombe, Statistics in Medicine 17, 873-890, 1998, table II, method 10, gives limits for
 * p1 - p2. With sensitivity p1 and specificity 1 - p2, balanced accuracy is (1 + p1 - p2) / 2. */
static void test_balanced_accuracy_published(void **state)
{
    (void)state;
    const struct {
        int a, m, b, n;
        double low, high;
    } table[] = {{56, 70, 48, 80, 0.0524, 0.3339},
                 {9, 10, 3, 10, 0.1705, 0.8090},
                 {10, 10, 0, 10, 0.6075, 1.0000}};
    for (size_t i = 0; i < COUNT(table); i++) {
        pd_score scores[MOST];
        int count = 0;
        for (int j = 0; j < table[i].m; j++, count++)
            scores[count] = (pd_score)SCORE(count, j < table[i].a ? 0.9 : 0.1, 1);
        for (int j = 0; j < table[i].n; j++, count++)
            scores[count] = (pd_score)SCORE(count, j < table[i].b ? 0.9 : 0.1, 0);
        pd_metrics m;
        assert_int_equal(pd_metrics_compute(&m, scores, (size_t)count, 0.5), PD_OK);
        check_close("low", 2 * m.balanced_accuracy.low - 1, table[i].low, 5.1e-5);
        check_close("high", 2 * m.balanced_accuracy.high - 1, table[i].high, 5.1e-5);
    }
}

/* DeLong's interval by comparing every positive with every negative. */
static pd_figure slow_auc(const pd_score *scores, size_t count)
{
    double beats[MOST] = {0}, m = 0, n = 0, auc = 0, s10 = 0, s01 = 0;
    for (size_t i = 0; i < count; i++)
        *(scores[i].positive ? &m : &n) += 1;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (scores[i].positive == scores[j].positive)
                continue;
            double lead = scores[i].positive ? scores[i].probability - scores[j].probability
                                             : scores[j].probability - scores[i].probability;
            beats[i] += (lead > 0) + 0.5 * (lead == 0);
        }
        beats[i] /= scores[i].positive ? n : m;
        auc += scores[i].positive ? beats[i] / m : 0;
    }
    for (size_t i = 0; i < count; i++)
        *(scores[i].positive ? &s10 : &s01) += pow(beats[i] - auc, 2);
    double half = 1.959963984540054 * sqrt(s10 / (m - 1) / m + s01 / (n - 1) / n);
    return (pd_figure){auc, fmax(0, auc - half), fmin(1, auc + half)};
}

static void test_auc_against_slow(void **state)
{
    (void)state;
    pd_score scores[MOST];
    int compared = 0;
    for (uint64_t number = 0; number < 60; number++) {
        size_t count = make_scores(scores, number, MOST, number % 2 ? 7 : 100000);
        pd_figure fast, slow = slow_auc(scores, count);
        assert_int_equal(pd_auc(&fast, scores, count), PD_OK);
        check_close("auc", fast.value, slow.value, 1e-12);
        if (isnan(slow.low) || slow.high - slow.low < 1e-9)
            continue;
        check_close("auc.low", fast.low, slow.low, 1e-12);
        check_close("auc.high", fast.high, slow.high, 1e-12);
        compared++;
    }
    assert_true(compared > 50);
}

/* Intervals of finite data have a width, and fewer samples never give a narrower one. */
static void test_auc_degenerate(void **state)
{
    (void)state;
    pd_score scores[MOST];
    double previous_low = 0;
    for (size_t half = 1; half <= MOST / 2; half *= 2) {
        for (size_t i = 0; i < 2 * half; i++)
            scores[i] = (pd_score)SCORE((int64_t)i, i < half ? 0.2 : 0.8, i >= half);
        pd_figure auc;
        assert_int_equal(pd_auc(&auc, scores, 2 * half), PD_OK);
        assert_true(auc.value == 1 && auc.high == 1 && auc.low > previous_low && auc.low < 1);
        previous_low = auc.low;
        for (size_t i = 0; i < 2 * half; i++)
            scores[i].positive = !scores[i].positive;
        pd_figure mirrored;
        assert_int_equal(pd_auc(&mirrored, scores, 2 * half), PD_OK);
        assert_true(mirrored.value == 0 && mirrored.low == 0);
        check_close("mirrored", mirrored.high, 1 - auc.low, 1e-12);
        for (size_t i = 0; i < 2 * half; i++)
            scores[i].probability = 1.0 / 3;
        assert_int_equal(pd_auc(&auc, scores, 2 * half), PD_OK);
        assert_true(auc.value == 0.5 && auc.low < 0.5 && auc.high > 0.5);
        check_close("symmetric", auc.low + auc.high, 1, 1e-12);
    }
    /* The example in the header. */
    for (size_t i = 0; i < 100; i++)
        scores[i] = (pd_score)SCORE((int64_t)i, i < 50 ? 0.2 : 0.8, i >= 50);
    pd_figure auc;
    assert_int_equal(pd_auc(&auc, scores, 100), PD_OK);
    check_close("50 + 50 apart", auc.low, 0.960, 5e-4);
}

/* Obuchowski's interval, Biometrics 53, 567-578, 1997, as printed there: a pass over all pairs for
 * each patient, below `patients`. */
static pd_figure slow_auc_patients(const pd_score *scores, size_t count, int32_t patients)
{
    double m = 0, n = 0, i10 = 0, i01 = 0, s10 = 0, s01 = 0, s11 = 0;
    double auc = slow_auc(scores, count).value;
    for (size_t i = 0; i < count; i++)
        *(scores[i].positive ? &m : &n) += 1;
    for (int32_t patient = 0; patient < patients; patient++) {
        double own_m = 0, own_n = 0, v10 = 0, v01 = 0;
        for (size_t i = 0; i < count; i++)
            if (scores[i].patient == patient)
                *(scores[i].positive ? &own_m : &own_n) += 1;
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < count; j++) {
                if (!scores[i].positive || scores[j].positive)
                    continue;
                double lead = scores[i].probability - scores[j].probability;
                double beats = (lead > 0) + 0.5 * (lead == 0);
                v10 += scores[i].patient == patient ? beats / n : 0;
                v01 += scores[j].patient == patient ? beats / m : 0;
            }
        i10 += own_m > 0;
        i01 += own_n > 0;
        s10 += pow(v10 - own_m * auc, 2);
        s01 += pow(v01 - own_n * auc, 2);
        s11 += (v10 - own_m * auc) * (v01 - own_n * auc);
    }
    s10 *= i10 / ((i10 - 1) * m);
    s01 *= i01 / ((i01 - 1) * n);
    s11 *= (double)patients / (patients - 1);
    double half = 1.959963984540054 * sqrt(s10 / m + s01 / n + 2 * s11 / (m * n));
    return (pd_figure){auc, fmax(0, auc - half), fmin(1, auc + half)};
}

/* Patients have one to ten images, some of both classes. */
static void test_auc_patients_against_slow(void **state)
{
    (void)state;
    enum { PATIENTS = 25 };
    pd_score scores[MOST];
    for (uint64_t number = 0; number < 20; number++) {
        pd_random random = pd_random_stream(3, PD_PURPOSE_TEST, 3, number);
        size_t count = 0;
        for (int32_t patient = 0; patient < PATIENTS; patient++)
            for (uint32_t left = 1 + pd_random_below(&random, 10); left > 0; left--, count++) {
                int32_t positive = patient % 3 == 0   ? (int32_t)pd_random_below(&random, 2)
                                   : patient % 3 == 1 ? 1
                                                      : 0;
                int32_t levels = number % 2 ? 9 : 99999; /* few levels make ties */
                int32_t level = (int32_t)pd_random_below(&random, (uint32_t)levels) +
                                levels / 3 * positive + levels / 9 * (patient % 5);
                scores[count] =
                    (pd_score)SCORE((int64_t)count, (double)level / (2 * levels), positive);
                scores[count].patient = patient;
            }
        pd_figure fast, again, slow = slow_auc_patients(scores, count, PATIENTS);
        assert_int_equal(pd_auc_patients(&fast, scores, count), PD_OK);
        check_close("auc", fast.value, slow.value, 1e-12);
        check_close("low", fast.low, slow.low, 1e-12);
        check_close("high", fast.high, slow.high, 1e-12);
        shuffle_scores(scores, count, number);
        assert_int_equal(pd_auc_patients(&again, scores, count), PD_OK);
        assert_memory_equal(&again, &fast, sizeof fast);
    }
}

/* One image per patient gives DeLong's interval, and repeating an image adds nothing to it. */
static void test_auc_patients_repeated(void **state)
{
    (void)state;
    enum { REPEATS = 5 };
    pd_score single[MOST / REPEATS], repeated[MOST];
    for (uint64_t number = 0; number < 20; number++) {
        size_t count = make_scores(single, number, COUNT(single), 100000);
        if (number % 4 == 0) /* separated, so that the variance is 0 */
            for (size_t i = 0; i < count; i++)
                single[i].probability = single[i].positive;
        for (size_t i = 0; i < count; i++)
            single[i].patient = (int32_t)i;
        for (size_t i = 0; i < count * REPEATS; i++)
            repeated[i] = single[i / REPEATS];
        pd_figure plain, of_single, of_repeated;
        assert_int_equal(pd_auc(&plain, single, count), PD_OK);
        assert_int_equal(pd_auc_patients(&of_single, single, count), PD_OK);
        assert_int_equal(pd_auc_patients(&of_repeated, repeated, count * REPEATS), PD_OK);
        check_close("value", of_single.value, plain.value, 0);
        check_close("low", of_single.low, plain.low, 1e-12);
        check_close("high", of_single.high, plain.high, 1e-12);
        check_close("low", of_repeated.low, plain.low, 1e-12);
        check_close("high", of_repeated.high, plain.high, 1e-12);
    }
}

/* 60 images of each class in 25 versions, whose log-odds have a part of the image and one of the
 * version: the interval must contain the true area in about 95 % of experiments. */
static void test_auc_patients_coverage(void **state)
{
    (void)state;
    enum { EXPERIMENTS = 1000, CLASS = 60, VERSIONS = 25 };
    static pd_score scores[2 * CLASS * VERSIONS];
    const double lead = 1, own = 1, noise = 0.4;
    const double truth = 0.5 * erfc(-lead / (2 * hypot(own, noise))); /* Phi(x / sqrt(2)) */
    int covered = 0, covered_plain = 0;
    for (uint64_t experiment = 0; experiment < EXPERIMENTS; experiment++) {
        pd_random random = pd_random_stream(4, PD_PURPOSE_TEST, 4, experiment);
        size_t count = 0;
        for (int32_t image = 0; image < 2 * CLASS; image++) {
            double of_image = lead * (image % 2) + own * (double)pd_random_normal(&random);
            for (int version = 0; version < VERSIONS; version++, count++) {
                double logit = of_image + noise * (double)pd_random_normal(&random);
                scores[count] = (pd_score)SCORE(image, 1 / (1 + exp(-logit)), image % 2);
                scores[count].patient = image;
            }
        }
        pd_figure auc, plain;
        assert_int_equal(pd_auc_patients(&auc, scores, count), PD_OK);
        assert_int_equal(pd_auc(&plain, scores, count), PD_OK);
        covered += auc.low <= truth && truth <= auc.high;
        covered_plain += plain.low <= truth && truth <= plain.high;
    }
    printf("95 %% intervals that contain the area: %.1f %%; with versions as independent %.1f %%\n",
           100.0 * covered / EXPERIMENTS, 100.0 * covered_plain / EXPERIMENTS);
    assert_true(covered > 0.93 * EXPERIMENTS && covered < 0.97 * EXPERIMENTS);
    assert_true(covered_plain < 0.5 * EXPERIMENTS);
}

/* An infinite logit has the probability 0 or 1, but is not an output that counts. */
static void test_infinite_logits_refused(void **state)
{
    (void)state;
    for (int view = -1; view < PD_VIEWS_MAX; view++) {
        pd_score scores[] = {SCORE(71, 0.2, 0), SCORE(72, 1, 1)};
        pd_metrics m;
        for (int other = 0; other < PD_VIEWS_MAX; other++)
            scores[1].views[other] = (double)NAN; /* a view that was not computed is fine */
        assert_int_equal(pd_metrics_compute(&m, scores, 2, 0.5), PD_OK);
        *(view < 0 ? &scores[1].logit : &scores[1].views[view]) = view % 2 ? -INFINITY : INFINITY;
        assert_int_equal(pd_metrics_compute(&m, scores, 2, 0.5), PD_FAILED);
        assert_non_null(strstr(pd_error_message(), "output for sample 72 is infinite"));
    }
}

/* The smallest number, by trying each; the proportions are exact where possible. */
static void test_wilson_trials(void **state)
{
    (void)state;
    const double halves[] = {0.5, 0.2, 0.1, 0.03, 0.01};
    for (size_t i = 0; i < COUNT(halves); i++) {
        for (int twentieths = 0; twentieths <= 20; twentieths++) {
            int64_t trials = pd_wilson_trials(twentieths / 20.0, halves[i]);
            int64_t enough = (trials + 19) / 20 * 20, few = (trials - 1) / 20 * 20;
            pd_figure figure = pd_wilson(enough * twentieths / 20, enough);
            assert_true(figure.high - figure.low < 2 * halves[i] + 1e-12);
            figure = pd_wilson(few * twentieths / 20, few);
            assert_true(few == 0 || figure.high - figure.low >= 2 * halves[i] - 1e-12);
        }
    }
    /* By hand, from the formula: 1.96 sqrt(0.95 * 0.05 / n) = 0.03 gives about 203. */
    assert_in_range(pd_wilson_trials(0.95, 0.03), 200, 215);
    assert_int_equal(pd_wilson_trials(NAN, 0.03), 0);
    assert_int_equal(pd_wilson_trials(0.5, 0), 0);
}

static void test_bad_scores_refused(void **state)
{
    (void)state;
    const double bad[] = {NAN, INFINITY, -INFINITY};
    pd_figure auc;
    pd_metrics m;
    for (size_t i = 0; i < COUNT(bad); i++) {
        const pd_score scores[] = {SCORE(1, 0.9, 1), SCORE(77, bad[i], 0), SCORE(3, 0.1, 0)};
        assert_int_equal(pd_auc(&auc, scores, 3), PD_FAILED);
        assert_non_null(strstr(pd_error_message(), "sample 77"));
        assert_int_equal(pd_metrics_compute(&m, scores, 3, 0.5), PD_FAILED);
    }
    const pd_score label[] = {SCORE(1, 0.9, 1), SCORE(78, 0.1, 2)};
    assert_int_equal(pd_auc(&auc, label, 2), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "sample 78"));
    assert_int_equal(pd_metrics_compute(&m, label, 1, NAN), PD_FAILED);
}

static void test_no_samples(void **state)
{
    (void)state;
    pd_metrics m;
    assert_int_equal(pd_metrics_compute(&m, NULL, 0, 0.5), PD_OK);
    const pd_figure figures[] = {
        m.accuracy, m.balanced_accuracy, m.sensitivity, m.specificity, m.precision, m.f1, m.auc};
    for (size_t i = 0; i < COUNT(figures); i++)
        assert_true(isnan(figures[i].value) && isnan(figures[i].low) && isnan(figures[i].high));
    assert_null(pd_metrics_one_class(&m));
}

static void test_scores_check(void **state)
{
    (void)state;
    const int64_t expected[] = {2, 3, 5, 7};
    const struct {
        int64_t ids[5];
        size_t count;
        const char *complaint; /* NULL: none */
    } table[] = {
        {{7, 5, 3, 2}, 4, NULL},
        {{2, 3, 5}, 3, "sample 7 has no score"},
        {{7, 5, 3}, 3, "sample 2 has no score"},
        {{7, 5, 2}, 3, "sample 3 has no score"},
        {{0}, 0, "sample 2 has no score"},
        {{2, 3, 3, 5, 7}, 5, "sample 3 was scored twice"},
        {{7, 3, 5, 2, 7}, 5, "sample 7 was scored twice"},
        {{2, 2, 5, 7}, 4, "sample 2 was scored twice"},
        {{2, 3, 4, 5, 7}, 5, "sample 4 was scored but"},
        {{2, 3, 5, 7, 8}, 5, "sample 8 was scored but"},
        {{-1, 2, 3, 5, 7}, 5, "sample -1 was scored but"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        pd_score scores[5];
        for (size_t j = 0; j < table[i].count; j++)
            scores[j] = (pd_score)SCORE(table[i].ids[j], (double)table[i].ids[j], 0);
        pd_status status = pd_scores_check(scores, table[i].count, expected, COUNT(expected));
        assert_int_equal(status, table[i].complaint ? PD_FAILED : PD_OK);
        if (table[i].complaint && !strstr(pd_error_message(), table[i].complaint))
            fail_msg("row %zu: %s", i, pd_error_message());
        for (size_t j = 0; !table[i].complaint && j < table[i].count; j++) {
            assert_int_equal(scores[j].id, expected[j]);
            assert_true(scores[j].probability == (double)expected[j]);
        }
    }
    assert_int_equal(pd_scores_check(NULL, 0, NULL, 0), PD_OK);
}

static void test_one_class(void **state)
{
    (void)state;
    const struct {
        pd_confusion confusion; /* tp, fn, tn, fp */
        const char *line;       /* its beginning; NULL: none */
    } table[] = {
        {{0, 9, 9, 0}, "predicts NORMAL for every image: recall 0"},
        {{9, 0, 0, 9}, "predicts PNEUMONIA for every image: specificity 0"},
        {{0, 0, 9, 0}, "predicts NORMAL for every image, and"},
        {{9, 0, 0, 0}, "predicts PNEUMONIA for every image, and"},
        {{1, 9, 9, 0}, NULL},
        {{0, 9, 8, 1}, NULL},
        {{9, 0, 9, 0}, NULL},
        {{0, 9, 0, 9}, NULL},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        const char *line = pd_metrics_one_class(&(pd_metrics){.confusion = table[i].confusion});
        if (!table[i].line)
            assert_null(line);
        else if (!line || strncmp(line, table[i].line, strlen(table[i].line)) != 0)
            fail_msg("row %zu: %s", i, line ? line : "nothing");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_wilson_published),
        cmocka_unit_test(test_wilson_limits),
        cmocka_unit_test(test_balanced_accuracy_published),
        cmocka_unit_test(test_auc_against_slow),
        cmocka_unit_test(test_auc_degenerate),
        cmocka_unit_test(test_wilson_trials),
        cmocka_unit_test(test_bad_scores_refused),
        cmocka_unit_test(test_no_samples),
        cmocka_unit_test(test_infinite_logits_refused),
        cmocka_unit_test(test_scores_check),
        cmocka_unit_test(test_one_class),
        cmocka_unit_test(test_auc_patients_against_slow),
        cmocka_unit_test(test_auc_patients_repeated),
        cmocka_unit_test(test_auc_patients_coverage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
