/* The curves of a binary classifier. */
#ifndef PNEUMO_METRICS_CURVES_H
#define PNEUMO_METRICS_CURVES_H

#include "pneumo/base/status.h"
#include "pneumo/metrics/scores.h"

#include <stddef.h>

/* At `threshold` (positive when probability >= threshold). */
typedef struct pd_curve_point {
    double x, y, threshold;
} pd_curve_point;

typedef struct pd_curve {
    pd_curve_point *points; /* free() */
    size_t count;
} pd_curve;

/* Both curves begin at an infinite threshold and have a point per distinct score, in descending
 * order of thresholds. They fail when a class is missing, and as pd_ranking_check; *out is then
 * empty. */

/* x: 1 - specificity, y: sensitivity, from (0, 0) to (1, 1). Points on a straight line between
 * their neighbours are left out. */
pd_status pd_curve_roc(pd_curve *out, const pd_score *scores, size_t count);

/* x: recall, y: precision, from (0, 1) by convention, as scikit-learn, to recall 1 at the lowest
 * score. Points on a horizontal or vertical line between their neighbours are left out. */
pd_status pd_curve_precision_recall(pd_curve *out, const pd_score *scores, size_t count);

/* Average precision: the sum over thresholds of the increase in recall times the precision. */
double pd_curve_average_precision(const pd_curve *precision_recall);

#endif
