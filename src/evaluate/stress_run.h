/* Running the stress test. */
#ifndef PNEUMO_EVALUATE_STRESS_RUN_H
#define PNEUMO_EVALUATE_STRESS_RUN_H

#include "mean.h"
#include "pneumo/evaluate/stress.h"

/* The decision that the rows are judged by. */
typedef struct pd_stress_decision {
    double threshold, temperature;
    int views;
} pd_stress_decision;

/* Scores a fold under every change by the mean of members[count] (pd_mean_scorer), whose options
 * hold the subset and the views. Each score is checked to be there exactly once. On rank 0 *out is
 * filled. Collective; all ranks return the same status. */
pd_status pd_stress_run(pd_stress *out, pd_comm *comm, const pd_member *members, int count,
                        const pd_stress_decision *decision);

#endif
