/* Choosing the threshold from which on a probability is called PNEUMONIA.
 *
 * A threshold lies halfway between two neighbouring scores where there is room, at the lowest score
 * (all are called PNEUMONIA) or just above the highest (none is). Scores that lack a class, or that
 * are not finite, are an error. */
#ifndef PNEUMO_METRICS_THRESHOLD_H
#define PNEUMO_METRICS_THRESHOLD_H

#include "pneumo/base/status.h"
#include "pneumo/metrics/scores.h"

#include <stddef.h>

/* How the threshold is chosen on scores. */
typedef enum pd_threshold_rule {
    PD_THRESHOLD_SENSITIVITY = 0, /* highest specificity at the target sensitivity and margin */
    PD_THRESHOLD_BOTH = 1         /* most probable that both targets hold on new images */
} pd_threshold_rule;

/* The threshold that keeps sensitivity >= target (0..1) with the highest specificity. Among equal
 * ones the one with the highest sensitivity.
 * pd_metrics_compute of the same scores at *out has sensitivity.value >= target, to the last bit.
 */
pd_status pd_threshold_choose(double *out, const pd_score *scores, size_t count, double target);

/* The threshold at which it is most probable that new images from the same source are served with a
 * sensitivity of at least `sensitivity` and a specificity of at least `specificity` (both above 0
 * and below 1). That probability goes to *probability.
 *
 * The two are independent given the threshold. Each has a uniform prior, and so the posterior
 * Beta(right + 1, wrong + 1) after so many right and wrong calls of its class. The probability is
 * that of one class, P(sensitivity | TP, FN), times that of the other, P(specificity | TN, FP). It
 * does not know that the threshold was chosen on the same scores.
 *
 * `copies` >= 1 is the number of scores that each image contributes, such as those of its changed
 * versions: all counts are divided by it, since they are not independent.
 *
 * Thresholds are compared by the log-odds of the probability, which tell them apart where it rounds
 * to 0 or 1. Of a row of neighbouring thresholds with equal log-odds the middle one is taken, and
 * of several such rows the one with the highest sensitivity. */
pd_status pd_threshold_both(double *out, double *probability, const pd_score *scores, size_t count,
                            double sensitivity, double specificity, double copies);

#endif
