/* The calibration before division by the temperature is that of the logits which are divided: the
 * mean over the views, and over the members of an average. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evaluate/mean.h"
#include "evaluate/results_fold.h"
#include "pneumo/base/random.h"

#include <math.h>

enum { IMAGES = 40 };

static const pd_decision decision = {
    .threshold = 0.5, .temperature = 2.5, .views = 2, .refer_low = 0.5, .refer_high = 0.5};
static pd_sample samples[IMAGES];
static int64_t ids[IMAGES];

static void make_scores(pd_score *scores, uint64_t number)
{
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 1, number);
    for (int i = 0; i < IMAGES; i++) {
        ids[i] = i;
        samples[i] = (pd_sample){.label = i % 2 == 0 ? PD_NORMAL : PD_PNEUMONIA, .patient = i};
        scores[i] = (pd_score){.id = i, .positive = i % 2, .truth = i % 2, .patient = i};
        for (int view = 0; view < PD_VIEWS_MAX; view++)
            scores[i].views[view] = (double)NAN;
        for (int view = 0; view < 2; view++)
            scores[i].views[view] = 3 * (double)pd_random_normal(&random) + i % 2;
        scores[i].logit = scores[i].views[0];
    }
    pd_scores_decide(scores, IMAGES, 1, 1); /* as a scorer leaves them */
}

static pd_results_fold compute(pd_score *scores, const pd_decision *of)
{
    pd_results_fold out = {.scores = scores, .score_count = IMAGES};
    const pd_fold_basis basis = {
        .decision = of, .ids = ids, .id_count = IMAGES, .samples = samples, .seed = 1};
    if (pd_results_fold_compute(&out, &basis) != PD_OK)
        fail_msg("%s", pd_error_message());
    return out;
}

/* The Brier score of the probabilities of logits / temperature. */
static double brier_of(const double *logits, double temperature)
{
    double sum = 0;
    for (int i = 0; i < IMAGES; i++)
        sum += pow(1 / (1 + exp(-logits[i] / temperature)) - i % 2, 2);
    return sum / IMAGES;
}

static void check_brier(const pd_results_fold *fold, const double *logits, double temperature)
{
    assert_true(fabs(fold->uncalibrated.brier - brier_of(logits, 1)) < 1e-12);
    assert_true(fabs(fold->calibration.brier - brier_of(logits, temperature)) < 1e-12);
}

static void views_are_averaged_before(void **state)
{
    (void)state;
    pd_score scores[IMAGES];
    double logits[IMAGES];
    make_scores(scores, 1);
    for (int i = 0; i < IMAGES; i++)
        logits[i] = (scores[i].views[0] + scores[i].views[1]) / 2;
    pd_results_fold fold = compute(scores, &decision);
    check_brier(&fold, logits, decision.temperature);
}

static void members_are_averaged_before(void **state)
{
    (void)state;
    pd_score first[IMAGES], second[IMAGES], mean[IMAGES];
    double logits[IMAGES];
    pd_decision own = decision;
    own.views = 1;
    make_scores(first, 2);
    make_scores(second, 3);
    pd_scores_calibrate(first, IMAGES, 1.5, 2);
    pd_scores_calibrate(second, IMAGES, 0.75, 1);
    for (int i = 0; i < IMAGES; i++) {
        const pd_score *const both[] = {&first[i], &second[i]};
        mean[i] = pd_score_mean(both, 2);
        logits[i] = (first[i].logit + second[i].logit) / 2;
    }
    pd_results_fold fold = compute(mean, &own);
    check_brier(&fold, logits, own.temperature);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_averaged_before),
        cmocka_unit_test(members_are_averaged_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
