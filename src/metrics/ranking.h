/* Scores in order of probability, the basis of most figures of merit. */
#ifndef PNEUMO_METRICS_RANKING_H
#define PNEUMO_METRICS_RANKING_H

#include "pneumo/base/status.h"
#include "pneumo/metrics/scores.h"

#include <stddef.h>
#include <stdint.h>

/* Counts the positives. A score that is not finite (pd_score_is_finite) or a label other than 0 and
 * 1 is an error that names the sample. */
pd_status pd_ranking_check(size_t *positives, const pd_score *scores, size_t count);

/* Stores at *sorted (free()) a copy in ascending order of probability, after pd_ranking_check. */
pd_status pd_ranking_sort(pd_score **sorted, size_t *positives, const pd_score *scores,
                          size_t count);

/* How a sample ranks against the other class. */
typedef struct pd_placement {
    int64_t id;
    int32_t positive;
    int32_t patient;
    double share; /* of the other class that it is ordered correctly against, ties counted half */
} pd_placement;

/* DeLong's placements, (*out)[count] (free()) in ascending order of probability, and the area under
 * the ROC curve, which is their mean over either class. If a class is missing, *out is NULL and
 * *auc NAN. Errors as pd_ranking_check. */
pd_status pd_ranking_placements(pd_placement **out, double *auc, size_t *positives,
                                const pd_score *scores, size_t count);

/* The variance of the mean over either class of placements, or of the differences of two models'
 * placements, when only patients are independent: Obuchowski, Biometrics 53, 567-578, 1997. `mean`
 * is that mean. Stores at patients[c] the number of patients with samples of class c; NAN if one of
 * them is below 2. Sorts placements[count] by patient. */
double pd_placements_variance(pd_placement *placements, size_t count, double mean,
                              double patients[2]);

#endif
