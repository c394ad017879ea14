/* Cross-validation of a calibration. */
#ifndef PNEUMO_EVALUATE_CALIBRATE_CROSS_H
#define PNEUMO_EVALUATE_CALIBRATE_CROSS_H

#include "pneumo/metrics/decision.h"
#include "pneumo/metrics/metrics.h"

enum { PD_CALIBRATE_PARTS = 10 };

/* Assigns the patients of scores[count] to up to PD_CALIBRATE_PARTS parts (*parts; below 2 there is
 * no cross-validation), classifies each part with a decision made on the others by `rule`, and adds
 * up the counts in *held_out. */
pd_status pd_calibrate_cross(pd_metrics *held_out, int *parts, const pd_decision_rule *rule,
                             const pd_score *scores, size_t count, uint64_t seed);

#endif
