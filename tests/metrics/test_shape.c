/* Dependence on shape: figures against scipy's, and models with and without dependence. */
#include "metrics/made_scores.h"

#include "pneumo/metrics/shape.h"

#include "golden/shape.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 2000 };

static pd_score scores[MOST];
static pd_sample samples[MOST];

static pd_shape_report judge(size_t count, double threshold)
{
    pd_shape_report report;
    if (pd_shape_judge(&report, scores, count, threshold, samples) != PD_OK)
        fail_msg("%s", pd_error_message());
    return report;
}

static void check_figure(const char *what, const pd_figure *figure, const double *expected)
{
    check_close(what, figure->value, expected[0], 1e-12);
    check_close(what, figure->low, expected[1], 1e-12);
    check_close(what, figure->high, expected[2], 1e-12);
}

static void check_golden(const struct golden_shape *g, const pd_shape_report *report)
{
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
        const pd_shape_figures *figures = &report->measures[measure];
        assert_true(figures->known);
        for (int label = 0; label < PD_LABELS; label++) {
            const pd_shape_class *group = &figures->classes[label];
            for (int i = 0; i < PD_SHAPE_THIRDS; i++) {
                const double *third = g->thirds[measure][label][i];
                check_close("low", group->thirds[i].low, third[0], 1e-12 * third[0]);
                check_close("high", group->thirds[i].high, third[1], 1e-12 * third[1]);
                assert_int_equal(group->thirds[i].count, third[2]);
                check_figure("right", &group->thirds[i].right, third + 3);
            }
            check_close("p", group->p, g->p[measure][label], 1e-9);
            check_figure("correlation", &group->correlation, g->correlation[measure][label]);
        }
        check_close("crossed", figures->auc_high_normal.value, g->crossed[measure][0], 1e-12);
        check_close("crossed", figures->auc_low_normal.value, g->crossed[measure][1], 1e-12);
    }
}

/* In any order of the scores. */
static void test_golden(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(golden_shapes); k++) {
        const struct golden_shape *g = &golden_shapes[k];
        for (int i = 0; i < g->count; i++) {
            scores[i] = (pd_score)SCORE(i, g->probability[i], g->truth[i]);
            samples[i] = (pd_sample){.label = (pd_label)g->truth[i],
                                     .height = (uint16_t)g->height[i],
                                     .width = (uint16_t)g->width[i]};
        }
        pd_shape_report report = judge((size_t)g->count, g->threshold);
        check_golden(g, &report);
        shuffle_scores(scores, (size_t)g->count, k);
        pd_shape_report again = judge((size_t)g->count, g->threshold);
        assert_memory_equal(&report, &again, sizeof report);
    }
}

/* Height 200; pneumonias are wider on average, as in the public data. The logit is the sum of
 * `skill` for the truth, `reads` times the aspect, and noise. */
static void draw(int count, double skill, double reads, uint64_t number)
{
    pd_random random = pd_random_stream(4, PD_PURPOSE_TEST, 4, number);
    for (int i = 0; i < count; i++) {
        int32_t positive = i % 2;
        double aspect = 1.1 + 0.3 * positive + 0.5 * pd_random_uniform(&random);
        double noise = pd_random_normal(&random);
        double logit = skill * (positive - 0.5) + reads * (aspect - 1.5) + noise;
        scores[i] = (pd_score)SCORE(i, 1 / (1 + exp(-logit)), positive);
        samples[i] = (pd_sample){
            .label = (pd_label)positive, .height = 200, .width = (uint16_t)(200 * aspect)};
    }
}

static void test_model_that_reads_the_shape(void **state)
{
    (void)state;
    char line[256];
    draw(600, 0, 8, 1);
    pd_shape_report report = judge(600, 0.5);
    assert_true(pd_shape_warn(line, sizeof line, &report));
    assert_non_null(strstr(line, "differs between the thirds of"));
    assert_non_null(strstr(line, "by width over height ("));
    const pd_shape_figures *aspect = &report.measures[PD_SHAPE_ASPECT];
    const pd_shape_class *normal = &aspect->classes[PD_NORMAL];
    const pd_shape_class *pneumonia = &aspect->classes[PD_PNEUMONIA];
    assert_true(normal->thirds[0].right.low > normal->thirds[2].right.high);
    assert_true(pneumonia->thirds[0].right.high < pneumonia->thirds[2].right.low);
    assert_true(normal->correlation.low > 0.5 && pneumonia->correlation.low > 0.5);
    /* Wide normal images mislead it. */
    assert_true(aspect->auc_high_normal.high < 0.7 && aspect->auc_low_normal.low > 0.95);

    /* The inverse dependence, with a threshold at which both shares do not show it. */
    draw(600, 0, -8, 2);
    report = judge(600, 0);
    assert_true(pd_shape_warn(line, sizeof line, &report));
    assert_non_null(strstr(line, " fall with width "));
    draw(600, 0, 8, 3);
    report = judge(600, 0);
    assert_true(pd_shape_warn(line, sizeof line, &report));
    assert_non_null(strstr(line, " rise with width "));
}

/* An equally good model that uses the disease alone: a false alarm in about one of twenty folds.
 * The classes have different shapes, so over both classes its predictions correlate with the shape.
 */
static void test_model_that_does_not(void **state)
{
    (void)state;
    char line[256];
    int alarms = 0;
    for (uint64_t number = 0; number < 200; number++) {
        draw(600, 4, 0, number);
        pd_shape_report report = judge(600, 0.5);
        alarms += pd_shape_warn(line, sizeof line, &report);
    }
    /* Binomial with 0.05: more than 21 come once in 1000. Both measures are equivalent here, so
     * Holm's correction gives fewer. */
    assert_in_range(alarms, 0, 21);
}

/* A weak but significant correlation, and a strong one of few images. */
static void test_correlations_that_are_no_sign(void **state)
{
    (void)state;
    char line[256];
    draw(MOST, 0, 1, 5);
    pd_shape_report report = judge(MOST, 0);
    const pd_figure *r = &report.measures[PD_SHAPE_ASPECT].classes[PD_NORMAL].correlation;
    assert_true(r->low > 0 && r->low < PD_SHAPE_CORRELATION);
    assert_false(pd_shape_warn(line, sizeof line, &report));
    draw(8, 0, 100, 6);
    report = judge(8, 0);
    assert_true(report.measures[PD_SHAPE_ASPECT].classes[PD_NORMAL].correlation.value > 0.9);
    assert_false(pd_shape_warn(line, sizeof line, &report));
}

/* Many images with one rare outcome: the exact test is fast, also for its largest table. */
static void test_large_fold(void **state)
{
    (void)state;
    enum { IMAGES = 200000, SMALL = 9 };
    pd_score *many = calloc(IMAGES, sizeof *many);
    pd_sample *all = calloc(IMAGES, sizeof *all);
    pd_shape_report report;
    assert_true(many && all);
    for (int i = 0; i < IMAGES; i++) {
        /* The last third has nine images, and half of all are misclassified. */
        many[i] = (pd_score)SCORE(i, i % 2 ? 0.25 : 0.75, 0);
        all[i] = (pd_sample){.height = 100,
                             .width = i < 80000            ? 90
                                      : i < IMAGES - SMALL ? 100
                                                           : 110};
    }
    assert_int_equal(pd_shape_judge(&report, many, IMAGES, 0.5, all), PD_OK);
    const pd_shape_class *normal = &report.measures[PD_SHAPE_ASPECT].classes[PD_NORMAL];
    assert_int_equal(normal->thirds[0].count, 80000);
    assert_true(normal->p > 0.9);
    assert_int_equal(report.measures[PD_SHAPE_ASPECT].classes[PD_PNEUMONIA].thirds[2].count, 0);
    assert_true(isnan(report.measures[PD_SHAPE_ASPECT].classes[PD_PNEUMONIA].p));
    assert_true(isnan(report.measures[PD_SHAPE_ASPECT].auc_high_normal.value));
    free(many);
    free(all);
}

static void assert_unknown(size_t count)
{
    char line[256];
    pd_shape_report report = judge(count, 0.5);
    assert_false(report.known);
    assert_false(pd_shape_warn(line, sizeof line, &report));
}

static void test_nothing_is_claimed_of_unknown_shapes(void **state)
{
    (void)state;
    char line[256];
    draw(100, 0, 8, 7);
    samples[50].height = samples[50].width = 0;
    assert_unknown(100);
    assert_unknown(0);
    for (int i = 0; i < 100; i++)
        samples[i].height = samples[i].width = 224;
    assert_unknown(100);

    /* Images of one format: sizes differ, shapes do not. */
    for (int i = 0; i < 100; i++)
        samples[i].height = samples[i].width = (uint16_t)(224 + i);
    pd_shape_report report = judge(100, 0.5);
    assert_true(report.known && report.measures[PD_SHAPE_AREA].known);
    assert_false(report.measures[PD_SHAPE_ASPECT].known);
    pd_shape_warn(line, sizeof line, &report);
}

static void test_bad_scores(void **state)
{
    (void)state;
    pd_shape_report report;
    draw(10, 0, 8, 8);
    scores[3].probability = NAN;
    assert_int_equal(pd_shape_judge(&report, scores, 10, 0.5, samples), PD_FAILED);
    scores[3] = (pd_score)SCORE(3, 0.5, 2);
    assert_int_equal(pd_shape_judge(&report, scores, 10, 0.5, samples), PD_FAILED);
    assert_false(report.known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_model_that_reads_the_shape),
        cmocka_unit_test(test_model_that_does_not),
        cmocka_unit_test(test_correlations_that_are_no_sign),
        cmocka_unit_test(test_large_fold),
        cmocka_unit_test(test_nothing_is_claimed_of_unknown_shapes),
        cmocka_unit_test(test_bad_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
