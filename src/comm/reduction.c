/* Buckets travel while the vector is still being computed. Each passes four stages, in bucket
 * order:
 *
 *   ready: final in this rank's parts, which the group can read;
 *   gathered: ready in the whole group; this rank has summed its slice of the group's parts, in
 *     place, and has started the all-to-all in which each rank of its column gets its piece of all
 *     groups' sums;
 *   folded: the piece is summed over the groups, and its all-gather in the column has started;
 *   complete: this rank's slice of the total is in the result, which the group can read.
 *
 * All sums are in tree order (see reduction_layout.h for slices, pieces and columns). Ranks reach
 * the stages at different times, but all start the all-to-alls in the same order, and the
 * all-gathers in the same order, each on its own channel. */
#include "reduction_internal.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "reduction_layout.h"
#include "share.h"
#include "transport.h"

#include <stdlib.h>

enum {
    BUCKET_DEFAULT = 1 << 18, /* floats: 1 MiB */
    BUCKET_MAX = 1 << 24,     /* keeps all sizes in bytes within int */
    WINDOW_MAX = 64,          /* buckets gathered but not complete; bounds the memory for pieces */
    PAGE = 4096
};

static const char AWAITED[] = "the sum of the gradients";

enum { APART = 128 - sizeof(pd_counter) };

/* What a rank publishes to its group, at the start of its segment; the parts follow on the next
 * page. The counters never restart between sums. Each has its own cache lines. */
typedef struct published {
    pd_counter begun; /* sums; the previous results are no longer in use */
    char space_1[APART];
    pd_counter ready; /* buckets */
    char space_2[APART];
    pd_counter complete; /* buckets */
} published;

_Static_assert(sizeof(published) <= PAGE, "the counters do not fit into a page");

const char *const pd_reduction_names[PD_REDUCTIONS] = {
    [PD_REDUCTION_EXACT] = "exact", [PD_REDUCTION_MPI] = "mpi"};

struct pd_reduction {
    pd_comm *comm;
    pd_reduction_kind kind;
    pd_reduction_layout layout;
    size_t window;
    int exchanges; /* per bucket: layout.exchanges, or 1 for MPI's own sum */

    pd_share *share;
    float *own_parts;
    float **sources; /* the vectors of the group's subtrees; a node's sum replaces its first */
    float *result;   /* the group's first vector */

    int *no_sizes;           /* [groups] zeros: sizes for a group without an i-th node */
    float *arrivals;         /* [window][layout.arrivals]: nodes of other groups, a piece each */
    float **vectors;         /* arguments of the folds */
    pd_request *to_exchange; /* [window][exchanges] */
    pd_request *to_complete; /* [window] */

    uint64_t sums; /* begun */
    size_t ready;  /* floats [ready, count) are final */
    size_t gathered, folded, completed;

    double waiting, folding;
};

/* The number of buckets in [ready, count). */
static size_t ready_buckets(const pd_reduction *reduction)
{
    const pd_reduction_layout *layout = &reduction->layout;
    if (reduction->ready == 0)
        return layout->buckets;
    return (layout->count - reduction->ready) / layout->bucket;
}

/* --- Setup --- */

static float *parts_of(const pd_reduction *reduction, int member)
{
    return (float *)((char *)pd_share_segment(reduction->share, member) + PAGE);
}

/* Allocates the group's memory. Collective. */
static pd_status share_parts(pd_reduction *reduction)
{
    pd_status status = PD_OK;
    const pd_reduction_layout *layout = &reduction->layout;
    size_t bytes = (size_t)layout->own_subtrees * layout->count * sizeof(float);
    PD_TRY(pd_share_create(&reduction->share, reduction->comm, PAGE + bytes));
    reduction->own_parts = parts_of(reduction, layout->member);
    int count = 0;
    for (int member = 0; member < layout->members; member++) {
        pd_subtree unused[PD_SUBTREES_MAX];
        int rank = layout->group * layout->members + member;
        int subtrees = pd_reduction_layout_subtrees(layout, rank, 1, unused);
        for (int i = 0; i < subtrees; i++)
            reduction->sources[count++] = parts_of(reduction, member) + (size_t)i * layout->count;
    }
    reduction->result = reduction->sources[0];

cleanup:
    return status;
}

/* Allocates this rank's own memory. May fail on one rank alone. */
static pd_status allocate(pd_reduction *reduction, size_t count, size_t bucket)
{
    pd_status status = PD_OK;
    const pd_comm *comm = reduction->comm;
    pd_reduction_layout *layout = &reduction->layout;
    PD_TRY(pd_reduction_layout_create(layout, comm->lanes, comm->size, comm->rank, comm->group_size,
                                      count, bucket));
    PD_TRY(
        pd_alloc(&reduction->sources, (size_t)layout->subtree_count, sizeof *reduction->sources));
    reduction->window = layout->buckets < WINDOW_MAX ? layout->buckets : WINDOW_MAX;
    if (layout->buckets == 0 || comm->size == 1)
        goto cleanup;

    reduction->exchanges = reduction->kind == PD_REDUCTION_EXACT ? layout->exchanges : 1;
    PD_TRY(pd_alloc(&reduction->to_exchange, reduction->window * (size_t)reduction->exchanges,
                    sizeof *reduction->to_exchange));
    PD_TRY(pd_alloc(&reduction->to_complete, reduction->window, sizeof *reduction->to_complete));
    PD_TRY(pd_alloc(&reduction->no_sizes, (size_t)layout->groups, sizeof *reduction->no_sizes));
    PD_TRY(pd_alloc(&reduction->vectors, (size_t)(layout->subtree_count + layout->all_nodes),
                    sizeof *reduction->vectors));
    if (reduction->kind == PD_REDUCTION_EXACT)
        PD_TRY(pd_alloc(&reduction->arrivals, reduction->window, layout->arrivals * sizeof(float)));

cleanup:
    return status;
}

static void release(pd_reduction *reduction)
{
    pd_reduction_layout_release(&reduction->layout);
    pd_share_destroy(&reduction->share);
    free(reduction->sources);
    free(reduction->no_sizes);
    free(reduction->arrivals);
    free(reduction->vectors);
    free(reduction->to_exchange);
    free(reduction->to_complete);
    free(reduction);
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
    PD_TRY(pd_comm_agree(comm, pd_alloc(&reduction, 1, sizeof *reduction)));
    reduction->comm = comm;
    reduction->kind = kind;
    bucket = bucket > 0 ? bucket : BUCKET_DEFAULT;
    PD_TRY(pd_comm_agree(comm, allocate(reduction, count, bucket)));
    PD_TRY(share_parts(reduction));
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
    /* If an error has cut a sum short, MPI may still write to its buffers: leave them allocated. */
    if (gone->completed == gone->gathered) {
        if (gone->comm->reducing == gone)
            gone->comm->reducing = NULL;
        release(gone);
    }
    *reduction = NULL;
}

int pd_reduction_subtrees(const pd_reduction *reduction)
{
    return reduction->layout.own_subtrees;
}

float *pd_reduction_parts(pd_reduction *reduction)
{
    return reduction->own_parts;
}

const float *pd_reduction_result(const pd_reduction *reduction)
{
    return reduction->kind == PD_REDUCTION_MPI ? reduction->own_parts : reduction->result;
}

void pd_reduction_seconds(pd_reduction *reduction, double *waiting, double *folding)
{
    *waiting = reduction->waiting;
    *folding = reduction->folding;
    reduction->waiting = 0;
    reduction->folding = 0;
}

/* --- Synchronisation within the group --- */

static published *published_by(const pd_reduction *reduction, int member)
{
    return pd_share_segment(reduction->share, member);
}

/* Converts a number of buckets of this sum to a number over all sums. */
static uint64_t over_all_sums(const pd_reduction *reduction, size_t buckets)
{
    return (reduction->sums - 1) * reduction->layout.buckets + buckets;
}

static void publish(pd_counter *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_release);
}

/* Sets *reached if the counter at `offset` in `published` has reached `target` on all members of
 * the group; with `wait`, waits until it has. */
static pd_status check_group(const pd_reduction *reduction, size_t offset, uint64_t target,
                             bool wait, bool *reached)
{
    pd_status status = PD_OK;
    const pd_transport *transport = reduction->comm->transport;
    *reached = true;
    for (int i = 0; i < reduction->layout.members && *reached; i++) {
        const void *counter = (const char *)published_by(reduction, i) + offset;
        pd_request request = {.counter = counter,
                              .target = target,
                              .active = i != reduction->layout.member,
                              .comm = reduction->comm,
                              .awaited = AWAITED};
        if (wait)
            PD_TRY(transport->wait(&request));
        else
            PD_TRY(transport->test(&request, reached));
    }

cleanup:
    return status;
}

/* Sets *done if all `count` requests are complete; with `wait`, waits until they are. */
static pd_status check_requests(const pd_reduction *reduction, pd_request *requests, int count,
                                bool wait, bool *done)
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

/* --- Stages of a bucket --- */

/* For PD_REDUCTION_MPI: sums this rank's own subtrees into the first. */
static void sum_own(pd_reduction *reduction, size_t begin, size_t n)
{
    double start = pd_clock_now();
    float *sum = reduction->own_parts + begin;
    for (int i = 1; i < reduction->layout.own_subtrees; i++) {
        const float *part = sum + (size_t)i * reduction->layout.count;
#pragma omp parallel for
        for (size_t j = 0; j < n; j++)
            sum[j] += part[j];
    }
    reduction->folding += pd_clock_now() - start;
}

/* Folds this rank's slice of the group's subtrees into the group's nodes. */
static void fold_group(pd_reduction *reduction, const pd_bucket_layout *bucket, size_t begin)
{
    const pd_reduction_layout *layout = &reduction->layout;
    double start = pd_clock_now();
    for (int i = 0; i < layout->subtree_count; i++)
        reduction->vectors[i] = reduction->sources[i] + begin + bucket->slice;
    for (int i = 0; i < layout->node_count; i++) {
        int first = layout->node_first[i];
        pd_tree_fold_subtrees(&layout->nodes[layout->first_node + i], layout->subtrees + first,
                              layout->node_first[i + 1] - first, reduction->vectors + first,
                              bucket->slice_size, reduction->vectors[first]);
    }
    reduction->folding += pd_clock_now() - start;
}

static pd_status gather_bucket(pd_reduction *reduction, size_t index)
{
    pd_status status = PD_OK;
    pd_comm *comm = reduction->comm;
    const pd_reduction_layout *layout = &reduction->layout;
    const pd_bucket_layout *bucket = pd_reduction_layout_bucket(layout, index);
    size_t begin = pd_reduction_layout_begin(layout, index);
    size_t slot = index % reduction->window;
    pd_request *requests = reduction->to_exchange + slot * (size_t)reduction->exchanges;

    if (reduction->kind == PD_REDUCTION_MPI) {
        sum_own(reduction, begin, bucket->n);
        return comm->transport->sum(comm, reduction->own_parts + begin, (int)bucket->n, requests);
    }
    fold_group(reduction, bucket, begin);
    for (int i = 0; i < reduction->exchanges; i++) {
        bool sends = i < layout->node_count;
        const float *node = reduction->sources[layout->node_first[sends ? i : 0]] + begin;
        size_t row = (size_t)i * (size_t)layout->groups;
        PD_TRY(comm->transport->alltoall(
            comm, node, sends ? bucket->send_sizes : reduction->no_sizes, bucket->offsets,
            reduction->arrivals + slot * layout->arrivals, bucket->arrival_sizes + row,
            bucket->arrival_offsets + row, &requests[i]));
    }

cleanup:
    return status;
}

/* Points reduction->vectors at this rank's piece of all groups' nodes, in lane order: its own
 * group's in the parts, the others' where they arrived. */
static void find_pieces(pd_reduction *reduction, const pd_bucket_layout *bucket, size_t begin,
                        size_t slot)
{
    const pd_reduction_layout *layout = &reduction->layout;
    float *arrival = reduction->arrivals + slot * layout->arrivals;
    for (int i = 0; i < layout->all_nodes; i++) {
        int own = i - layout->first_node;
        if (own >= 0 && own < layout->node_count) {
            reduction->vectors[i] =
                reduction->sources[layout->node_first[own]] + begin + bucket->piece;
        } else {
            reduction->vectors[i] = arrival;
            arrival += bucket->piece_size;
        }
    }
}

/* Sums this rank's piece into its place in the result and starts its all-gather. */
static pd_status fold_bucket(pd_reduction *reduction, size_t index)
{
    if (reduction->exchanges == 0 || reduction->kind == PD_REDUCTION_MPI)
        return PD_OK;
    pd_comm *comm = reduction->comm;
    const pd_reduction_layout *layout = &reduction->layout;
    const pd_bucket_layout *bucket = pd_reduction_layout_bucket(layout, index);
    size_t begin = pd_reduction_layout_begin(layout, index), slot = index % reduction->window;
    const pd_subtree root = {.first = 0, .count = comm->lanes};
    float *result = reduction->result + begin;
    double start = pd_clock_now();
    find_pieces(reduction, bucket, begin, slot);
    pd_tree_fold_subtrees(&root, layout->nodes, layout->all_nodes, reduction->vectors,
                          bucket->piece_size, result + bucket->piece);
    reduction->folding += pd_clock_now() - start;
    return comm->transport->allgather(comm, PD_CHANNEL_ALLGATHER, NULL, result, bucket->sizes,
                                      bucket->offsets, &reduction->to_complete[slot]);
}

/* Sets *ready if the next bucket to gather is ready in the whole group. */
static pd_status check_next_ready(const pd_reduction *reduction, bool wait, bool *ready)
{
    *ready = true;
    if (reduction->kind == PD_REDUCTION_MPI)
        return PD_OK;
    return check_group(reduction, offsetof(published, ready),
                       over_all_sums(reduction, reduction->gathered + 1), wait, ready);
}

/* Moves one bucket to its next stage if possible, and sets *moved if it did. With `wait`, waits for
 * the oldest bucket if no other can move. */
static pd_status advance(pd_reduction *reduction, bool wait, bool *moved)
{
    pd_status status = PD_OK;
    size_t exchanges = (size_t)reduction->exchanges;
    bool oldest = reduction->gathered == reduction->completed;
    *moved = false;
    if (reduction->gathered < ready_buckets(reduction) &&
        reduction->gathered - reduction->completed < reduction->window) {
        PD_TRY(check_next_ready(reduction, wait && oldest, moved));
        if (*moved)
            return gather_bucket(reduction, reduction->gathered++);
    }
    if (reduction->folded < reduction->gathered) {
        size_t slot = reduction->folded % reduction->window;
        PD_TRY(check_requests(reduction, reduction->to_exchange + slot * exchanges,
                              reduction->exchanges, wait, moved));
        if (*moved)
            return fold_bucket(reduction, reduction->folded++);
    }
    if (reduction->completed < reduction->folded) {
        size_t slot = reduction->completed % reduction->window;
        PD_TRY(check_requests(reduction, &reduction->to_complete[slot], 1, wait, moved));
        if (*moved)
            publish(&published_by(reduction, reduction->layout.member)->complete,
                    over_all_sums(reduction, ++reduction->completed));
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

/* --- A sum --- */

pd_status pd_reduction_begin(pd_reduction *reduction)
{
    bool reached;
    reduction->ready = reduction->layout.count;
    reduction->gathered = reduction->folded = reduction->completed = 0;
    reduction->sums++;
    if (reduction->kind == PD_REDUCTION_MPI)
        return PD_OK;
    publish(&published_by(reduction, reduction->layout.member)->begun, reduction->sums);
    /* The result lies in member 0's parts, so only member 0 waits. Other members need not: having
     * finished the previous sum implies that every member has finished reading this one's parts. */
    if (reduction->layout.member > 0)
        return PD_OK;
    return check_group(reduction, offsetof(published, begun), reduction->sums, true, &reached);
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
        return pd_fail("[%zu, %zu + %zu) is not the end of the floats that are not yet ready, "
                       "[0, %zu)",
                       offset, offset, count, reduction->ready);
    reduction->ready = offset;
    /* A single rank holds the whole tree: its part is the total. */
    if (reduction->comm->size == 1)
        return PD_OK;
    PD_TRY(claim_channels(reduction));
    publish(&published_by(reduction, reduction->layout.member)->ready,
            over_all_sums(reduction, ready_buckets(reduction)));
    PD_TRY(advance_all(reduction));

cleanup:
    return status;
}

/* Waits for all ready buckets, on this rank and on the others of its group. */
static pd_status finish(pd_reduction *reduction)
{
    pd_status status = PD_OK;
    size_t buckets = ready_buckets(reduction);
    bool moved;
    /* Waiting is for the oldest bucket, so all others advance first. */
    PD_TRY(advance_all(reduction));
    while (reduction->completed < buckets) {
        PD_TRY(advance(reduction, true, &moved));
        PD_TRY(advance_all(reduction));
    }
    if (reduction->kind == PD_REDUCTION_EXACT)
        PD_TRY(check_group(reduction, offsetof(published, complete),
                           over_all_sums(reduction, buckets), true, &moved));
    reduction->comm->reducing = NULL;

cleanup:
    return status;
}

pd_status pd_reduction_finish(pd_reduction *reduction)
{
    pd_status status = PD_OK;
    double start = pd_clock_now(), folding = reduction->folding;
    if (reduction->comm->size > 1)
        PD_TRY(finish(reduction));
    if (reduction->ready > 0)
        status =
            pd_fail("floats [0, %zu) of the reduction were never marked ready", reduction->ready);

cleanup:
    reduction->waiting += pd_clock_now() - start - (reduction->folding - folding);
    return status;
}
