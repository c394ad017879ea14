/* Whether two models differ by more than noise, on the same images. */
#ifndef PNEUMO_METRICS_DIFFERENCE_H
#define PNEUMO_METRICS_DIFFERENCE_H

#include "pneumo/metrics/metrics.h"

#include <stddef.h>

typedef struct pd_difference {
    double value;     /* a - b */
    double low, high; /* 95 % interval */
    double p;         /* two-sided */
} pd_difference;

/* In both, a[count] and b[count] hold one score per id, for the same ids with the same truth, in
 * any order; a violation is an error that names the id. Other errors as pd_ranking_check. Only
 * patients are treated as independent; with one image each, the tests are those of independent
 * images. */

/* AUC of a minus AUC of b by DeLong's test for correlated curves (DeLong, DeLong, Clarke-Pearson,
 * Biometrics 1988; fast form of Sun and Xu, IEEE SPL 2014) with the variance of Obuchowski for
 * clustered images (pd_placements_variance).
 *
 * The variance is undefined for a class of one patient and 0 when both models rank every sample
 * alike, such as two models that are never wrong. An interval of width 0 would claim certainty, so
 * it is then combined from the two intervals of pd_auc_patients as if the curves were independent
 * (distances to the limits add in squares: Zou and Donner, Statistics in Medicine 2008). p is then
 * that of a normal deviate whose 95 % interval reaches equally far towards 0, and 1 for equal
 * areas. All NAN when a class is missing.
 */
pd_status pd_difference_auc(pd_difference *out, const pd_score *a, const pd_score *b, size_t count);

/* Accuracy of a minus accuracy of b, each at its own threshold (positive when probability >=
 * threshold). p is that of the two-sided permutation test which exchanges the models within
 * patients: the exact McNemar test (binomial on the discordant pairs) where no patient has more
 * than one discordant image on balance. It is exact up to 4,000 discordant images, beyond which the
 * sum is taken for normal. The interval is Newcombe's for paired differences (method 10, Statistics
 * in Medicine 17, 2635-2650, 1998) of the counts divided by the design effect (Rao and Scott,
 * Biometrics 48, 577-585, 1992), which is taken to be at least 1. All NAN without samples. */
pd_status pd_difference_accuracy(pd_difference *out, const pd_score *a, double threshold_a,
                                 const pd_score *b, double threshold_b, size_t count);

#endif
