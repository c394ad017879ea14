/* The lane sum of a large vector, in buckets that travel while the vector is still being made.
 *
 * Buckets are cut from the vector's end downward, each into a slice for every member of a group
 * (ranks that share memory), and each slice into a piece for every group. Ranks with the same place
 * in their groups are a column. A bucket passes four marks, in bucket order:
 *
 *   ready: it is final in this rank's parts, which the group sees;
 *   gathered: it is so in the whole group; this rank has summed its slice of the group's parts, in
 *     place, and the exchange is under way, in which each rank of the column gets its piece of all
 *     groups' sums;
 *   folded: the piece is summed over the groups, and its all-gather in the column is under way;
 *   complete: this rank's slice of the total is in the result, which the group sees.
 *
 * All sums are in tree order. In a group of one, slices are whole buckets; where one group has all
 * ranks, pieces are whole slices and nothing is sent. Ranks pass the marks at different times, but
 * the exchanges among themselves, and the all-gathers among themselves, start in the same order
 * everywhere, each kind on its own channel. */
#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/comm/comm.h"
#include "pneumo/comm/share.h"
#include "pneumo/comm/transport.h"

#include <stdlib.h>

enum {
    BUCKET_DEFAULT = 1 << 18, /* floats: 1 MiB */
    BUCKET_MAX = 1 << 24,     /* keeps all sizes in bytes within int */
    WINDOW_MAX = 64,          /* buckets gathered and not complete; bounds the memory for pieces */
    PAGE = 4096
};

/* What a rank tells its group, at the start of its segment; each number alone in its cache lines.
 * They count over all sums. The parts follow at the next page. */
typedef struct notice {
    _Alignas(128) pd_counter begun;    /* sums: the results before are not used any more */
    _Alignas(128) pd_counter ready;    /* buckets */
    _Alignas(128) pd_counter complete; /* buckets */
} notice;

_Static_assert(sizeof(notice) <= PAGE, "a notice is longer than a page");

const char *const pd_reduction_names[PD_REDUCTIONS] = {
    [PD_REDUCTION_EXACT] = "exact", [PD_REDUCTION_MPI] = "mpi"};

/* How a bucket of n floats is divided. Sizes and offsets are in bytes, one for each group. */
typedef struct cut {
    size_t n;
    size_t slice,
        slice_size; /* this rank's slice: floats [slice, slice + slice_size) of the bucket */
    size_t piece, piece_size;             /* and its piece of that */
    int *sizes, *offsets;                 /* the pieces of the column, in the bucket */
    int *send_sizes;                      /* sizes, but nothing for this rank itself */
    int *arrival_sizes, *arrival_offsets; /* [exchanges][groups]: node i of each other group */
} cut;

struct pd_reduction {
    pd_comm *comm;
    pd_reduction_kind kind;
    size_t count;
    size_t bucket;
    size_t buckets;
    size_t window;

    pd_share *share;
    float *own_parts;
    int own; /* subtrees of this rank */
    int members, member;
    int groups, group; /* this rank's group */

    /* The group's subtrees: those of its ranks, in lane order, each with its vector; and the fewer
     * nodes of the tree that they make up together. Node i is made of subtrees [node_first[i],
     * node_first[i + 1]), and its sum lies in the first one's vector. */
    pd_subtree *subtrees;
    float **sources;
    int node_first[PD_SUBTREES_MAX + 1];
    int node_count;
    float *result; /* the group's first vector */

    /* Among groups. */
    int exchanges;     /* per bucket: the most nodes of any group; 0 where there is one group */
    pd_subtree *nodes; /* of all groups, in lane order */
    int all_nodes;
    int first_node;        /* this group's first one of them */
    cut whole, last;       /* the last bucket, at the vector's start, may be shorter */
    int *nothing;          /* [groups] zeros: sizes for a group without an i-th node */
    size_t arrival_stride; /* floats per bucket in `arrivals` */
    float *arrivals;       /* [window][nodes of other groups][piece] */

    float **vectors;         /* arguments of the folds */
    pd_request *to_exchange; /* [window][exchanges], or [window][1] of MPI's own sum */
    pd_request *to_complete; /* [window] */

    uint64_t sums; /* begun */
    size_t ready;  /* floats [ready, count) are final */
    size_t gathered, folded, completed;

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

/* --- Setting up --- */

/* Writes the subtrees of the lanes of ranks [first, first + ranks), taken together. */
static int find_subtrees(const pd_comm *comm, int first, int ranks, pd_subtree out[PD_SUBTREES_MAX])
{
    int lane, end, count;
    pd_tree_slice(comm->lanes, comm->size, first, &lane, &count);
    pd_tree_slice(comm->lanes, comm->size, first + ranks - 1, &end, &count);
    return pd_tree_subtrees(comm->lanes, lane, end + count - lane, out);
}

static float *parts_of(const pd_reduction *reduction, int member)
{
    return (float *)((char *)pd_share_at(reduction->share, member) + PAGE);
}

/* The group's memory and subtrees. Collective. */
static pd_status join_group(pd_reduction *reduction)
{
    pd_status status = PD_OK;
    pd_comm *comm = reduction->comm;
    pd_subtree found[PD_SUBTREES_MAX];
    int count = 0, first = comm->rank - reduction->member;
    reduction->own = find_subtrees(comm, comm->rank, 1, found);
    PD_TRY(pd_share_create(&reduction->share, comm,
                           PAGE + (size_t)reduction->own * reduction->count * sizeof(float)));
    reduction->own_parts = parts_of(reduction, reduction->member);
    size_t most = (size_t)reduction->members * PD_SUBTREES_MAX;
    status = pd_alloc(&reduction->subtrees, most, sizeof(*reduction->subtrees));
    if (status == PD_OK)
        status = pd_alloc(&reduction->sources, most, sizeof(*reduction->sources));
    PD_TRY(pd_comm_agree(comm, status));
    for (int i = 0; i < reduction->members; i++) {
        int own = find_subtrees(comm, first + i, 1, reduction->subtrees + count);
        for (int j = 0; j < own; j++)
            reduction->sources[count++] = parts_of(reduction, i) + (size_t)j * reduction->count;
    }
    reduction->result = reduction->sources[0];
    reduction->node_count = find_subtrees(comm, first, reduction->members, found);
    for (int i = 0, j = 0; i < reduction->node_count; i++) {
        reduction->node_first[i] = j;
        while (j < count && reduction->subtrees[j].first < found[i].first + found[i].count)
            j++;
    }
    reduction->node_first[reduction->node_count] = count;

cleanup:
    return status;
}

/* All groups' nodes. */
static pd_status find_nodes(pd_reduction *reduction)
{
    pd_status status = PD_OK;
    PD_TRY(pd_alloc(&reduction->nodes, (size_t)reduction->groups * PD_SUBTREES_MAX,
                    sizeof(*reduction->nodes)));
    for (int group = 0; group < reduction->groups; group++) {
        if (group == reduction->group)
            reduction->first_node = reduction->all_nodes;
        int found = find_subtrees(reduction->comm, group * reduction->members, reduction->members,
                                  reduction->nodes + reduction->all_nodes);
        reduction->all_nodes += found;
        if (found > reduction->exchanges && reduction->groups > 1)
            reduction->exchanges = found;
    }

cleanup:
    return status;
}

/* Where piece `group` of the slice begins. */
static size_t piece_begin(const cut *bucket, size_t group, size_t groups)
{
    return bucket->slice + bucket->slice_size * group / groups;
}

/* After find_nodes. */
static pd_status cut_bucket(const pd_reduction *reduction, cut *out, size_t n)
{
    pd_status status = PD_OK;
    size_t groups = (size_t)reduction->groups, members = (size_t)reduction->members;
    size_t member = (size_t)reduction->member, own = (size_t)reduction->group;
    size_t rows = groups * (size_t)reduction->exchanges;
    out->n = n;
    out->slice = n * member / members;
    out->slice_size = n * (member + 1) / members - out->slice;
    out->piece = piece_begin(out, own, groups);
    out->piece_size = piece_begin(out, own + 1, groups) - out->piece;

    PD_TRY(pd_alloc(&out->sizes, groups, sizeof(int)));
    PD_TRY(pd_alloc(&out->offsets, groups, sizeof(int)));
    PD_TRY(pd_alloc(&out->send_sizes, groups, sizeof(int)));
    PD_TRY(pd_alloc(&out->arrival_sizes, rows, sizeof(int)));
    PD_TRY(pd_alloc(&out->arrival_offsets, rows, sizeof(int)));
    int piece_bytes = (int)(out->piece_size * sizeof(float));
    int arrived = 0;
    for (size_t group = 0; group < groups; group++) {
        size_t begin = piece_begin(out, group, groups), end = piece_begin(out, group + 1, groups);
        out->sizes[group] = (int)((end - begin) * sizeof(float));
        out->offsets[group] = (int)(begin * sizeof(float));
        if (group == own)
            continue;
        out->send_sizes[group] = out->sizes[group];
        pd_subtree nodes[PD_SUBTREES_MAX];
        int found = find_subtrees(reduction->comm, (int)(group * members), (int)members, nodes);
        for (int i = 0; i < found; i++) {
            out->arrival_sizes[(size_t)i * groups + group] = piece_bytes;
            out->arrival_offsets[(size_t)i * groups + group] = arrived++ * piece_bytes;
        }
    }

cleanup:
    return status;
}

static void cut_release(cut *released)
{
    free(released->sizes);
    free(released->offsets);
    free(released->send_sizes);
    free(released->arrival_sizes);
    free(released->arrival_offsets);
}

static void release(pd_reduction *reduction)
{
    cut_release(&reduction->whole);
    cut_release(&reduction->last);
    pd_share_destroy(&reduction->share);
    free(reduction->subtrees);
    free(reduction->sources);
    free(reduction->nodes);
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
    bool exact = reduction->kind == PD_REDUCTION_EXACT;
    if (reduction->buckets == 0 || reduction->comm->size == 1)
        goto cleanup;

    PD_TRY(find_nodes(reduction));
    PD_TRY(cut_bucket(reduction, &reduction->whole, reduction->bucket));
    PD_TRY(cut_bucket(reduction, &reduction->last,
                      reduction->count - (reduction->buckets - 1) * reduction->bucket));
    if (!exact)
        reduction->exchanges = 1;
    PD_TRY(pd_alloc(&reduction->to_exchange, reduction->window * (size_t)reduction->exchanges,
                    sizeof(pd_request)));
    PD_TRY(pd_alloc(&reduction->to_complete, reduction->window, sizeof(pd_request)));
    PD_TRY(pd_alloc(&reduction->nothing, (size_t)reduction->groups, sizeof(int)));
    size_t vectors = (size_t)(reduction->node_first[reduction->node_count] + reduction->all_nodes);
    PD_TRY(pd_alloc(&reduction->vectors, vectors, sizeof(float *)));
    if (exact) {
        reduction->arrival_stride =
            (size_t)(reduction->all_nodes - reduction->node_count) * reduction->whole.piece_size;
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
    PD_TRY(pd_comm_agree(comm, pd_alloc(&reduction, 1, sizeof(*reduction))));
    reduction->comm = comm;
    reduction->kind = kind;
    reduction->count = count;
    reduction->bucket = bucket > 0 ? bucket : BUCKET_DEFAULT;
    if (reduction->bucket > count && count > 0)
        reduction->bucket = count;
    reduction->buckets = count / reduction->bucket + (count % reduction->bucket != 0);
    reduction->window = reduction->buckets < WINDOW_MAX ? reduction->buckets : WINDOW_MAX;
    reduction->members = comm->group;
    reduction->member = comm->rank % comm->group;
    reduction->groups = comm->size / comm->group;
    reduction->group = comm->rank / comm->group;
    PD_TRY(join_group(reduction));
    PD_TRY(pd_comm_agree(comm, allocate(reduction)));
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
    if (gone->completed == gone->gathered) {
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

float *pd_reduction_parts(pd_reduction *reduction)
{
    return reduction->own_parts;
}

const float *pd_reduction_result(const pd_reduction *reduction)
{
    return reduction->kind == PD_REDUCTION_MPI ? reduction->own_parts : reduction->result;
}

/* --- What the group tells each other --- */

static notice *notice_of(const pd_reduction *reduction, int member)
{
    return pd_share_at(reduction->share, member);
}

/* A number of this sum, counted over all sums. */
static uint64_t count_over_all(const pd_reduction *reduction, size_t buckets)
{
    return (reduction->sums - 1) * reduction->buckets + buckets;
}

static void tell(pd_counter *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_release);
}

/* Says whether a counter, at `offset` in the notices, has come to `target` in the whole group; with
 * `wait`, makes sure that it has. */
static pd_status hear(const pd_reduction *reduction, size_t offset, uint64_t target, bool wait,
                      bool *done)
{
    pd_status status = PD_OK;
    const pd_transport *transport = reduction->comm->transport;
    *done = true;
    for (int i = 0; i < reduction->members && *done; i++) {
        const void *counter = (const char *)notice_of(reduction, i) + offset;
        pd_request request = {.counter = counter,
                              .target = target,
                              .active = i != reduction->member,
                              .comm = reduction->comm,
                              .awaits = "the sum of the gradients"};
        if (wait)
            PD_TRY(transport->wait(&request));
        else
            PD_TRY(transport->test(&request, done));
    }

cleanup:
    return status;
}

/* --- A sum --- */

pd_status pd_reduction_begin(pd_reduction *reduction)
{
    bool done;
    reduction->ready = reduction->count;
    reduction->gathered = reduction->folded = reduction->completed = 0;
    reduction->sums++;
    if (reduction->kind == PD_REDUCTION_MPI)
        return PD_OK;
    tell(&notice_of(reduction, reduction->member)->begun, reduction->sums);
    /* The result is in the first member's parts. Whoever has ended the sum before has seen all
     * others end the summing of his. */
    if (reduction->member > 0)
        return PD_OK;
    return hear(reduction, offsetof(notice, begun), reduction->sums, true, &done);
}

/* For PD_REDUCTION_MPI: sums this rank's own subtrees into the first. */
static void sum_own(pd_reduction *reduction, size_t begin, size_t n)
{
    double start = pd_clock_now();
    float *sum = reduction->own_parts + begin;
    for (int i = 1; i < reduction->own; i++) {
        const float *part = sum + (size_t)i * reduction->count;
#pragma omp parallel for
        for (size_t j = 0; j < n; j++)
            sum[j] += part[j];
    }
    reduction->folding += pd_clock_now() - start;
}

/* Sums this rank's slice of the group's parts into that of the group's nodes. */
static void fold_group(pd_reduction *reduction, const cut *bucket, size_t begin)
{
    double start = pd_clock_now();
    int all = reduction->node_first[reduction->node_count];
    for (int i = 0; i < all; i++)
        reduction->vectors[i] = reduction->sources[i] + begin + bucket->slice;
    for (int i = 0; i < reduction->node_count; i++) {
        int first = reduction->node_first[i];
        pd_tree_fold_subtrees(&reduction->nodes[reduction->first_node + i],
                              reduction->subtrees + first, reduction->node_first[i + 1] - first,
                              reduction->vectors + first, bucket->slice_size,
                              reduction->vectors[first]);
    }
    reduction->folding += pd_clock_now() - start;
}

static pd_status gather_bucket(pd_reduction *reduction, size_t index)
{
    pd_status status = PD_OK;
    pd_comm *comm = reduction->comm;
    const cut *bucket = bucket_cut(reduction, index);
    size_t begin = bucket_begin(reduction, index);
    size_t slot = index % reduction->window;
    pd_request *requests = reduction->to_exchange + slot * (size_t)reduction->exchanges;

    if (reduction->kind == PD_REDUCTION_MPI) {
        sum_own(reduction, begin, bucket->n);
        return comm->transport->sum(comm, reduction->own_parts + begin, (int)bucket->n, requests);
    }
    fold_group(reduction, bucket, begin);
    for (int i = 0; i < reduction->exchanges; i++) {
        bool sends = i < reduction->node_count;
        const float *part = reduction->sources[reduction->node_first[sends ? i : 0]] + begin;
        size_t row = (size_t)i * (size_t)reduction->groups;
        PD_TRY(comm->transport->exchange(
            comm, part, sends ? bucket->send_sizes : reduction->nothing, bucket->offsets,
            reduction->arrivals + slot * reduction->arrival_stride, bucket->arrival_sizes + row,
            bucket->arrival_offsets + row, &requests[i]));
    }

cleanup:
    return status;
}

/* Where this rank's piece of all groups' nodes is, in lane order: of its own group in the parts, of
 * the others where it arrived. */
static void find_pieces(pd_reduction *reduction, const cut *bucket, size_t begin, size_t slot)
{
    float *arrival = reduction->arrivals + slot * reduction->arrival_stride;
    for (int i = 0; i < reduction->all_nodes; i++) {
        int own = i - reduction->first_node;
        if (own >= 0 && own < reduction->node_count) {
            reduction->vectors[i] =
                reduction->sources[reduction->node_first[own]] + begin + bucket->piece;
        } else {
            reduction->vectors[i] = arrival;
            arrival += bucket->piece_size;
        }
    }
}

/* Sums this rank's piece straight into its place in the result, and sends it to its column. */
static pd_status fold_bucket(pd_reduction *reduction, size_t index)
{
    if (reduction->exchanges == 0 || reduction->kind == PD_REDUCTION_MPI)
        return PD_OK;
    pd_comm *comm = reduction->comm;
    const cut *bucket = bucket_cut(reduction, index);
    size_t slot = index % reduction->window;
    const pd_subtree root = {.first = 0, .count = comm->lanes};
    float *result = reduction->result + bucket_begin(reduction, index);
    double start = pd_clock_now();
    find_pieces(reduction, bucket, bucket_begin(reduction, index), slot);
    pd_tree_fold_subtrees(&root, reduction->nodes, reduction->all_nodes, reduction->vectors,
                          bucket->piece_size, result + bucket->piece);
    reduction->folding += pd_clock_now() - start;
    return comm->transport->allgather(comm, PD_CHANNEL_TOTAL, NULL, result, bucket->sizes,
                                      bucket->offsets, &reduction->to_complete[slot]);
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

/* Whether the next bucket is final in the whole group. */
static pd_status next_is_ready(const pd_reduction *reduction, bool wait, bool *ready)
{
    *ready = true;
    if (reduction->kind == PD_REDUCTION_MPI)
        return PD_OK;
    return hear(reduction, offsetof(notice, ready),
                count_over_all(reduction, reduction->gathered + 1), wait, ready);
}

/* Takes one bucket past one mark, if that is possible, and says whether it was. With `wait`, waits
 * for the oldest bucket if nothing else can be done. */
static pd_status advance(pd_reduction *reduction, bool wait, bool *moved)
{
    pd_status status = PD_OK;
    size_t exchanges = (size_t)reduction->exchanges;
    bool oldest = reduction->gathered == reduction->completed;
    *moved = false;
    if (reduction->gathered < ready_buckets(reduction) &&
        reduction->gathered - reduction->completed < reduction->window) {
        PD_TRY(next_is_ready(reduction, wait && oldest, moved));
        if (*moved)
            return gather_bucket(reduction, reduction->gathered++);
    }
    if (reduction->folded < reduction->gathered) {
        size_t slot = reduction->folded % reduction->window;
        PD_TRY(settle(reduction, reduction->to_exchange + slot * exchanges, reduction->exchanges,
                      wait, moved));
        if (*moved)
            return fold_bucket(reduction, reduction->folded++);
    }
    if (reduction->completed < reduction->folded) {
        size_t slot = reduction->completed % reduction->window;
        PD_TRY(settle(reduction, &reduction->to_complete[slot], 1, wait, moved));
        if (*moved)
            tell(&notice_of(reduction, reduction->member)->complete,
                 count_over_all(reduction, ++reduction->completed));
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
    tell(&notice_of(reduction, reduction->member)->ready,
         count_over_all(reduction, ready_buckets(reduction)));
    PD_TRY(advance_all(reduction));

cleanup:
    return status;
}

/* Waits for all that has been made ready, on this rank and on the others of its group. */
static pd_status finish(pd_reduction *reduction)
{
    pd_status status = PD_OK;
    size_t buckets = ready_buckets(reduction);
    bool moved;
    /* Waiting is for the oldest bucket, so all others are moved on before. */
    PD_TRY(advance_all(reduction));
    while (reduction->completed < buckets) {
        PD_TRY(advance(reduction, true, &moved));
        PD_TRY(advance_all(reduction));
    }
    if (reduction->kind == PD_REDUCTION_EXACT)
        PD_TRY(hear(reduction, offsetof(notice, complete), count_over_all(reduction, buckets), true,
                    &moved));
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
