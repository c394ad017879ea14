/* pd_decision as content of a file. */
#ifndef PNEUMO_IO_DECISION_INTERNAL_H
#define PNEUMO_IO_DECISION_INTERNAL_H

#include "pneumo/io/decision.h"

#include "hdf5.h"

/* Writes the group /decision: the decision, and how often the test fold was evaluated with it. */
pd_status pd_decision_put(const pd_hdf5 *file, const pd_decision *decision, int64_t test_looks);
pd_status pd_decision_get(const pd_hdf5 *file, pd_decision *decision, int64_t *test_looks);

#endif
