/* Running the stress test. */
#ifndef PNEUMO_EVALUATE_STRESS_RUN_H
#define PNEUMO_EVALUATE_STRESS_RUN_H

#include "pneumo/evaluate/stress.h"
#include "pneumo/io/decision.h"

#include "mean.h"

/* Scores a fold under every change by the mean of members[count] (pd_mean_scorer), whose options
 * hold the subset and the views. Each score is checked to be there exactly once. On rank 0 *out is
 * filled. Collective; all ranks return the same status. */
pd_status pd_stress_run(pd_stress *out, pd_comm *comm, const pd_member *members, int count,
                        const pd_decision *decision);

#endif
