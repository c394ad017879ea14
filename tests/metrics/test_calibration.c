#include "golden/statistics.h"
#include "metrics/made_scores.h"
#include "pneumo/metrics/calibration.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 120 };

static void test_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden_calibrations); i++) {
        const struct golden_calibration *g = &golden_calibrations[i];
        pd_score scores[MOST];
        for (int j = 0; j < g->count; j++)
            scores[j] = (pd_score)SCORE(j, g->score[j], g->truth[j]);
        pd_calibration c;
        assert_int_equal(pd_calibration_compute(&c, scores, (size_t)g->count), PD_OK);
        check_close("Brier score", c.brier, g->brier, 1e-12);
        check_close("expected calibration error", c.ece, g->ece, 1e-12);
        for (int b = 0; b < PD_CALIBRATION_BINS; b++) {
            const pd_calibration_bin *bin = &c.bins[b];
            check_close("low", bin->low, b / 10.0, 0);
            check_close("high", bin->high, (b + 1) / 10.0, 0);
            assert_int_equal(bin->count, g->counts[b]);
            check_close("mean probability", bin->mean_probability, g->mean[b], 1e-12);
            check_close("share of positives", bin->positive.value, g->positive[b], 1e-12);
            pd_figure wilson = pd_wilson(
                (int64_t)lround(bin->count ? bin->positive.value * (double)bin->count : 0),
                bin->count);
            check_close("low of the share", bin->positive.low, wilson.low, 0);
            check_close("high of the share", bin->positive.high, wilson.high, 0);
        }
    }
}

/* A bin contains its exact low end, and the last bin contains 1. */
static void test_bin_ends(void **state)
{
    (void)state;
    pd_calibration c;
    for (int b = 0; b <= PD_CALIBRATION_BINS; b++) {
        double end = b / 10.0;
        const pd_score at = SCORE(0, end, 1);
        assert_int_equal(pd_calibration_compute(&c, &at, 1), PD_OK);
        assert_int_equal(c.bins[b < 10 ? b : 9].count, 1);
        if (b == 0)
            continue;
        const pd_score below = SCORE(0, nextafter(end, 0), 1);
        assert_int_equal(pd_calibration_compute(&c, &below, 1), PD_OK);
        assert_int_equal(c.bins[b - 1].count, 1);
    }
}

static void test_no_samples(void **state)
{
    (void)state;
    pd_calibration c;
    assert_int_equal(pd_calibration_compute(&c, NULL, 0), PD_OK);
    assert_true(isnan(c.brier) && isnan(c.ece));
    for (int b = 0; b < PD_CALIBRATION_BINS; b++)
        assert_true(c.bins[b].count == 0 && isnan(c.bins[b].mean_probability) &&
                    isnan(c.bins[b].positive.value) && c.bins[b].high > c.bins[b].low);
}

static void test_calibration_refused(void **state)
{
    (void)state;
    const pd_score bad[] = {SCORE(81, NAN, 0), SCORE(82, INFINITY, 0), SCORE(83, -0.01, 0),
                            SCORE(84, 1.01, 1), SCORE(85, 0.5, 2)};
    for (size_t i = 0; i < COUNT(bad); i++) {
        const pd_score scores[] = {SCORE(1, 0.5, 1), bad[i]};
        char name[32];
        snprintf(name, sizeof name, "sample %d", (int)bad[i].id);
        pd_calibration c;
        assert_int_equal(pd_calibration_compute(&c, scores, 2), PD_FAILED);
        assert_non_null(strstr(pd_error_message(), name));
    }
}

static void test_temperature_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden_temperatures); i++) {
        const struct golden_temperature *g = &golden_temperatures[i];
        int32_t truth[MOST];
        for (int j = 0; j < g->count; j++)
            truth[j] = g->truth[j];
        double temperature;
        assert_int_equal(pd_temperature_fit(&temperature, g->logit, truth, (size_t)g->count),
                         PD_OK);
        /* The minimum is flat: the minimiser locates it only to half the digits. */
        check_close("temperature", temperature, g->temperature, 1e-5 * g->temperature);
        assert_true(temperature >= 0.05 * (1 - 1e-15) && temperature <= 20 * (1 + 1e-15));
    }
}

static void test_temperature_special(void **state)
{
    (void)state;
    const struct {
        double logits[4];
        int32_t truth[4];
        double temperature;
    } table[] = {
        {{-1, -2, 1, 3}, {0, 0, 1, 1}, 1},            /* separated: nothing to fit */
        {{-1e-3, -1e300, 1, 1e308}, {0, 0, 1, 1}, 1}, /* the same */
        {{0, 0, 0, 0}, {0, 0, 1, 1}, 1},
        {{1, -1, 1, -1}, {0, 0, 1, 1}, 20}, /* uninformative */
        {{1, 1, -1, -1}, {0, 0, 1, 1}, 20}, /* inverted */
        {{1e308, -1e308, -1e308, 1e308}, {0, 0, 1, 1}, 20},
        {{0, -0.01, 0.01, 0.01}, {0, 0, 1, 1}, 0.05}, /* far underconfident */
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        double temperature;
        assert_int_equal(pd_temperature_fit(&temperature, table[i].logits, table[i].truth, 4),
                         PD_OK);
        check_close("temperature", temperature, table[i].temperature, 1e-12);
    }
    /* Three of four correct at logits of +-2: 1 / (1 + exp(-2 / T)) must be 3/4. */
    double temperature;
    const double logits[] = {-2, -2, -2, 2, 2, 2, 2, -2};
    const int32_t truth[] = {0, 0, 0, 0, 1, 1, 1, 1};
    assert_int_equal(pd_temperature_fit(&temperature, logits, truth, 8), PD_OK);
    check_close("temperature", temperature, 2 / log(3), 1e-12);
}

static void test_temperature_refused(void **state)
{
    (void)state;
    double temperature;
    const double logits[] = {0.5, -0.5}, nan[] = {0.5, NAN}, infinite[] = {-INFINITY, 1};
    const int32_t both[] = {1, 0}, normal[] = {0, 0}, pneumonia[] = {1, 1}, other[] = {1, 2};
    assert_int_equal(pd_temperature_fit(&temperature, nan, both, 2), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "logit 1"));
    assert_true(isnan(temperature));
    assert_int_equal(pd_temperature_fit(&temperature, infinite, both, 2), PD_FAILED);
    assert_int_equal(pd_temperature_fit(&temperature, logits, normal, 2), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "all 2 samples are normal"));
    assert_int_equal(pd_temperature_fit(&temperature, logits, pneumonia, 2), PD_FAILED);
    assert_int_equal(pd_temperature_fit(&temperature, logits, other, 2), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "label 1"));
    assert_int_equal(pd_temperature_fit(&temperature, NULL, NULL, 0), PD_FAILED);
}

/* Whether few enough of the samples outside of a bound are wrong. */
static bool reaches(const pd_score *scores, size_t count, int called, double bound, double error)
{
    int outside = 0, wrong = 0;
    for (size_t i = 0; i < count; i++)
        if (called ? scores[i].probability > bound : scores[i].probability < bound) {
            outside++;
            wrong += scores[i].positive != called;
        }
    return outside > 0 && (double)wrong / outside <= error;
}

/* The valid bound nearest to the threshold, by trying all. */
static double slow_bound(const pd_score *scores, size_t count, int called, double threshold,
                         double error)
{
    if (reaches(scores, count, called, threshold, error))
        return threshold;
    double best = called ? fmax(1, threshold) : fmin(0, threshold);
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        double p = scores[i].probability;
        bool nearer = !found || (called ? p < best : p > best);
        if ((called ? p > threshold : p < threshold) && nearer &&
            reaches(scores, count, called, p, error)) {
            best = p;
            found = true;
        }
    }
    return best;
}

static void test_band_brute_force(void **state)
{
    (void)state;
    const double errors[] = {0, 0.01, 0.1, 0.29, 1};
    for (uint64_t number = 0; number < 300; number++) {
        pd_score scores[MOST];
        size_t count = make_scores(scores, number, MOST, number % 2 ? 9 : 500);
        for (size_t e = 0; e < COUNT(errors); e++)
            for (int t = 0; t < 7; t++) {
                double threshold = t < 6 ? t / 5.0 : scores[count / 2].probability;
                double low, high;
                assert_int_equal(pd_band_choose(&low, &high, scores, count, threshold, errors[e]),
                                 PD_OK);
                check_close("low", low, slow_bound(scores, count, 0, threshold, errors[e]), 0);
                check_close("high", high, slow_bound(scores, count, 1, threshold, errors[e]), 0);
                assert_true(low <= threshold && threshold <= high);
            }
    }
}

static void test_band_special(void **state)
{
    (void)state;
    const pd_score clean[] = {SCORE(1, 0.1, 0), SCORE(2, 0.3, 0), SCORE(3, 0.6, 1),
                              SCORE(4, 0.8, 1)};
    const pd_score mixed[] = {SCORE(1, 0.1, 0), SCORE(2, 0.3, 1), SCORE(3, 0.4, 0),
                              SCORE(4, 0.6, 1), SCORE(5, 0.7, 0), SCORE(6, 0.8, 1)};
    const pd_score reversed[] = {SCORE(1, 0.2, 1), SCORE(2, 0.9, 0)};
    double low, high;
    assert_int_equal(pd_band_choose(&low, &high, clean, 4, 0.5, 0), PD_OK);
    assert_true(low == 0.5 && high == 0.5);
    assert_int_equal(pd_band_choose(&low, &high, mixed, 6, 0.5, 0.01), PD_OK);
    assert_true(low == 0.3 && high == 0.7);
    assert_int_equal(pd_band_choose(&low, &high, reversed, 2, 0.5, 0.01), PD_OK);
    assert_true(low == 0 && high == 1);
    assert_int_equal(pd_band_choose(&low, &high, NULL, 0, 0.5, 0.01), PD_OK);
    assert_true(low == 0 && high == 1);
    /* A threshold that calls nothing positive may lie above 1. */
    double above = nextafter(1, 2);
    assert_int_equal(pd_band_choose(&low, &high, clean, 4, above, 0.01), PD_OK);
    assert_true(low == 0.6 && high == above);
}

static void test_band_refused(void **state)
{
    (void)state;
    const pd_score good[] = {SCORE(1, 0.1, 0), SCORE(2, 0.9, 1)};
    const pd_score bad[] = {SCORE(1, 0.1, 0), SCORE(86, NAN, 1)};
    double low, high;
    assert_int_equal(pd_band_choose(&low, &high, good, 2, NAN, 0.01), PD_FAILED);
    assert_int_equal(pd_band_choose(&low, &high, good, 2, 0.5, NAN), PD_FAILED);
    assert_int_equal(pd_band_choose(&low, &high, good, 2, 0.5, -0.1), PD_FAILED);
    assert_int_equal(pd_band_choose(&low, &high, good, 2, 0.5, 1.1), PD_FAILED);
    assert_int_equal(pd_band_choose(&low, &high, bad, 2, 0.5, 0.01), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "sample 86"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_bin_ends),
        cmocka_unit_test(test_no_samples),
        cmocka_unit_test(test_calibration_refused),
        cmocka_unit_test(test_temperature_golden),
        cmocka_unit_test(test_temperature_special),
        cmocka_unit_test(test_temperature_refused),
        cmocka_unit_test(test_band_brute_force),
        cmocka_unit_test(test_band_special),
        cmocka_unit_test(test_band_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
