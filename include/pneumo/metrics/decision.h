/* The decision: choosing views, temperature, threshold and band of doubt from scores. */
#ifndef PNEUMO_METRICS_DECISION_H
#define PNEUMO_METRICS_DECISION_H

#include "pneumo/io/decision.h"
#include "pneumo/metrics/scores.h"
#include "pneumo/metrics/threshold.h"

/* What a decision must achieve. A job sets all but `copies` and `where`. */
typedef struct pd_decision_rule {
    pd_threshold_rule threshold;
    double target_sensitivity, target_specificity;
    /* Added to the targets when the threshold is chosen; PD_THRESHOLD_SENSITIVITY ignores the
     * second. */
    double sensitivity_margin, specificity_margin;
    pd_views views;    /* PD_VIEWS_AUTO: those with the lowest cross-entropy */
    double copies;     /* scores per image, as in pd_threshold_both */
    const char *where; /* for the text, such as "the validation fold"; borrowed */
} pd_decision_rule;

/* Decides by scores[count], of both classes; sets their probabilities to those that the decision
 * applies to. Fits the temperature first, then chooses the threshold and the band (pd_band_choose)
 * from the calibrated probabilities. out->fold is left as it is. *probability (may be NULL) is the
 * probability that both targets hold; NAN unless the rule is PD_THRESHOLD_BOTH. Errors are those of
 * pd_temperature_fit and the threshold. */
pd_status pd_decision_make(pd_decision *out, double *probability, const pd_decision_rule *rule,
                           pd_score *scores, size_t count);

/* Replaces the threshold. The band of doubt is extended to it, so that outside of the band no call
 * changes. `how` says who chose the threshold. */
void pd_decision_replace(pd_decision *decision, double threshold, const char *how);

#endif
