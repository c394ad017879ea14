/* The decision and the figures of the validation fold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/train/validation.h"

#include <math.h>
#include <string.h>

enum { PNEUMONIA = 40, NORMAL = 40, COUNT = PNEUMONIA + NORMAL };

/* Pneumonia i scores (i + 0.5) / 40; every normal image scores less than the fifth of them. */
static void make_scores(pd_score *scores, int64_t *ids)
{
    for (int i = 0; i < COUNT; i++) {
        bool positive = i < PNEUMONIA;
        double probability = positive ? (i + 0.5) / PNEUMONIA : 0.1 * (i - PNEUMONIA + 1) / NORMAL;
        scores[i] = (pd_score){.id = i,
                               .logit = log(probability / (1 - probability)),
                               .positive = positive,
                               .truth = positive,
                               .predicted = probability >= 0.5,
                               .loss = i};
        scores[i].views[0] = scores[i].logit;
        ids[i] = i;
    }
}

/* Judges scores of the fold's unchanged images. */
static pd_status judge(const pd_job *job, pd_score *scores, size_t count, const int64_t *ids,
                       pd_validation *out)
{
    pd_validation_scores all = {.ids = ids, .count = COUNT, .clean = scores, .clean_count = count};
    return pd_validation_compute(job, &all, out);
}

static pd_validation validate(double target, double margin)
{
    pd_score scores[COUNT];
    int64_t ids[COUNT];
    pd_job job;
    pd_validation out;
    pd_job_defaults(&job);
    job.decision.target_sensitivity = target;
    job.decision.sensitivity_margin = margin;
    make_scores(scores, ids);
    assert_int_equal(judge(&job, scores, COUNT, ids, &out), PD_OK);
    return out;
}

/* The margin moves the threshold, and the text of the rule includes it. */
static void test_sensitivity_margin(void **state)
{
    (void)state;
    const struct {
        double target, margin, sensitivity;
        const char *share;
    } cases[] = {
        {0.95, 0, 0.95, " 95 %"},
        {0.95, 0.025, 0.975, " 97.5 %"},
        {0.95, 0.04, 1, " 99 %"},
        {0.95, 0.5, 1, " 100 %"}, /* the sum is limited to 1 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_validation v = validate(cases[i].target, cases[i].margin);
        assert_float_equal(v.sensitivity, cases[i].sensitivity, 1e-12);
        assert_non_null(strstr(v.decision.rule, cases[i].share));
    }
}

/* The probability of a logit divided by the temperature. */
static double calibrated(double probability, double temperature)
{
    return 1 / (1 + exp(-log(probability / (1 - probability)) / temperature));
}

static void test_figures(void **state)
{
    (void)state;
    pd_validation v = validate(0.95, 0);
    assert_float_equal(v.loss, (COUNT - 1) / 2.0, 1e-12);
    /* Two of forty are below the threshold, as are all normal images. */
    assert_true(v.decision.threshold > calibrated(1.5 / PNEUMONIA, v.decision.temperature) &&
                v.decision.threshold <= calibrated(2.5 / PNEUMONIA, v.decision.temperature));
    assert_true(v.decision.refer_low <= v.decision.threshold &&
                v.decision.threshold <= v.decision.refer_high);
    assert_float_equal(v.accuracy, (v.sensitivity + v.specificity) / 2, 1e-12);
    assert_string_equal(v.remark, "");
}

/* Views are averaged if set, or with auto if that lowers the loss on validation: here their logits
 * either separate the classes much better or carry no information. */
static void test_views(void **state)
{
    (void)state;
    const struct {
        pd_views choice;
        double mirrored, zoomed; /* logits of these views, for pneumonia */
        int views;
    } cases[] = {
        {PD_VIEWS_PLAIN, 5, 5, 1}, {PD_VIEWS_MIRROR, -0.5, 5, 2},  {PD_VIEWS_ZOOM, -0.5, 5, 6},
        {PD_VIEWS_AUTO, 5, -3, 2}, {PD_VIEWS_AUTO, -0.9, -0.9, 1}, {PD_VIEWS_AUTO, 1, 9, 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_score scores[COUNT];
        int64_t ids[COUNT];
        pd_job job;
        pd_validation out;
        pd_job_defaults(&job);
        job.decision.views = cases[i].choice;
        make_scores(scores, ids);
        for (int j = 0; j < COUNT; j++)
            for (int view = 1; view < PD_VIEWS_MAX; view++)
                scores[j].views[view] = (view == 1 ? cases[i].mirrored : cases[i].zoomed) *
                                        (scores[j].positive ? 1 : -1);
        assert_int_equal(judge(&job, scores, COUNT, ids, &out), PD_OK);
        assert_int_equal(out.decision.views, cases[i].views);
        double logit = 0;
        for (int view = 0; view < out.decision.views; view++)
            logit += scores[3].views[view] / out.decision.views;
        assert_float_equal(scores[3].probability, 1 / (1 + exp(-logit / out.decision.temperature)),
                           1e-12);
    }
}

/* With threshold_on = stress the threshold keeps its sensitivity on the changed images, and the
 * figures are still those of the unchanged ones. */
static void test_threshold_on_changed_images(void **state)
{
    (void)state;
    pd_score clean[COUNT], changed[2 * COUNT];
    int64_t ids[COUNT];
    pd_job job;
    pd_validation out;
    pd_metrics metrics;
    pd_job_defaults(&job);
    job.threshold_on = PD_THRESHOLD_ON_STRESS;
    make_scores(clean, ids);
    make_scores(changed, ids);
    make_scores(changed + COUNT, ids);
    for (int i = 0; i < 2 * COUNT; i++)
        changed[i].logit = changed[i].views[0] -= 1;
    pd_validation_scores all = {.ids = ids,
                                .count = COUNT,
                                .clean = clean,
                                .clean_count = COUNT,
                                .changed = changed,
                                .changed_count = 2 * COUNT,
                                .rounds = 2};
    assert_int_equal(pd_validation_compute(&job, &all, &out), PD_OK);
    assert_string_equal(out.decision.fold, "val changed");
    assert_int_equal(pd_metrics_compute(&metrics, changed, 2 * COUNT, out.decision.threshold),
                     PD_OK);
    assert_true(metrics.sensitivity.value >= 0.95 && metrics.sensitivity.value < 1);
    assert_float_equal(out.stress_auc, metrics.auc.value, 0);
    assert_int_equal(pd_metrics_compute(&metrics, clean, COUNT, out.decision.threshold), PD_OK);
    assert_float_equal(out.sensitivity, metrics.sensitivity.value, 0);
    assert_true(out.sensitivity > 0.95 && out.specificity < 0.9);

    changed[COUNT + 3] = changed[COUNT + 4]; /* in the second round */
    assert_int_equal(pd_validation_compute(&job, &all, &out), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "has no score"));
}

/* The rule for the threshold at which both targets most probably hold. */
static void test_both(void **state)
{
    (void)state;
    pd_score scores[COUNT];
    int64_t ids[COUNT];
    pd_job job;
    pd_validation out;
    pd_job_defaults(&job);
    job.decision.threshold = PD_THRESHOLD_BOTH;
    make_scores(scores, ids);
    assert_int_equal(judge(&job, scores, COUNT, ids, &out), PD_OK);
    /* 36 of 40 are above all normal images; the rule for sensitivity would choose a lower
     * threshold. */
    assert_true(out.sensitivity < 1 && out.specificity > 0.9);
    assert_non_null(strstr(out.decision.rule, "both 95 % sensitivity and 90 % specificity hold"));
    assert_non_null(strstr(out.decision.rule, ", on the validation fold"));
}

/* A score that is missing or occurs twice is an error. */
static void test_every_score_once(void **state)
{
    (void)state;
    pd_score scores[COUNT];
    int64_t ids[COUNT];
    pd_job job;
    pd_validation out;
    pd_job_defaults(&job);
    make_scores(scores, ids);
    assert_int_equal(judge(&job, scores, COUNT - 1, ids, &out), PD_FAILED);
    make_scores(scores, ids);
    scores[7] = scores[8];
    assert_int_equal(judge(&job, scores, COUNT, ids, &out), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "validation fold"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sensitivity_margin),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_threshold_on_changed_images),
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_every_score_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
