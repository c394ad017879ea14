/* Replica audit: whether all ranks hold the same weights, as they should to the bit.
 *
 * A bit that flips in a rank's memory, or an update that its processor gets wrong, makes its
 * weights others, as a rule for good (moving averages and statistics forget small differences).
 * What goes wrong in a gradient before the ranks add it up is the same on all of them afterwards,
 * and is not seen here. */
#ifndef PNEUMO_TRAIN_AUDIT_H
#define PNEUMO_TRAIN_AUDIT_H

#include "pneumo/train/step.h"

/* Compares a checksum (XXH3) of all weights, moving statistics and optimiser slots over the ranks.
 * A difference is an error that names the rank, its host and the first tensor that differs: of the
 * lowest rank that has not what most ranks have; where no more than half of them agree, it says
 * that which of two is right cannot be told. `epoch` (completed) and `number` (steps taken over the
 * whole run) are for the message. Without other ranks there is nothing to compare. Allocates
 * nothing. Collective; all ranks return the same status. */
pd_status pd_audit(const pd_step *step, int64_t epoch, int64_t number);

#endif
