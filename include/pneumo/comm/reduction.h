/* The lane sum of a large vector, overlapped with the computation that produces it. */
#ifndef PNEUMO_COMM_REDUCTION_H
#define PNEUMO_COMM_REDUCTION_H

#include "pneumo/comm/comm.h"

typedef enum pd_reduction_kind {
    /* All-to-all, fold in tree order, all-gather: the same bits for any number of ranks. */
    PD_REDUCTION_EXACT = 0,
    /* MPI_Iallreduce of each rank's own sum. */
    PD_REDUCTION_MPI = 1,
    PD_REDUCTIONS
} pd_reduction_kind;

/* "exact", "mpi" */
extern const char *const pd_reduction_names[PD_REDUCTIONS];

typedef struct pd_reduction pd_reduction;

/* Prepares sums of `count` floats, sent in buckets of `bucket` floats (0: 1 MiB; at most 2^24).
 * Call pd_comm_set_lanes first. Allocates all memory that the sums need: this rank's parts, and the
 * parts of up to 64 buckets from other groups. Collective. The caller owns *out and destroys it
 * before the communicator. */
pd_status pd_reduction_create(pd_reduction **out, pd_comm *comm, pd_reduction_kind kind,
                              size_t count, size_t bucket);
void pd_reduction_destroy(pd_reduction **reduction);

/* This rank's contribution: one vector [count] per subtree, at parts + i * count, in lane order.
 * Owned by the reduction; initially zero. Write it between pd_reduction_begin and
 * pd_reduction_ready. */
float *pd_reduction_parts(pd_reduction *reduction);

/* Starts one sum, after waiting until the group has finished with the previous result. Each
 * communicator allows one sum in flight; its other functions may be called meanwhile. A rank that
 * fails between here and pd_reduction_finish must call pd_comm_abort, since the others need its
 * part. Collective. */
pd_status pd_reduction_begin(pd_reduction *reduction);

/* Marks [offset, offset + count) as final in every part. The calls cover the vector from its end
 * downward in adjacent ranges. Sends buckets that have become complete and advances earlier ones.
 * Every rank makes the same calls in the same order. Its type fits pd_gradient_ready. */
pd_status pd_reduction_ready(void *reduction, size_t offset, size_t count);

/* Waits until the whole sum is complete. Overwrites the parts. Collective. */
pd_status pd_reduction_finish(pd_reduction *reduction);

/* The sum [count], valid from pd_reduction_finish until pd_reduction_begin. Read-only: the group
 * shares it. Owned by the reduction. */
const float *pd_reduction_result(const pd_reduction *reduction);

/* The seconds this rank has spent waiting in pd_reduction_finish and folding, since the last call.
 */
void pd_reduction_seconds(pd_reduction *reduction, double *waiting, double *folding);

#endif
