/* Measures the speed of communication between the ranks, with the operations that a training step
 * uses: pd_comm_lane_sum and pd_reduction. */
#ifndef PNEUMO_COMM_PROBE_H
#define PNEUMO_COMM_PROBE_H

#include "pneumo/comm/comm.h"

/* The parameters of LogGP (Alexandrov, Ionescu, Schauser, Scheiman, SPAA 1995), and sums. */
typedef struct pd_probe {
    double sum;       /* seconds of a lane sum of one number */
    double latency;   /* seconds of a message, beyond the overhead */
    double overhead;  /* seconds that a rank spends sending and receiving one message */
    double transfer;  /* seconds per byte while all ranks send and receive at the same time */
    double work;      /* the part of `transfer` in which the kernel copies data on the rank's CPU */
    double fold;      /* seconds per byte of a part that a rank folds */
    double allreduce; /* bytes per second of an exact sum of 16 MiB in groups */
} pd_probe;

/* Measures for about a second on a fast network. With one rank, measures only `fold` and sets the
 * rest to 0. Changes the number of lanes (pd_comm_set_lanes) and limits groups to `group_limit`
 * ranks (pd_comm_set_group_size). Collective; all ranks get the same figures. */
pd_status pd_probe_run(pd_probe *out, pd_comm *comm, int group_limit);

#endif
