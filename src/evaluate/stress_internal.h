/* Running the stress test. */
#ifndef PNEUMO_EVALUATE_STRESS_INTERNAL_H
#define PNEUMO_EVALUATE_STRESS_INTERNAL_H

#include "pneumo/evaluate/stress.h"
#include "pneumo/io/decision.h"

#include "mean.h"

/* Scores a fold under every change with the mean of members[count] (pd_mean_scorer). If the fold of
 * any member has more than `most` images (0: all are scored), about as many are drawn by the job's
 * seed, with their class ratio, and all members score those. A missing or repeated score is an
 * error. *out is set on rank 0. Collective; all ranks return the same status. */
pd_status pd_stress_run(pd_stress *out, pd_comm *comm, const pd_member *members, int count,
                        const pd_decision *decision, size_t most);

#endif
