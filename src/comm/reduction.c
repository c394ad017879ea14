/* The lane sum of a large vector, in buckets that travel while the vector is still being made.
 *
 * Buckets are cut from the vector's end downward. Each passes three marks, in bucket order:
 *
 *   started: its exchange is under way, in which every rank gets its slice of all subtree sums;
 *   folded: the slice is summed in tree order, and its all-gather is under way;
 *   complete: the total is in place on every rank.
 *
 * Ranks pass the marks at different times, but the exchanges among themselves, and the all-gathers
 * among themselves, start in the same order everywhere, each kind on its own channel. */
#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/comm/comm.h"
#include "pneumo/comm/transport.h"

#include <stdlib.h>

enum {
    BUCKET_DEFAULT = 1 << 18, /* floats: 1 MiB */
    BUCKET_MAX = 1 << 24,     /* keeps all sizes in bytes within int */
    WINDOW_MAX = 64           /* buckets started and not complete; bounds the memory for slices */
};

/* How a bucket of n floats is divided into one slice per rank. All arrays are in bytes, [ranks]. */
typedef struct cut {
    size_t n;
    size_t first, mine; /* this rank's slice: floats [first, first + mine) of the bucket */
    int *slice_sizes, *slice_offsets;
    int *send_sizes;                      /* slice_sizes, but nothing for this rank itself */
    int *arrival_sizes, *arrival_offsets; /* [exchanges][ranks]: subtree i of each other rank */
} cut;

struct pd_reduction {
    pd_comm *comm;
    pd_reduction_kind kind;
    size_t count;
    size_t bucket;
    size_t buckets;
    size_t window;

    int own;                 /* subtrees of this rank */
    int exchanges;           /* per bucket: the most subtrees that any rank has */
    int first_own;           /* index of this rank's first subtree among all */
    int subtree_count;       /* of all ranks */
    pd_subtree *subtrees;    /* [subtree_count], in lane order */
    cut whole, last;         /* the last bucket, at the vector's start, may be shorter */
    int *nothing;            /* [ranks] zeros: sizes for a rank without an i-th subtree */
    size_t arrival_stride;   /* floats per bucket in `arrivals` */
    float *arrivals;         /* [window][subtrees of other ranks][slice] */
    float **vectors;         /* [subtree_count], arguments of the fold */
    pd_request *to_exchange; /* [window][exchanges] */
    pd_request *to_complete; /* [window] */

    float *parts; /* borrowed */
    size_t ready; /* floats [ready, count) are final */
    size_t started, folded, completed;

    double waiting, folding;
};

static size_t bucket_begin(const pd_reduction *reduction, size_t index)
{
    size_t end = (index + 1) * reduction->bucket;
    return end < reduction->count ? reduction->count - end : 0;
}

static const cut *bucket_cut(const pd_reduction *reduction, size_t index)
{
    return index + 1 < reduction->buckets ? &reduction->whole : &reduction->last;
}

/* The buckets that lie in [ready, count). */
static size_t ready_buckets(const pd_reduction *reduction)
{
    if (reduction->ready == 0)
        return reduction->buckets;
    return (reduction->count - reduction->ready) / reduction->bucket;
}

static pd_status find_subtrees(pd_reduction *reduction)
{
    pd_status status = PD_OK;
    const pd_comm *comm = reduction->comm;
    PD_TRY(pd_alloc(&reduction->subtrees, (size_t)comm->size * PD_SUBTREES_MAX,
                    sizeof(*reduction->subtrees)));
    for (int rank = 0; rank < comm->size; rank++) {
        int first, lanes;
        pd_tree_share(comm->lanes, comm->size, rank, &first, &lanes);
        int found = pd_tree_subtrees(comm->lanes, first, lanes,
                                     reduction->subtrees + reduction->subtree_count);
        reduction->subtree_count += found;
        if (found > reduction->exchanges)
            reduction->exchanges = found;
        if (rank == comm->rank) {
            reduction->own = found;
            reduction->first_own = reduction->subtree_count - found;
        }
    }

cleanup:
    return status;
}

/* After find_subtrees. */
static pd_status cut_bucket(const pd_reduction *reduction, cut *out, size_t n)
{
    pd_status status = PD_OK;
    const pd_comm *comm = reduction->comm;
    size_t ranks = (size_t)comm->size;
    out->n = n;
    out->first = n * (size_t)comm->rank / ranks;
    out->mine = n * (size_t)(comm->rank + 1) / ranks - out->first;

    PD_TRY(pd_alloc(&out->slice_sizes, ranks, sizeof(int)));
    PD_TRY(pd_alloc(&out->slice_offsets, ranks, sizeof(int)));
    PD_TRY(pd_alloc(&out->send_sizes, ranks, sizeof(int)));
    PD_TRY(pd_alloc(&out->arrival_sizes, ranks * (size_t)reduction->exchanges, sizeof(int)));
    PD_TRY(pd_alloc(&out->arrival_offsets, ranks * (size_t)reduction->exchanges, sizeof(int)));
    int slice_bytes = (int)(out->mine * sizeof(float));
    int arrived = 0;
    for (size_t rank = 0; rank < ranks; rank++) {
        size_t begin = n * rank / ranks, end = n * (rank + 1) / ranks;
        out->slice_sizes[rank] = (int)((end - begin) * sizeof(float));
        out->slice_offsets[rank] = (int)(begin * sizeof(float));
        if ((int)rank == comm->rank)
            continue;
        out->send_sizes[rank] = out->slice_sizes[rank];

        int first, lanes;
        pd_subtree subtrees[PD_SUBTREES_MAX];
        pd_tree_share(comm->lanes, comm->size, (int)rank, &first, &lanes);
        int found = pd_tree_subtrees(comm->lanes, first, lanes, subtrees);
        for (int i = 0; i < found; i++) {
            out->arrival_sizes[(size_t)i * ranks + rank] = slice_bytes;
            out->arrival_offsets[(size_t)i * ranks + rank] = arrived++ * slice_bytes;
        }
    }

cleanup:
    return status;
}

static void cut_release(cut *released)
{
    free(released->slice_sizes);
    free(released->slice_offsets);
    free(released->send_sizes);
    free(released->arrival_sizes);
    free(released->arrival_offsets);
}

static void release(pd_reduction *reduction)
{
    cut_release(&reduction->whole);
    cut_release(&reduction->last);
    free(reduction->subtrees);
    free(reduction->nothing);
    free(reduction->arrivals);
    free(reduction->vectors);
    free(reduction->to_exchange);
    free(reduction->to_complete);
    free(reduction);
}

/* The part of pd_reduction_create that may fail on one rank alone. */
static pd_status allocate(pd_reduction *reduction)
{
    pd_status status = PD_OK;
    PD_TRY(find_subtrees(reduction));
    if (reduction->buckets == 0 || reduction->comm->size == 1)
        goto cleanup;

    PD_TRY(cut_bucket(reduction, &reduction->whole, reduction->bucket));
    PD_TRY(cut_bucket(reduction, &reduction->last,
                      reduction->count - (reduction->buckets - 1) * reduction->bucket));
    PD_TRY(pd_alloc(&reduction->to_exchange, reduction->window * (size_t)reduction->exchanges,
                    sizeof(pd_request)));
    PD_TRY(pd_alloc(&reduction->to_complete, reduction->window, sizeof(pd_request)));
    PD_TRY(pd_alloc(&reduction->nothing, (size_t)reduction->comm->size, sizeof(int)));
    PD_TRY(pd_alloc(&reduction->vectors, (size_t)reduction->subtree_count, sizeof(float *)));
    if (reduction->kind == PD_REDUCTION_EXACT) {
        reduction->arrival_stride =
            (size_t)(reduction->subtree_count - reduction->own) * reduction->whole.mine;
        PD_TRY(pd_alloc(&reduction->arrivals, reduction->window,
                        reduction->arrival_stride * sizeof(float)));
    }

cleanup:
    return status;
}

pd_status pd_reduction_create(pd_reduction **out, pd_comm *comm, pd_reduction_kind kind,
                              size_t count, size_t bucket)
{
    pd_status status = PD_OK;
    pd_reduction *reduction = NULL;
    *out = NULL;
    if (comm->lanes == 0)
        return pd_fail("pd_reduction_create needs pd_comm_set_lanes before it");
    if (bucket > BUCKET_MAX)
        return pd_fail("a reduction bucket of %zu floats is too large; use at most %d", bucket,
                       BUCKET_MAX);
    status = pd_alloc(&reduction, 1, sizeof(*reduction));
    if (status == PD_OK) {
        reduction->comm = comm;
        reduction->kind = kind;
        reduction->count = count;
        reduction->bucket = bucket > 0 ? bucket : BUCKET_DEFAULT;
        if (reduction->bucket > count && count > 0)
            reduction->bucket = count;
        reduction->buckets = count / reduction->bucket + (count % reduction->bucket != 0);
        reduction->window = reduction->buckets < WINDOW_MAX ? reduction->buckets : WINDOW_MAX;
        status = allocate(reduction);
    }
    PD_TRY(pd_comm_agree(comm, status));
    *out = reduction;
    reduction = NULL;

cleanup:
    if (reduction != NULL)
        release(reduction);
    return status;
}

void pd_reduction_destroy(pd_reduction **reduction)
{
    pd_reduction *gone = *reduction;
    if (gone == NULL)
        return;
    /* MPI may still write into the buffers of a sum that an error has cut short; those are left to
     * the end of the process. */
    if (gone->completed == gone->started) {
        if (gone->comm->reducing == gone)
            gone->comm->reducing = NULL;
        release(gone);
    }
    *reduction = NULL;
}

int pd_reduction_subtrees(const pd_reduction *reduction)
{
    return reduction->own;
}

void pd_reduction_begin(pd_reduction *reduction, float *parts)
{
    reduction->parts = parts;
    reduction->ready = reduction->count;
    reduction->started = reduction->folded = reduction->completed = 0;
}

/* For PD_REDUCTION_MPI: sums this rank's own subtrees into the first. */
static void sum_own(pd_reduction *reduction, size_t begin, size_t n)
{
    double start = pd_clock_now();
    float *sum = reduction->parts + begin;
    for (int i = 1; i < reduction->own; i++) {
        const float *part = sum + (size_t)i * reduction->count;
#pragma omp parallel for
        for (size_t j = 0; j < n; j++)
            sum[j] += part[j];
    }
    reduction->folding += pd_clock_now() - start;
}

static pd_status start_bucket(pd_reduction *reduction, size_t index)
{
    pd_status status = PD_OK;
    pd_comm *comm = reduction->comm;
    const cut *bucket = bucket_cut(reduction, index);
    size_t begin = bucket_begin(reduction, index);
    size_t slot = index % reduction->window;
    pd_request *requests = reduction->to_exchange + slot * (size_t)reduction->exchanges;

    if (reduction->kind == PD_REDUCTION_MPI) {
        sum_own(reduction, begin, bucket->n);
        return comm->transport->sum(comm, reduction->parts + begin, (int)bucket->n, requests);
    }
    for (int i = 0; i < reduction->exchanges; i++) {
        bool sends = i < reduction->own;
        const float *part = reduction->parts + (sends ? (size_t)i : 0) * reduction->count + begin;
        size_t row = (size_t)i * (size_t)comm->size;
        PD_TRY(comm->transport->exchange(
            comm, part, sends ? bucket->send_sizes : reduction->nothing, bucket->slice_offsets,
            reduction->arrivals + slot * reduction->arrival_stride, bucket->arrival_sizes + row,
            bucket->arrival_offsets + row, &requests[i]));
    }

cleanup:
    return status;
}

/* Where the slices of all subtrees are, in lane order: this rank's own in the parts, the others'
 * where they arrived. */
static void find_slices(pd_reduction *reduction, const cut *bucket, size_t begin, size_t slot)
{
    float *arrival = reduction->arrivals + slot * reduction->arrival_stride;
    for (int i = 0; i < reduction->subtree_count; i++) {
        int own = i - reduction->first_own;
        if (own >= 0 && own < reduction->own) {
            reduction->vectors[i] =
                reduction->parts + (size_t)own * reduction->count + begin + bucket->first;
        } else {
            reduction->vectors[i] = arrival;
            arrival += bucket->mine;
        }
    }
}

/* Sums this rank's slice straight into its place in the result, and sends it to all. */
static pd_status fold_bucket(pd_reduction *reduction, size_t index)
{
    if (reduction->kind == PD_REDUCTION_MPI)
        return PD_OK;
    pd_comm *comm = reduction->comm;
    const cut *bucket = bucket_cut(reduction, index);
    size_t slot = index % reduction->window;
    float *result = reduction->parts + bucket_begin(reduction, index);
    double start = pd_clock_now();
    find_slices(reduction, bucket, bucket_begin(reduction, index), slot);
    pd_tree_fold_subtrees(comm->lanes, reduction->subtrees, reduction->subtree_count,
                          reduction->vectors, bucket->mine, result + bucket->first);
    reduction->folding += pd_clock_now() - start;
    return comm->transport->allgather(comm, PD_CHANNEL_TOTAL, NULL, result, bucket->slice_sizes,
                                      bucket->slice_offsets, &reduction->to_complete[slot]);
}

/* Says whether all `count` requests are complete; with `wait`, makes sure that they are. */
static pd_status settle(const pd_reduction *reduction, pd_request *requests, int count, bool wait,
                        bool *done)
{
    pd_status status = PD_OK;
    const pd_transport *transport = reduction->comm->transport;
    *done = true;
    for (int i = 0; i < count && *done; i++) {
        if (wait)
            PD_TRY(transport->wait(&requests[i]));
        else
            PD_TRY(transport->test(&requests[i], done));
    }

cleanup:
    return status;
}

/* Takes one bucket past one mark, if that is possible, and says whether it was. With `wait`, waits
 * for the oldest bucket if nothing can be started. */
static pd_status advance(pd_reduction *reduction, bool wait, bool *moved)
{
    pd_status status = PD_OK;
    *moved = false;
    if (reduction->started < ready_buckets(reduction) &&
        reduction->started - reduction->completed < reduction->window) {
        *moved = true;
        return start_bucket(reduction, reduction->started++);
    }
    if (reduction->folded < reduction->started) {
        size_t slot = reduction->folded % reduction->window;
        PD_TRY(settle(reduction, reduction->to_exchange + slot * (size_t)reduction->exchanges,
                      reduction->exchanges, wait, moved));
        if (*moved)
            return fold_bucket(reduction, reduction->folded++);
    }
    if (reduction->completed < reduction->folded) {
        size_t slot = reduction->completed % reduction->window;
        PD_TRY(settle(reduction, &reduction->to_complete[slot], 1, wait, moved));
        if (*moved)
            reduction->completed++;
    }

cleanup:
    return status;
}

static pd_status advance_all(pd_reduction *reduction)
{
    pd_status status = PD_OK;
    bool moved = true;
    while (moved)
        PD_TRY(advance(reduction, false, &moved));

cleanup:
    return status;
}

/* Two sums in flight would mix their collectives on the channels. */
static pd_status claim_channels(pd_reduction *reduction)
{
    pd_comm *comm = reduction->comm;
    if (comm->reducing != NULL && comm->reducing != reduction)
        return pd_fail("another reduction is in flight; finish it first");
    comm->reducing = reduction;
    return PD_OK;
}

pd_status pd_reduction_ready(void *context, size_t offset, size_t count)
{
    pd_status status = PD_OK;
    pd_reduction *reduction = context;
    if (count > reduction->ready || offset != reduction->ready - count)
        return pd_fail("[%zu, %zu + %zu) is not the end of what the reduction waits for, [0, %zu)",
                       offset, offset, count, reduction->ready);
    reduction->ready = offset;
    /* One rank holds the one subtree that is the whole tree: its part is the total. */
    if (reduction->comm->size == 1)
        return PD_OK;
    PD_TRY(claim_channels(reduction));
    PD_TRY(advance_all(reduction));

cleanup:
    return status;
}

pd_status pd_reduction_finish(pd_reduction *reduction)
{
    pd_status status = PD_OK;
    double start = pd_clock_now(), folding = reduction->folding;
    if (reduction->comm->size > 1) {
        /* Waiting is for the oldest bucket, so all others are moved on before. */
        PD_TRY(advance_all(reduction));
        while (reduction->completed < ready_buckets(reduction)) {
            bool moved;
            PD_TRY(advance(reduction, true, &moved));
            PD_TRY(advance_all(reduction));
        }
        reduction->comm->reducing = NULL;
    }
    if (reduction->ready > 0)
        status = pd_fail("the reduction's floats [0, %zu) were never made ready", reduction->ready);

cleanup:
    reduction->waiting += pd_clock_now() - start - (reduction->folding - folding);
    return status;
}

void pd_reduction_seconds(pd_reduction *reduction, double *waiting, double *folding)
{
    *waiting = reduction->waiting;
    *folding = reduction->folding;
    reduction->waiting = 0;
    reduction->folding = 0;
}
