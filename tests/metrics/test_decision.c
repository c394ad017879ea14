/* Decisions from scores, in training and for a new site. */
#include "metrics/made_scores.h"
#include "pneumo/metrics/calibration.h"
#include "pneumo/metrics/decision.h"
#include "pneumo/metrics/threshold.h"
#include "pneumo/train/validation.h"

#include <string.h>

enum { EACH = 60, ALL = 2 * EACH };

/* Logits of two overlapping classes; those of mirror images have the sign of the other class. */
static void make_logits(pd_score *scores)
{
    pd_random random = pd_random_stream(4, PD_PURPOSE_TEST, 4, 0);
    for (int i = 0; i < ALL; i++) {
        double logit = 3 * (double)pd_random_normal(&random) + (i < EACH ? 6 : -6);
        scores[i] = (pd_score){.id = i,
                               .logit = logit,
                               .views = {logit, -logit / 2},
                               .positive = i < EACH,
                               .truth = i < EACH};
    }
}

static pd_decision decide(double *probability, const pd_decision_rule *rule, pd_score *scores)
{
    pd_decision decision;
    make_logits(scores);
    assert_int_equal(pd_decision_make(&decision, probability, rule, scores, ALL), PD_OK);
    return decision;
}

/* Each rule equals pd_threshold_* on the calibrated probabilities. */
static void test_rules(void **state)
{
    (void)state;
    pd_score scores[ALL];
    pd_job job;
    double threshold, found, probability, low, high;
    char expected[192];
    pd_job_defaults(&job);
    pd_decision_rule rule = pd_decision_rule_of(&job, "a fold");
    pd_decision decision = decide(&found, &rule, scores);
    assert_int_equal(pd_threshold_choose(&threshold, scores, ALL, 0.95), PD_OK);
    assert_true(decision.threshold == threshold && isnan(found));
    assert_string_equal(decision.rule,
                        "highest specificity with sensitivity of at least 95 % on a fold");
    assert_true(decision.temperature > 0.5 && decision.temperature < 3);
    for (int i = 0; i < ALL; i++)
        check_close("probability", scores[i].probability,
                    1 / (1 + exp(-scores[i].logit / decision.temperature)), 1e-12);

    job.decision.threshold = PD_THRESHOLD_BOTH;
    rule = pd_decision_rule_of(&job, "a fold");
    decision = decide(&found, &rule, scores);
    assert_int_equal(pd_threshold_both(&threshold, &probability, scores, ALL, 0.95, 0.9, 1), PD_OK);
    assert_true(decision.threshold == threshold && found == probability);
    assert_int_equal(pd_band_choose(&low, &high, scores, ALL, threshold, PD_BAND_ERROR), PD_OK);
    assert_true(decision.refer_low == low && decision.refer_high == high);
    snprintf(expected, sizeof expected,
             "most probable that both 95 %% sensitivity and 90 %% specificity hold on new images "
             "(probability %.2f), on a fold",
             probability);
    assert_string_equal(decision.rule, expected);

    rule.sensitivity_margin = 0.01;
    rule.specificity_margin = 0.05;
    decision = decide(&found, &rule, scores);
    assert_int_equal(
        pd_threshold_both(&threshold, &probability, scores, ALL, 0.95 + 0.01, 0.9 + 0.05, 1),
        PD_OK);
    assert_true(decision.threshold == threshold && found == probability);
    assert_non_null(strstr(decision.rule, "both 96 % sensitivity and 95 % specificity"));
    rule.sensitivity_margin = rule.specificity_margin = 0;

    decide(&probability, &rule, scores);
    rule.copies = 20; /* scores of copies are less informative about new images */
    decide(&found, &rule, scores);
    assert_true(found < probability);
}

/* The longest text is not truncated. */
static void test_text_fits(void **state)
{
    (void)state;
    pd_score scores[ALL];
    pd_decision_rule rule = {.threshold = PD_THRESHOLD_BOTH,
                             .target_sensitivity = 0.9512345,
                             .target_specificity = 0.9012345,
                             .copies = 1,
                             .where = "100000 normal and 100000 pneumonia calibration images"};
    pd_decision decision = decide(NULL, &rule, scores);
    assert_true(strlen(decision.rule) < sizeof decision.rule - 1);
    assert_non_null(strstr(decision.rule, "calibration images"));
}

static void test_views(void **state)
{
    (void)state;
    pd_score scores[ALL];
    pd_job job;
    pd_job_defaults(&job);
    pd_decision_rule rule = pd_decision_rule_of(&job, "a fold");
    rule.views = PD_VIEWS_MIRROR;
    pd_decision decision = decide(NULL, &rule, scores);
    assert_int_equal(decision.views, 2);
    check_close("mean", scores[3].probability,
                1 / (1 + exp(-scores[3].logit / 4 / decision.temperature)), 1e-12);
    rule.views = PD_VIEWS_PLAIN;
    assert_int_equal(decide(NULL, &rule, scores).views, 1);
}

static void test_refused(void **state)
{
    (void)state;
    pd_score scores[ALL];
    pd_decision decision;
    pd_job job;
    pd_job_defaults(&job);
    pd_decision_rule rule = pd_decision_rule_of(&job, "a fold");
    make_logits(scores);
    assert_int_equal(pd_decision_make(&decision, NULL, &rule, scores, EACH), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "both classes are needed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_text_fits),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
