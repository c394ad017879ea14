/* Cross-validation of a calibration. */
#ifndef PNEUMO_EVALUATE_CALIBRATE_CROSS_H
#define PNEUMO_EVALUATE_CALIBRATE_CROSS_H

#include "pneumo/evaluate/calibrate.h"

/* Sets held_out and parts: assigns the patients of scores[count] to PD_CALIBRATE_PARTS parts,
 * classifies each with a decision made on the others by `rule`, and adds up the counts. */
pd_status pd_calibrate_cross(pd_calibrate_result *result, const pd_decision_rule *rule,
                             const pd_score *scores, size_t count, uint64_t seed);

#endif
