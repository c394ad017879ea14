/* What training asks of its validation fold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/evaluate/evaluate.h"

#include <math.h>
#include <string.h>

enum { PNEUMONIA = 40, NORMAL = 40, COUNT = PNEUMONIA + NORMAL };

/* Pneumonia i scores (i + 0.5) / 40; no normal image scores as much as the fifth of them. */
static void make_scores(pd_score *scores, int64_t *ids)
{
    for (int i = 0; i < COUNT; i++) {
        bool positive = i < PNEUMONIA;
        double probability = positive ? (i + 0.5) / PNEUMONIA : 0.1 * (i - PNEUMONIA) / NORMAL;
        scores[i] = (pd_score){.id = i,
                               .probability = probability,
                               .positive = positive,
                               .truth = positive,
                               .predicted = probability >= 0.5,
                               .loss = i};
        ids[i] = i;
    }
}

static pd_validation validate(double target, double margin)
{
    pd_score scores[COUNT];
    int64_t ids[COUNT];
    pd_job job;
    pd_validation out;
    pd_job_defaults(&job);
    job.target_sensitivity = target;
    job.sensitivity_margin = margin;
    make_scores(scores, ids);
    assert_int_equal(pd_evaluate_validation(&job, scores, COUNT, ids, COUNT, &out), PD_OK);
    return out;
}

/* The margin moves the threshold, and the rule says what was asked of it. */
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
        {0.95, 0.5, 1, " 100 %"}, /* more than all cannot be asked */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_validation v = validate(cases[i].target, cases[i].margin);
        assert_float_equal(v.sensitivity, cases[i].sensitivity, 1e-12);
        assert_non_null(strstr(v.rule, cases[i].share));
    }
}

static void test_figures(void **state)
{
    (void)state;
    pd_validation v = validate(0.95, 0);
    assert_float_equal(v.loss, (COUNT - 1) / 2.0, 1e-12);
    /* Two of forty lie below the threshold, which no normal image between them passes. */
    assert_true(v.threshold > 1.5 / PNEUMONIA && v.threshold <= 2.5 / PNEUMONIA);
    assert_float_equal(v.accuracy, (v.sensitivity + v.specificity) / 2, 1e-12);
    assert_string_equal(v.remark, "");
}

/* A score that is missing, or there twice, is no figure but an error. */
static void test_every_score_once(void **state)
{
    (void)state;
    pd_score scores[COUNT];
    int64_t ids[COUNT];
    pd_job job;
    pd_validation out;
    pd_job_defaults(&job);
    make_scores(scores, ids);
    assert_int_equal(pd_evaluate_validation(&job, scores, COUNT - 1, ids, COUNT, &out), PD_FAILED);
    make_scores(scores, ids);
    scores[7] = scores[8];
    assert_int_equal(pd_evaluate_validation(&job, scores, COUNT, ids, COUNT, &out), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "validation fold"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sensitivity_margin),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_every_score_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
