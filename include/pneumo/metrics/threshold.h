/* Choosing the threshold at and above which a probability is called PNEUMONIA.
 *
 * A threshold lies halfway between two neighbouring scores (at the upper one if no double lies
 * between them), at the lowest score (all are called PNEUMONIA) or just above the highest (none
 * is). Scores of one class only and scores that are not finite are an error. */
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

/* The threshold that keeps sensitivity >= target (0..1) with the highest specificity. Of several,
 * the one with the highest sensitivity.
 * pd_metrics_compute of the same scores at *out has sensitivity.value >= target, to the last bit.
 */
pd_status pd_threshold_choose(double *out, const pd_score *scores, size_t count, double target);

/* The threshold at which it is most probable that new images from the same source are classified
 * with a sensitivity of at least `sensitivity` and a specificity of at least `specificity` (both
 * above 0 and below 1). That probability goes to *probability.
 *
 * The two are independent given the threshold. With a uniform prior, each has the posterior
 * Beta(correct + 1, wrong + 1) after that many correct and wrong calls of its class. The
 * probability is the product of P(sensitivity | TP, FN) and P(specificity | TN, FP). It does not
 * account for the threshold being chosen on the same scores.
 *
 * `copies` >= 1 is the number of scores that each image contributes, such as those of its changed
 * versions: all counts are divided by it, since these scores are not independent.
 *
 * Thresholds are compared by the log-odds of the probability, which differ even where it rounds to
 * 0 or 1. Of a run of neighbouring thresholds with equal log-odds the middle one is taken, and of
 * several such runs the one with the highest sensitivity. */
pd_status pd_threshold_both(double *out, double *probability, const pd_score *scores, size_t count,
                            double sensitivity, double specificity, double copies);

#endif
