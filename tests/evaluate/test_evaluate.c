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
        double probability = positive ? (i + 0.5) / PNEUMONIA : 0.1 * (i - PNEUMONIA + 1) / NORMAL;
        scores[i] = (pd_score){.id = i,
                               .logit = log(probability / (1 - probability)),
                               .mirrored = NAN,
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

/* A probability after its logit was divided by the temperature. */
static double calibrated(double probability, double temperature)
{
    return 1 / (1 + exp(-log(probability / (1 - probability)) / temperature));
}

static void test_figures(void **state)
{
    (void)state;
    pd_validation v = validate(0.95, 0);
    assert_float_equal(v.loss, (COUNT - 1) / 2.0, 1e-12);
    /* Two of forty lie below the threshold, which no normal image between them passes. */
    assert_true(v.threshold > calibrated(1.5 / PNEUMONIA, v.temperature) &&
                v.threshold <= calibrated(2.5 / PNEUMONIA, v.temperature));
    assert_true(v.refer_low <= v.threshold && v.threshold <= v.refer_high);
    assert_float_equal(v.accuracy, (v.sensitivity + v.specificity) / 2, 1e-12);
    assert_string_equal(v.remark, "");
}

/* Mirror images are averaged if asked, or if the validation fold gains by it: here their logits
 * tell the classes apart much better, or say nothing at all. */
static void test_flip_average(void **state)
{
    (void)state;
    const struct {
        pd_flip choice;
        double sharper;
        bool flip;
    } cases[] = {
        {PD_FLIP_OFF, 5, false},
        {PD_FLIP_ON, -0.5, true},
        {PD_FLIP_AUTO, 5, true},
        {PD_FLIP_AUTO, -0.9, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_score scores[COUNT];
        int64_t ids[COUNT];
        pd_job job;
        pd_validation out;
        pd_job_defaults(&job);
        job.flip_average = cases[i].choice;
        make_scores(scores, ids);
        for (int j = 0; j < COUNT; j++)
            scores[j].mirrored = cases[i].sharper * (scores[j].positive ? 1 : -1);
        assert_int_equal(pd_evaluate_validation(&job, scores, COUNT, ids, COUNT, &out), PD_OK);
        assert_int_equal(out.flip_average, cases[i].flip);
        double logit =
            out.flip_average ? (scores[3].logit + scores[3].mirrored) / 2 : scores[3].logit;
        assert_float_equal(scores[3].probability, 1 / (1 + exp(-logit / out.temperature)), 1e-12);
    }
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
        cmocka_unit_test(test_flip_average),
        cmocka_unit_test(test_every_score_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
