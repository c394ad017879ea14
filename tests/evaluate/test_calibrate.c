/* The cross-validation; tests/cli/test_calibrate.sh tests the command. */
#include "evaluate/calibrate_cross.h"
#include "metrics/made_scores.h"
#include "pneumo/train/validation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EACH = 40, ALL = 2 * EACH };

static pd_decision_rule rule(void)
{
    pd_job job;
    pd_job_defaults(&job);
    return pd_decision_rule_of(&job, "these");
}

/* Separated classes are separated in every part. */
static void test_cross_apart(void **state)
{
    (void)state;
    pd_score scores[ALL];
    pd_metrics held_out;
    int parts;
    for (int i = 0; i < ALL; i++)
        scores[i] =
            (pd_score){.id = i, .logit = i < EACH ? 3 : -3, .positive = i < EACH, .patient = i / 2};
    pd_decision_rule asked = rule();
    assert_int_equal(pd_calibrate_cross(&held_out, &parts, &asked, scores, ALL, 1), PD_OK);
    assert_int_equal(parts, PD_CALIBRATE_PARTS);
    assert_int_equal(held_out.confusion.true_positive, EACH);
    assert_int_equal(held_out.confusion.true_negative, EACH);
}

/* Uninformative scores: on the images that it was chosen on, a threshold reaches its target; on
 * others it must be close to chance, and each image counts once. */
static void test_cross_is_honest(void **state)
{
    (void)state;
    pd_score scores[ALL];
    pd_metrics flattered;
    pd_decision decision;
    double inside = 0, outside = 0;
    pd_decision_rule asked = rule();
    asked.threshold = PD_THRESHOLD_BOTH;
    asked.target_sensitivity = asked.target_specificity = 0.55;
    for (uint64_t seed = 0; seed < 30; seed++) {
        pd_metrics held_out;
        int parts;
        pd_random random = pd_random_stream(seed, PD_PURPOSE_TEST, 6, 0);
        for (int i = 0; i < ALL; i++)
            scores[i] = (pd_score){.id = i,
                                   .logit = (double)pd_random_normal(&random),
                                   .positive = i % 2,
                                   .patient = i};
        assert_int_equal(pd_calibrate_cross(&held_out, &parts, &asked, scores, ALL, seed), PD_OK);
        const pd_confusion *c = &held_out.confusion;
        assert_int_equal(c->true_positive + c->false_negative, EACH);
        assert_int_equal(c->true_negative + c->false_positive, EACH);
        outside += held_out.balanced_accuracy.value / 30;
        assert_int_equal(pd_decision_make(&decision, NULL, &asked, scores, ALL), PD_OK);
        assert_int_equal(pd_metrics_compute(&flattered, scores, ALL, decision.threshold), PD_OK);
        inside += flattered.balanced_accuracy.value / 30;
    }
    assert_true(inside > 0.52 && fabs(outside - 0.5) < 0.015);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cross_apart),
        cmocka_unit_test(test_cross_is_honest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
