#include "pneumo/comm/probe.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/comm/group.h"
#include "pneumo/comm/reduction.h"
#include "pneumo/kernels/tree.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
    ROUNDS = 5,         /* per measurement; the fastest counts */
    SHORT_SUMS = 16,    /* lane sums in a row */
    SHORT_BUCKETS = 64, /* of one float per rank, so that only the number of messages matters */
    LONG_FLOATS = 4 << 20,
    LONG_BUCKET = 1 << 18,
    FOLD_PARTS = 16,
    FOLD_FLOATS = 1 << 18
};

/* Seconds of one lane sum of one number. */
static pd_status time_short_sums(pd_comm *comm, double *seconds)
{
    pd_status status = PD_OK;
    *seconds = (double)INFINITY;
    for (int round = 0; round < ROUNDS; round++) {
        PD_TRY(pd_comm_barrier(comm));
        double start = pd_clock_now(), part = 1, total;
        for (int i = 0; i < SHORT_SUMS; i++)
            PD_TRY(pd_comm_lane_sum(comm, &part, 1, &total));
        *seconds = fmin(*seconds, (pd_clock_now() - start) / SHORT_SUMS);
    }
cleanup:
    return status;
}

/* CPU seconds that the kernel has spent on behalf of this process. */
static double system_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)used.ru_stime.tv_sec + 1e-6 * (double)used.ru_stime.tv_usec;
}

/* Times one exact sum of `count` floats. The fastest round counts: *folding is the seconds of its
 * folds, *seconds those of the rest. *system is the kernel's CPU seconds per sum, averaged over the
 * rounds because their clock may be coarse. */
static pd_status time_reduction(pd_comm *comm, size_t count, size_t bucket, double *seconds,
                                double *folding, double *system)
{
    pd_status status = PD_OK;
    pd_reduction *reduction = NULL;
    *seconds = (double)INFINITY;
    *system = 0;
    PD_TRY(pd_reduction_create(&reduction, comm, PD_REDUCTION_EXACT, count, bucket));
    for (int round = 0; round < ROUNDS; round++) {
        double waiting, fold;
        PD_TRY(pd_comm_barrier(comm));
        pd_reduction_seconds(reduction, &waiting, &fold);
        double start = pd_clock_now(), before = system_seconds();
        PD_TRY(pd_reduction_begin(reduction));
        PD_TRY(pd_reduction_ready(reduction, 0, count));
        PD_TRY(pd_reduction_finish(reduction));
        double taken = pd_clock_now() - start;
        *system += (system_seconds() - before) / ROUNDS;
        pd_reduction_seconds(reduction, &waiting, &fold);
        if (taken - fold < *seconds) {
            *seconds = taken - fold;
            *folding = fold;
        }
    }
cleanup:
    pd_reduction_destroy(&reduction);
    return status;
}

/* Seconds per byte of folding vectors of floats, on this rank. */
static pd_status time_fold(double *seconds)
{
    float *parts = NULL, *vectors[FOLD_PARTS];
    pd_subtree subtrees[FOLD_PARTS], root = {.count = FOLD_PARTS};
    pd_status status = pd_alloc(&parts, (size_t)FOLD_PARTS * FOLD_FLOATS, sizeof *parts);
    if (status != PD_OK)
        return status;
    for (int i = 0; i < FOLD_PARTS; i++) {
        vectors[i] = parts + (size_t)i * FOLD_FLOATS;
        subtrees[i] = (pd_subtree){.first = i, .count = 1};
    }
    double fastest = (double)INFINITY;
    for (int round = 0; round < ROUNDS; round++) {
        double start = pd_clock_now();
        pd_tree_fold_subtrees(&root, subtrees, FOLD_PARTS, vectors, FOLD_FLOATS, parts);
        fastest = fmin(fastest, pd_clock_now() - start);
    }
    *seconds = fastest / ((double)FOLD_PARTS * FOLD_FLOATS * sizeof(float));
    free(parts);
    return PD_OK;
}

/* Derives the parameters from sums without groups, then measures a sum in groups. */
static pd_status time_network(pd_probe *out, pd_comm *comm, int group_limit)
{
    pd_status status = PD_OK;
    size_t ranks = (size_t)pd_comm_size(comm);
    double others = (double)ranks - 1, one, many, large, grouped, folding = 0, system = 0, unused;
    PD_TRY(time_short_sums(comm, &one));
    PD_TRY(pd_comm_set_group_size(comm, 1));
    PD_TRY(time_reduction(comm, SHORT_BUCKETS * ranks, ranks, &many, &folding, &unused));
    PD_TRY(time_reduction(comm, LONG_FLOATS, LONG_BUCKET, &large, &folding, &system));
    PD_TRY(pd_comm_set_group_size(comm, group_limit));
    PD_TRY(time_reduction(comm, LONG_FLOATS, LONG_BUCKET, &grouped, &folding, &unused));
    double bytes = LONG_FLOATS * sizeof(float);
    out->overhead = many / (2 * SHORT_BUCKETS * others);
    int rounds = pd_comm_doubling_rounds((int)ranks, (int)ranks);
    out->latency =
        fmax(rounds > 0 ? one / rounds - out->overhead : one - others * out->overhead, 0);
    out->sum = one;
    out->allreduce = bytes / (grouped + folding);
    large -= 2 * others * out->overhead * LONG_FLOATS / LONG_BUCKET;
    double sent = 2 * bytes * others / (double)ranks;
    out->transfer = fmax(large, 0) / sent;
    out->work = fmin(system / sent, out->transfer);
cleanup:
    return status;
}

pd_status pd_probe_run(pd_probe *out, pd_comm *comm, int group_limit)
{
    pd_status status = PD_OK;
    *out = (pd_probe){0};
    PD_TRY(pd_comm_agree(comm, pd_comm_set_lanes(comm, pd_comm_size(comm))));
    PD_TRY(pd_comm_agree(comm, time_fold(&out->fold)));
    if (pd_comm_size(comm) > 1)
        PD_TRY(time_network(out, comm, group_limit));
    double *const all[] = {&out->latency, &out->overhead, &out->transfer,
                           &out->work,    &out->fold,     &out->sum};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        PD_TRY(pd_comm_max(comm, *all[i], all[i]));
    PD_TRY(pd_comm_max(comm, -out->allreduce, &out->allreduce));
    out->allreduce = -out->allreduce;
cleanup:
    return status;
}
