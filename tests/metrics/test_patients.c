#include "golden/statistics.h"
#include "metrics/made_scores.h"
#include "pneumo/metrics/patients.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { FIGURES = 7, MOST = 400 };

/* A pd_score with its patient. */
#define IMAGE(i, who, p, y)                                                                        \
    {                                                                                              \
        .id = (i), .patient = (who), .probability = (p), .positive = (y)                           \
    }

static void list(pd_figure figures[FIGURES], const pd_metrics *m)
{
    const pd_figure all[FIGURES] = {m->accuracy,    m->balanced_accuracy, m->sensitivity,
                                    m->specificity, m->precision,         m->f1,
                                    m->auc};
    memcpy(figures, all, sizeof all);
}

static const char *const names[FIGURES] = {
    "accuracy", "balanced accuracy", "sensitivity", "specificity", "precision", "F1", "AUC"};

static void check_same(const pd_metrics *a, const pd_metrics *b)
{
    pd_figure of_a[FIGURES], of_b[FIGURES];
    list(of_a, a);
    list(of_b, b);
    for (int f = 0; f < FIGURES; f++) {
        check_close(names[f], of_a[f].value, of_b[f].value, 0);
        check_close(names[f], of_a[f].low, of_b[f].low, 0);
        check_close(names[f], of_a[f].high, of_b[f].high, 0);
    }
}

/* The metrics of the scores at 0.5 with intervals by bootstrap. */
static pd_metrics bootstrap(const pd_score *scores, size_t count, int replicates, uint64_t seed)
{
    pd_metrics m;
    assert_int_equal(pd_metrics_compute(&m, scores, count, 0.5), PD_OK);
    assert_int_equal(pd_bootstrap_patients(&m, scores, count, replicates, seed), PD_OK);
    return m;
}

static void test_merge(void **state)
{
    (void)state;
    const pd_score images[] = {IMAGE(9, 7, 0.5, 0),   IMAGE(3, -2, 0.2, 0), IMAGE(1, 7, 1, 0),
                               IMAGE(4, 11, 0.75, 0), IMAGE(2, 7, 0, 1),    IMAGE(8, 11, 0.25, 0)};
    pd_score *merged;
    size_t count;
    assert_int_equal(pd_patients_merge(&merged, &count, images, COUNT(images)), PD_OK);
    assert_int_equal(count, 3);
    const int32_t patients[] = {-2, 7, 11}, positive[] = {0, 1, 0};
    const double probability[] = {0.2, 0.5, 0.5};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(merged[i].id, patients[i]);
        assert_int_equal(merged[i].patient, patients[i]);
        assert_int_equal(merged[i].positive, positive[i]);
        check_close("probability", merged[i].probability, probability[i], 0);
        assert_true(isnan(merged[i].logit) && isnan(merged[i].views[0]) && isnan(merged[i].loss));
        assert_true(merged[i].truth == -1 && merged[i].predicted == -1);
    }
    free(merged);
    assert_int_equal(pd_patients_merge(&merged, &count, NULL, 0), PD_OK);
    assert_int_equal(count, 0);
    free(merged);
}

static int compare_numbers(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* A direct bootstrap: draws patients, copies their images, computes all figures. */
static void slow_bootstrap(pd_metrics *metrics, const pd_score *scores, size_t count,
                           int replicates, uint64_t seed)
{
    enum { COPIES = 100 * MOST };
    static pd_score copies[COPIES];
    static double values[FIGURES][100];
    size_t defined[FIGURES] = {0};
    int32_t patients[MOST];
    size_t patient_count = 0;
    for (int32_t p = 0; p < MOST; p++)
        for (size_t i = 0; i < count; i++)
            if (scores[i].patient == p) {
                patients[patient_count++] = p;
                break;
            }
    for (int r = 0; r < replicates; r++) {
        pd_random random = pd_random_stream(seed, PD_PURPOSE_BOOTSTRAP, 0, (uint64_t)r);
        size_t copied = 0;
        for (size_t draw = 0; draw < patient_count; draw++) {
            int32_t patient = patients[pd_random_below(&random, (uint32_t)patient_count)];
            for (size_t i = 0; i < count; i++)
                if (scores[i].patient == patient)
                    copies[copied++] = scores[i];
        }
        pd_metrics m;
        pd_figure figures[FIGURES];
        assert_int_equal(pd_metrics_compute(&m, copies, copied, metrics->threshold), PD_OK);
        list(figures, &m);
        for (int f = 0; f < FIGURES; f++)
            if (!isnan(figures[f].value))
                values[f][defined[f]++] = figures[f].value;
    }
    pd_figure *out[FIGURES] = {&metrics->accuracy,    &metrics->balanced_accuracy,
                               &metrics->sensitivity, &metrics->specificity,
                               &metrics->precision,   &metrics->f1,
                               &metrics->auc};
    for (int f = 0; f < FIGURES; f++) {
        assert_true(defined[f] > 1);
        qsort(values[f], defined[f], sizeof(double), compare_numbers);
        for (int end = 0; end < 2; end++) {
            double place = (end ? 0.975 : 0.025) * (double)(defined[f] - 1), part = fmod(place, 1);
            const double *at = &values[f][(size_t)place];
            *(end ? &out[f]->high : &out[f]->low) = (1 - part) * at[0] + part * at[1];
        }
    }
}

static size_t make_images(pd_score *scores, uint64_t number, size_t most, uint32_t patients)
{
    pd_random random = pd_random_stream(4, PD_PURPOSE_TEST, 4, number);
    size_t count = make_scores(scores, number, most, number % 2 ? 5 : 1000);
    for (size_t i = 0; i < count; i++)
        scores[i].patient = (int32_t)pd_random_below(&random, patients);
    return count;
}

static void check_against_slow(const pd_score *scores, size_t count, uint64_t seed)
{
    pd_metrics fast = bootstrap(scores, count, 99, seed), slow = fast;
    slow_bootstrap(&slow, scores, count, 99, seed);
    pd_figure of_fast[FIGURES], of_slow[FIGURES];
    list(of_fast, &fast);
    list(of_slow, &slow);
    for (int f = 0; f < FIGURES; f++) {
        assert_true(of_slow[f].low < of_slow[f].high);
        check_close(names[f], of_fast[f].low, of_slow[f].low, 1e-14);
        check_close(names[f], of_fast[f].high, of_slow[f].high, 1e-14);
    }
}

static void test_against_slow(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 20; number++) {
        pd_score scores[MOST];
        size_t count = 100 + make_images(scores + 100, number, 100, 40);
        for (size_t i = 0; i < 100; i++)
            scores[i] = (pd_score)IMAGE((int64_t)(1000 + i), (int32_t)(50 + i / 3),
                                        (double)(i * 37 % 101) / 101, i % 7 < 3);
        check_against_slow(scores, count, number);
    }
    /* So few patients that some replicates lack a class. */
    const pd_score few[] = {IMAGE(1, 1, 0.9, 1), IMAGE(2, 2, 0.2, 1), IMAGE(3, 3, 0.1, 0),
                            IMAGE(4, 4, 0.6, 0), IMAGE(5, 5, 0.3, 0), IMAGE(6, 6, 0.8, 0)};
    for (uint64_t seed = 0; seed < 20; seed++)
        check_against_slow(few, COUNT(few), seed);
}

/* A bootstrap of another program with other random numbers: the limits differ by noise, about 0.06
 * standard errors at 2000 replicates. */
static void test_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden_bootstraps); i++) {
        const struct golden_bootstrap *g = &golden_bootstraps[i];
        pd_score scores[MOST];
        for (int j = 0; j < g->count; j++)
            scores[j] = (pd_score)IMAGE(j, g->patient[j], g->score[j], g->truth[j]);
        pd_metrics m = bootstrap(scores, (size_t)g->count, PD_BOOTSTRAP_REPLICATES, 1);
        const pd_figure figures[] = {m.accuracy, m.sensitivity, m.specificity, m.auc};
        for (size_t f = 0; f < COUNT(figures); f++) {
            double noise = 0.06 * (g->high[f] - g->low[f]);
            check_close("low", figures[f].low, g->low[f], noise);
            check_close("high", figures[f].high, g->high[f], noise);
        }
    }
}

static void test_same_bits(void **state)
{
    (void)state;
    pd_score scores[MOST];
    size_t count = make_images(scores, 5, MOST, 60);
    int threads = omp_get_max_threads();
    pd_metrics first = bootstrap(scores, count, 200, 12345);
    for (int t = 1; t <= 5; t++) {
        omp_set_num_threads(t);
        shuffle_scores(scores, count, (uint64_t)t);
        pd_metrics again = bootstrap(scores, count, 200, 12345);
        check_same(&first, &again);
    }
    omp_set_num_threads(threads);
    pd_metrics other = bootstrap(scores, count, 200, 12346);
    assert_true(other.accuracy.low != first.accuracy.low || other.auc.low != first.auc.low);
}

/* Images of which nine in ten are classified correctly. */
static void make_good_images(pd_score *scores, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int32_t truth = i % 2;
        double sure = (double)(i * 7919 % count) / (double)count;
        scores[i] =
            (pd_score)IMAGE((int64_t)i, (int32_t)i, truth ? 0.9 - 0.45 * sure : 0.55 * sure, truth);
        if (i % 10 < 2 && i % 20 < 10)
            scores[i].probability = 1 - scores[i].probability;
    }
}

/* With one image per patient, images are independent, as Wilson's interval assumes. Repeating each
 * image k times for its patient adds no information, while Wilson's interval shrinks. */
static void test_width(void **state)
{
    (void)state;
    enum { SINGLE = 1000, REPEATS = 4 };
    static pd_score single[SINGLE], repeated[SINGLE * REPEATS];
    make_good_images(single, SINGLE);
    for (size_t i = 0; i < SINGLE * REPEATS; i++) {
        repeated[i] = single[i / REPEATS];
        repeated[i].id = (int64_t)i;
    }
    pd_metrics plain;
    pd_figure figures[2][FIGURES];
    assert_int_equal(pd_metrics_compute(&plain, single, SINGLE, 0.5), PD_OK);
    pd_metrics m = bootstrap(single, SINGLE, PD_BOOTSTRAP_REPLICATES, 3);
    list(figures[0], &plain);
    list(figures[1], &m);
    for (int f = 0; f < FIGURES; f++) {
        double width = figures[0][f].high - figures[0][f].low;
        assert_true(width > 0.01 && width < 0.2);
        check_close(names[f], figures[1][f].value, figures[0][f].value, 0);
        check_close(names[f], figures[1][f].low, figures[0][f].low, 0.08 * width);
        check_close(names[f], figures[1][f].high, figures[0][f].high, 0.08 * width);
    }
    pd_metrics same = bootstrap(repeated, SINGLE * REPEATS, PD_BOOTSTRAP_REPLICATES, 3);
    check_same(&m, &same);
    pd_metrics fooled;
    assert_int_equal(pd_metrics_compute(&fooled, repeated, SINGLE * REPEATS, 0.5), PD_OK);
    list(figures[0], &fooled);
    for (int f = 0; f < FIGURES; f++)
        assert_true(figures[1][f].high - figures[1][f].low >
                    1.8 * (figures[0][f].high - figures[0][f].low));
}

/* Without mistakes the interval is that of ten patients of each class, wider than that of forty
 * images, and has a positive width. */
static void test_all_right(void **state)
{
    (void)state;
    pd_score scores[80];
    for (int i = 0; i < 80; i++)
        scores[i] = (pd_score)IMAGE(i, i / 4, i < 40 ? 0.1 + i / 1000.0 : 0.9, i >= 40);
    pd_metrics m = bootstrap(scores, 80, 500, 1);
    pd_figure ten = pd_wilson(10, 10), twenty = pd_wilson(20, 20);
    check_close("accuracy", m.accuracy.low, twenty.low, 0);
    check_close("sensitivity", m.sensitivity.low, ten.low, 0);
    check_close("specificity", m.specificity.low, ten.low, 0);
    assert_true(m.auc.low > 0.7 && m.auc.low < 0.9);
    assert_true(m.accuracy.high == 1 && m.sensitivity.high == 1 && m.auc.high == 1);
    /* The same with images of both classes in each of ten patients. */
    for (int i = 0; i < 80; i++)
        scores[i].patient = i % 40 / 4;
    m = bootstrap(scores, 80, 500, 1);
    check_close("accuracy", m.accuracy.low, twenty.low, 0);
    check_close("sensitivity", m.sensitivity.low, ten.low, 0);
}

static void test_few(void **state)
{
    (void)state;
    /* One patient gives a wide interval, however many images there are. */
    const pd_score one[] = {IMAGE(1, 5, 0.8, 1), IMAGE(2, 5, 0.7, 1), IMAGE(3, 5, 0.6, 0)};
    pd_metrics m = bootstrap(one, 3, 50, 1);
    assert_true(m.auc.value == 1 && m.auc.low < 0.5 && m.auc.high == 1);
    assert_true(m.accuracy.low <= 2 / 3.0 && m.accuracy.high >= 2 / 3.0);
    assert_true(m.accuracy.high - m.accuracy.low > 0.5);
    /* One class: undefined figures stay undefined. Replicates in which a figure is undefined are
     * skipped. */
    const pd_score normal[] = {IMAGE(1, 5, 0.2, 0), IMAGE(2, 6, 0.7, 0), IMAGE(3, 7, 0.1, 0)};
    m = bootstrap(normal, 3, 200, 1);
    assert_true(isnan(m.sensitivity.low) && isnan(m.auc.low) && isnan(m.balanced_accuracy.high));
    assert_true(m.specificity.low < 2 / 3.0 && m.specificity.high == 1);
    const pd_score rare[] = {IMAGE(1, 5, 0.2, 0), IMAGE(2, 6, 0.7, 1), IMAGE(3, 7, 0.1, 0)};
    m = bootstrap(rare, 3, 200, 1);
    assert_true(m.sensitivity.value == 1 && m.sensitivity.low > 0 && m.sensitivity.high == 1);
    m = bootstrap(NULL, 0, 5, 1);
    assert_true(isnan(m.accuracy.low) && isnan(m.auc.high));
}

static void test_refused(void **state)
{
    (void)state;
    pd_score scores[] = {IMAGE(91, 1, 0.2, 0), IMAGE(92, 2, 0.7, 1)};
    pd_metrics m;
    pd_score *merged;
    size_t count;
    assert_int_equal(pd_metrics_compute(&m, scores, 2, 0.5), PD_OK);
    assert_int_equal(pd_bootstrap_patients(&m, scores, 2, 0, 1), PD_FAILED);
    assert_int_equal(pd_bootstrap_patients(&m, scores, 2, -1, 1), PD_FAILED);
    scores[1].positive = 3;
    assert_int_equal(pd_bootstrap_patients(&m, scores, 2, 9, 1), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "sample 92"));
    assert_int_equal(pd_patients_merge(&merged, &count, scores, 2), PD_FAILED);
    assert_null(merged);
    scores[0].probability = INFINITY;
    assert_int_equal(pd_bootstrap_patients(&m, scores, 2, 9, 1), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "sample 91"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),  cmocka_unit_test(test_against_slow),
        cmocka_unit_test(test_golden), cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_width),  cmocka_unit_test(test_all_right),
        cmocka_unit_test(test_few),    cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
