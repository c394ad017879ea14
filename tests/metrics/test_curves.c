#include "golden/statistics.h"
#include "metrics/made_scores.h"
#include "pneumo/metrics/curves.h"
#include "pneumo/metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 300 };

static void check_curve(size_t number, const char *name, const pd_curve *curve,
                        const double (*expected)[3], int count)
{
    char what[64];
    if (curve->count != (size_t)count)
        fail_msg("case %zu: %s has %zu points, expected %d", number, name, curve->count, count);
    for (size_t i = 0; i < curve->count; i++) {
        snprintf(what, sizeof what, "case %zu: point %zu of %s", number, i, name);
        check_close(what, curve->points[i].x, expected[i][0], 1e-12);
        check_close(what, curve->points[i].y, expected[i][1], 1e-12);
        check_close(what, curve->points[i].threshold, expected[i][2], 0);
    }
}

static void test_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden_curves); i++) {
        const struct golden_curve *g = &golden_curves[i];
        pd_score scores[MOST];
        for (int j = 0; j < g->count; j++)
            scores[j] = (pd_score)SCORE(j, g->score[j], g->truth[j]);
        pd_curve roc, pr;
        assert_int_equal(pd_curve_roc(&roc, scores, (size_t)g->count), PD_OK);
        assert_int_equal(pd_curve_precision_recall(&pr, scores, (size_t)g->count), PD_OK);
        check_curve(i, "ROC", &roc, g->roc, g->roc_count);
        check_curve(i, "precision-recall", &pr, g->pr, g->pr_count);
        check_close("average precision", pd_curve_average_precision(&pr), g->average_precision,
                    1e-12);
        free(roc.points);
        free(pr.points);
    }
}

/* Leaving out points must not change the area, and each point must match its threshold. */
static void test_against_metrics(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 60; number++) {
        pd_score scores[MOST];
        size_t count = make_scores(scores, number, MOST, number % 2 ? 7 : 1000);
        pd_curve roc, pr;
        assert_int_equal(pd_curve_roc(&roc, scores, count), PD_OK);
        assert_int_equal(pd_curve_precision_recall(&pr, scores, count), PD_OK);
        double area = 0;
        for (size_t i = 1; i < roc.count; i++)
            area += (roc.points[i].x - roc.points[i - 1].x) *
                    (roc.points[i].y + roc.points[i - 1].y) / 2;
        pd_figure auc;
        assert_int_equal(pd_auc(&auc, scores, count), PD_OK);
        check_close("area", area, auc.value, 1e-12);
        for (size_t i = 0; i < roc.count; i++) {
            pd_metrics m;
            assert_int_equal(pd_metrics_compute(&m, scores, count, roc.points[i].threshold), PD_OK);
            check_close("x", roc.points[i].x, 1 - m.specificity.value, 1e-12);
            check_close("y", roc.points[i].y, m.sensitivity.value, 0);
        }
        for (size_t i = 1; i < pr.count; i++) {
            pd_metrics m;
            assert_int_equal(pd_metrics_compute(&m, scores, count, pr.points[i].threshold), PD_OK);
            check_close("recall", pr.points[i].x, m.sensitivity.value, 0);
            check_close("precision", pr.points[i].y, m.precision.value, 0);
        }
        free(roc.points);
        free(pr.points);
    }
}

static void check_refused(const pd_score *scores, size_t count, const char *complaint)
{
    pd_curve curve = {.count = 1};
    assert_int_equal(pd_curve_roc(&curve, scores, count), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), complaint));
    assert_true(curve.points == NULL && curve.count == 0);
    curve.count = 1;
    assert_int_equal(pd_curve_precision_recall(&curve, scores, count), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), complaint));
    assert_true(curve.points == NULL && curve.count == 0);
}

static void test_refused(void **state)
{
    (void)state;
    const pd_score normal[] = {SCORE(1, 0.1, 0), SCORE(2, 0.2, 0)};
    const pd_score pneumonia[] = {SCORE(1, 0.1, 1), SCORE(2, 0.2, 1)};
    const pd_score nan[] = {SCORE(1, 0.1, 1), SCORE(72, NAN, 0)};
    const pd_score label[] = {SCORE(1, 0.1, 1), SCORE(73, 0.2, -1)};
    check_refused(NULL, 0, "both classes");
    check_refused(normal, 2, "all 2 samples are normal");
    check_refused(pneumonia, 2, "all 2 samples are pneumonia");
    check_refused(nan, 2, "sample 72");
    check_refused(label, 2, "sample 73");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_against_metrics),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
