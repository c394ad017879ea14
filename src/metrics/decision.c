#include "pneumo/metrics/decision.h"

#include "pneumo/base/memory.h"
#include "pneumo/metrics/calibration.h"
#include "pneumo/metrics/threshold.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The temperature for the mean logits of so many views, and the loss that remains. */
static pd_status fit_temperature(const pd_score *scores, size_t count, int views,
                                 double *temperature, double *loss)
{
    pd_status status = PD_OK;
    double *logits = NULL;
    int32_t *positive = NULL;
    PD_TRY(pd_alloc(&logits, count, sizeof *logits));
    PD_TRY(pd_alloc(&positive, count, sizeof *positive));
    for (size_t i = 0; i < count; i++) {
        logits[i] = pd_score_logit(&scores[i], views);
        positive[i] = scores[i].positive;
    }
    PD_TRY(pd_temperature_fit(temperature, logits, positive, count));
    *loss = 0;
    for (size_t i = 0; i < count; i++) {
        double logit = logits[i] / *temperature;
        *loss += fmax(logit, 0) - logit * positive[i] + log1p(exp(-fabs(logit)));
    }
cleanup:
    free(logits);
    free(positive);
    return status;
}

/* Chooses the views and the temperature, and turns logits into probabilities. Of PD_VIEWS_AUTO the
 * fewest views with the least loss win. */
static pd_status choose_views(pd_decision *out, pd_views choice, pd_score *scores, size_t count)
{
    double least = INFINITY;
    for (pd_views views = PD_VIEWS_PLAIN; views < PD_VIEWS_AUTO; views++) {
        double temperature, loss;
        if (choice != PD_VIEWS_AUTO && choice != views)
            continue;
        pd_status status =
            fit_temperature(scores, count, pd_views_count(views), &temperature, &loss);
        if (status != PD_OK)
            return status;
        if (loss < least) {
            least = loss;
            out->views = pd_views_count(views);
            out->temperature = temperature;
        }
    }
    pd_scores_decide(scores, count, out->temperature, out->views);
    return PD_OK;
}

static pd_status choose_threshold(pd_decision *out, double *probability,
                                  const pd_decision_rule *rule, const pd_score *scores,
                                  size_t count)
{
    pd_status status;
    double sensitivity = rule->target_sensitivity + rule->sensitivity_margin;
    if (rule->threshold == PD_THRESHOLD_BOTH) {
        double specificity = rule->target_specificity + rule->specificity_margin;
        status = pd_threshold_both(&out->threshold, probability, scores, count, sensitivity,
                                   specificity, rule->copies);
        char text[16] = "above 0.99"; /* never certain */
        if (*probability <= 0.99)
            snprintf(text, sizeof text, "%.2f", *probability);
        snprintf(out->rule, sizeof out->rule,
                 "most probable that both %g %% sensitivity and %g %% specificity hold on new "
                 "images (probability %s), on %s",
                 100 * sensitivity, 100 * specificity, text, rule->where);
        return status;
    }
    double least = fmin(1, sensitivity);
    *probability = (double)NAN;
    status = pd_threshold_choose(&out->threshold, scores, count, least);
    snprintf(out->rule, sizeof out->rule,
             "highest specificity with sensitivity of at least %g %% on %s", 100 * least,
             rule->where);
    return status;
}

pd_status pd_decision_make(pd_decision *out, double *probability, const pd_decision_rule *rule,
                           pd_score *scores, size_t count)
{
    pd_status status = PD_OK;
    double unused;
    out->target_sensitivity = rule->target_sensitivity;
    PD_TRY(choose_views(out, rule->views, scores, count));
    PD_TRY(choose_threshold(out, probability == NULL ? &unused : probability, rule, scores, count));
    PD_TRY(pd_band_choose(&out->refer_low, &out->refer_high, scores, count, out->threshold,
                          PD_BAND_ERROR));
cleanup:
    return status;
}

void pd_decision_replace(pd_decision *decision, double threshold, const char *how)
{
    decision->threshold = threshold;
    decision->refer_low = fmin(decision->refer_low, threshold);
    decision->refer_high = fmax(decision->refer_high, threshold);
    snprintf(decision->rule, sizeof decision->rule, "%s", how);
    snprintf(decision->fold, sizeof decision->fold, "given");
}
