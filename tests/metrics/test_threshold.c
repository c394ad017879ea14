#include "metrics/beta.h"
#include "metrics/made_scores.h"
#include "pneumo/metrics/metrics.h"
#include "pneumo/metrics/threshold.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Every value between, at and around the scores is tried; none may be better than the choice. */
static void test_choose_brute_force(void **state)
{
    (void)state;
    const double targets[] = {0, 0.1, 0.3, 1.0 / 3, 0.5, 0.7, 0.9, 0.95, 0.99, 1};
    pd_score scores[32];
    for (uint64_t number = 0; number < 600; number++) {
        uint32_t levels = 1 + (uint32_t)(number % 9);
        size_t count = make_scores(scores, number, 24, levels);
        double target = targets[number % COUNT(targets)], threshold;
        assert_int_equal(pd_threshold_choose(&threshold, scores, count, target), PD_OK);
        pd_metrics chosen, other;
        assert_int_equal(pd_metrics_compute(&chosen, scores, count, threshold), PD_OK);
        assert_true(chosen.sensitivity.value >= target);

        double next_above = INFINITY, next_below = -INFINITY;
        for (size_t i = 0; i < count; i++) {
            double p = scores[i].probability;
            if (p >= threshold)
                next_above = fmin(next_above, p);
            else
                next_below = fmax(next_below, p);
        }
        for (int step = -1; step <= 2 * (int)levels + 3; step++) {
            assert_int_equal(pd_metrics_compute(&other, scores, count, step / (2.0 * levels)),
                             PD_OK);
            if (other.sensitivity.value < target)
                continue;
            assert_true(other.specificity.value <= chosen.specificity.value);
            if (other.specificity.value == chosen.specificity.value)
                assert_true(other.sensitivity.value <= chosen.sensitivity.value);
        }
        if (isfinite(next_above) && isfinite(next_below))
            check_close("halfway", threshold, (next_above + next_below) / 2, 1e-15);
    }
}

static double choose(const pd_score *scores, size_t count, double target)
{
    double threshold;
    assert_int_equal(pd_threshold_choose(&threshold, scores, count, target), PD_OK);
    pd_metrics m;
    assert_int_equal(pd_metrics_compute(&m, scores, count, threshold), PD_OK);
    assert_true(m.sensitivity.value >= target);
    return threshold;
}

static void test_choose_special(void **state)
{
    (void)state;
    /* All scores equal: everything is called pneumonia. */
    const pd_score equal[] = {SCORE(1, 0.5, 1), SCORE(2, 0.5, 0), SCORE(3, 0.5, 0)};
    assert_true(choose(equal, 3, 0.95) == 0.5);
    /* Target 1 is set by the lowest positive, however low. */
    const pd_score low[] = {SCORE(1, 0.9, 1), SCORE(2, 0.25, 1), SCORE(3, 0.75, 0),
                            SCORE(4, 0.125, 0)};
    assert_true(choose(low, 4, 1) == 0.1875);
    assert_true(choose(low, 4, 0.5) == (0.9 + 0.75) / 2);
    /* Separated classes lose no pneumonia, whatever the target. */
    const pd_score apart4[] = {SCORE(1, 0.9, 1), SCORE(2, 0.8, 1), SCORE(3, 0.7, 1),
                               SCORE(4, 0.3, 0)};
    assert_true(choose(apart4, 4, 0.3) == 0.5);
    /* A positive tied with a negative cannot be called alone. */
    const pd_score tied[] = {SCORE(1, 0.5, 1), SCORE(2, 0.5, 0), SCORE(3, 0.25, 0)};
    assert_true(choose(tied, 3, 1) == 0.375);
    /* Nineteen of twenty is 95 %, also in floating point. */
    pd_score twenty[21];
    for (int i = 0; i < 20; i++)
        twenty[i] = (pd_score)SCORE(i, (i + 1) / 32.0, 1);
    twenty[20] = (pd_score)SCORE(20, 0.0, 0);
    twenty[20].probability = 1.5 / 32;
    assert_true(choose(twenty, 21, 0.95) == 1.75 / 32);
    assert_true(choose(twenty, 21, nextafter(0.95, 1)) == 1.0 / 32);
    /* Neighbours in double precision leave no room between them, at any magnitude. */
    const double places[] = {0, DBL_TRUE_MIN, DBL_MIN, 0.1, 0.5, 1 - DBL_EPSILON};
    for (size_t i = 0; i < COUNT(places); i++) {
        double above = nextafter(places[i], 2);
        const pd_score close[] = {SCORE(1, above, 1), SCORE(2, places[i], 0)};
        assert_true(choose(close, 2, 1) == above);
    }
    const pd_score apart[] = {SCORE(1, DBL_MAX, 1), SCORE(2, -DBL_MAX, 0)};
    assert_true(choose(apart, 2, 1) == 0);
    const pd_score huge[] = {SCORE(1, DBL_MAX, 1), SCORE(2, DBL_MAX / 2, 0)};
    assert_true(choose(huge, 2, 1) == DBL_MAX / 4 * 3);
}

static void test_choose_refused(void **state)
{
    (void)state;
    const pd_score both[] = {SCORE(1, 0.9, 1), SCORE(2, 0.1, 0)};
    double threshold = 0;
    assert_int_equal(pd_threshold_choose(&threshold, both, 1, 0.9), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "pneumonia"));
    assert_int_equal(pd_threshold_choose(&threshold, both + 1, 1, 0.9), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "normal"));
    assert_int_equal(pd_threshold_choose(&threshold, NULL, 0, 0.9), PD_FAILED);
    const double targets[] = {NAN, -0.1, 1.1};
    for (size_t i = 0; i < COUNT(targets); i++)
        assert_int_equal(pd_threshold_choose(&threshold, both, 2, targets[i]), PD_FAILED);
}

/* The probability that both targets hold at a threshold, from the definition. */
static double joint(const pd_score *scores, size_t count, double threshold, double copies)
{
    pd_metrics m;
    assert_int_equal(pd_metrics_compute(&m, scores, count, threshold), PD_OK);
    const pd_confusion *c = &m.confusion;
    return exp(pd_beta_log_tails((double)c->true_positive / copies + 1,
                                 (double)c->false_negative / copies + 1, 0.6)
                   .log_above) *
           exp(pd_beta_log_tails((double)c->true_negative / copies + 1,
                                 (double)c->false_positive / copies + 1, 0.5)
                   .log_above);
}

/* Every value between, at and around the scores is tried; none may be more probable. */
static void test_both_brute_force(void **state)
{
    (void)state;
    const double copies[] = {1, 2.5, 11};
    pd_score scores[32];
    for (uint64_t number = 0; number < 600; number++) {
        uint32_t levels = 1 + (uint32_t)(number % 9);
        size_t count = make_scores(scores, number, 24, levels);
        double per_image = copies[number % COUNT(copies)], threshold, probability, best = 0;
        assert_int_equal(
            pd_threshold_both(&threshold, &probability, scores, count, 0.6, 0.5, per_image), PD_OK);
        check_close("probability", probability, joint(scores, count, threshold, per_image), 1e-13);
        for (int step = -1; step <= 2 * (int)levels + 3; step++)
            best = fmax(best, joint(scores, count, step / (2.0 * levels), per_image));
        assert_true(probability >= best - 1e-13);
        shuffle_scores(scores, count, number);
        double again;
        assert_int_equal(
            pd_threshold_both(&again, &probability, scores, count, 0.6, 0.5, per_image), PD_OK);
        assert_true(again == threshold);
    }
}

/* `each` images of each class with logits like those of a good network, in steps of 1 / levels. */
static pd_score *make_many(size_t each, double levels)
{
    pd_score *scores = calloc(2 * each, sizeof *scores);
    pd_random random = pd_random_stream(3, PD_PURPOSE_TEST, 3, each);
    assert_non_null(scores);
    for (size_t i = 0; i < 2 * each; i++) {
        double logit = (double)pd_random_normal(&random) + (i < each ? 2 : -2);
        logit = isfinite(levels) ? round(logit * levels) / levels : logit;
        scores[i] = (pd_score)SCORE((int64_t)i, 1 / (1 + exp(-logit)), i < each);
    }
    return scores;
}

/* Where the product rounds to 1, many thresholds look equal, and the best is in their middle:
 * equally far, in standard errors, from both targets. */
static void test_both_large(void **state)
{
    (void)state;
    enum { EACH = 500000 };
    pd_score *scores = make_many(EACH, INFINITY);
    double threshold, probability;
    pd_metrics m;
    assert_int_equal(pd_threshold_both(&threshold, &probability, scores, 2 * EACH, 0.9, 0.8, 1),
                     PD_OK);
    assert_true(probability == 1);
    assert_int_equal(pd_metrics_compute(&m, scores, 2 * EACH, threshold), PD_OK);
    /* The error with the larger odds decides: equal exponents of the two tails, by Kullback and
     * Leibler's divergence of target and rate. */
    double s = m.sensitivity.value, p = m.specificity.value;
    double miss = s * log(s / 0.9) + (1 - s) * log((1 - s) / 0.1);
    double alarm = p * log(p / 0.8) + (1 - p) * log((1 - p) / 0.2);
    assert_true(s > 0.95 && p > 0.85);
    check_close("equal exponents", miss, alarm, 1e-4);
    free(scores);
}

static void test_both_special(void **state)
{
    (void)state;
    double threshold, probability;
    /* Separated classes: the middle of the gap, however many images there are. */
    for (size_t each = 1; each <= 10000; each *= 10) {
        pd_score *scores = calloc(2 * each, sizeof *scores);
        for (size_t i = 0; i < 2 * each; i++)
            scores[i] = (pd_score)SCORE((int64_t)i, i < each ? 0.25 : 0.75, i >= each);
        assert_int_equal(
            pd_threshold_both(&threshold, &probability, scores, 2 * each, 0.95, 0.9, 1), PD_OK);
        assert_true(threshold == 0.5);
        /* Beta(n + 1, 1) is above t with 1 - t^(n + 1). */
        double n = (double)each + 1;
        check_close("apart", probability, (1 - pow(0.95, n)) * (1 - pow(0.9, n)), 1e-13);
        free(scores);
    }
    /* Eleven copies of an image count as one. */
    pd_score copies[22];
    for (int i = 0; i < 22; i++)
        copies[i] = (pd_score)SCORE(i, i < 11 ? 0.25 : 0.75, i >= 11);
    assert_int_equal(pd_threshold_both(&threshold, &probability, copies, 22, 0.95, 0.9, 11), PD_OK);
    check_close("copies", probability, (1 - 0.95 * 0.95) * (1 - 0.9 * 0.9), 1e-13);
    /* All scores equal: one target is almost certainly missed, and the probability is low. */
    const pd_score equal[] = {SCORE(1, 0.5, 1), SCORE(2, 0.5, 0)};
    assert_int_equal(pd_threshold_both(&threshold, &probability, equal, 2, 0.95, 0.9, 1), PD_OK);
    check_close("equal", probability, fmax((1 - pow(0.95, 2)) * 0.01, 0.0025 * (1 - 0.81)), 1e-15);
    assert_true(threshold == 0.5);
    /* Uninformative scores of many images: the product underflows to 0, but thresholds are still
     * compared. */
    pd_score *upside_down = make_many(20000, 8);
    for (int i = 0; i < 40000; i++)
        upside_down[i].positive = !upside_down[i].positive;
    assert_int_equal(pd_threshold_both(&threshold, &probability, upside_down, 40000, 0.95, 0.9, 1),
                     PD_OK);
    assert_true(probability == 0 && threshold > 0 && threshold < 1);
    free(upside_down);
}

static void test_both_refused(void **state)
{
    (void)state;
    const pd_score both[] = {SCORE(1, 0.9, 1), SCORE(2, 0.1, 0)};
    const double wrong[][3] = {{0, 0.9, 1},   {1, 0.9, 1},   {0.9, 0, 1},     {0.9, 1, 1},
                               {NAN, 0.9, 1}, {0.9, NAN, 1}, {0.9, 0.9, 0.5}, {0.9, 0.9, NAN}};
    double threshold = 0, probability;
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_int_equal(pd_threshold_both(&threshold, &probability, both, 2, wrong[i][0],
                                           wrong[i][1], wrong[i][2]),
                         PD_FAILED);
    assert_int_equal(pd_threshold_both(&threshold, &probability, both, 1, 0.9, 0.9, 1), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "pneumonia"));
    const pd_score bad[] = {SCORE(1, 0.9, 1), SCORE(77, NAN, 0)};
    assert_int_equal(pd_threshold_both(&threshold, &probability, bad, 2, 0.9, 0.9, 1), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "sample 77"));
    assert_int_equal(pd_threshold_choose(&threshold, bad, 2, 0.5), PD_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choose_brute_force), cmocka_unit_test(test_choose_special),
        cmocka_unit_test(test_choose_refused),     cmocka_unit_test(test_both_brute_force),
        cmocka_unit_test(test_both_large),         cmocka_unit_test(test_both_special),
        cmocka_unit_test(test_both_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
