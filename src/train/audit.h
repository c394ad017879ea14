/* Replica audit: checks that all ranks hold the same weights, bit for bit.
 *
 * A bit that flips in a rank's memory, or a wrong update, makes its weights differ, usually for
 * good (moving averages and statistics forget small differences). An error in a gradient before it
 * is summed reaches all ranks alike and is not detected. */
#ifndef PNEUMO_TRAIN_AUDIT_H
#define PNEUMO_TRAIN_AUDIT_H

#include "pneumo/train/step.h"

/* Compares a checksum (XXH3) of all weights, moving statistics and optimiser slots over the ranks.
 * A difference is an error that names the lowest rank that deviates from the majority, its host and
 * the first tensor that differs. Without a majority the message says that either side may be wrong.
 * Does nothing on one rank. Allocates nothing. Collective; all ranks return the same status. */
pd_status pd_audit(const pd_step *step);

#endif
