/* How fast the ranks talk to each other, measured by what a training step uses: pd_comm_lane_sum
 * and pd_reduction. */
#ifndef PNEUMO_COMM_PROBE_H
#define PNEUMO_COMM_PROBE_H

#include "pneumo/comm/comm.h"

/* In the terms of LogGP (Alexandrov, Ionescu, Schauser, Scheiman, SPAA 1995). */
typedef struct pd_probe {
    double sum;       /* seconds of a lane sum of one number, */
    double latency;   /* and of a message beyond a rank's work on it */
    double overhead;  /* seconds that a rank works on one message, sending and receiving */
    double transfer;  /* seconds per byte that a rank sends (and receives as many), all at once */
    double work;      /* seconds of it in which the rank's processor copies, for the system */
    double fold;      /* seconds per byte of a part that a rank adds up */
    double allreduce; /* bytes per second of an exact sum of 16 MiB: its bytes over its seconds, in
                         groups */
} pd_probe;

/* Measures for about a second on a fast network. With one rank only `fold` is measured, the rest is
 * 0. Changes the number of lanes (pd_comm_set_lanes), and makes groups of at most `group` ranks
 * (pd_comm_set_group_size). Collective; the same figures on every rank. */
pd_status pd_probe_run(pd_probe *out, pd_comm *comm, int group);

#endif
