/* The collectives of comm.h, composed of the transport's operations. */
#include "pneumo/base/memory.h"
#include "pneumo/comm/comm.h"
#include "pneumo/kernels/tree.h"
#include "transport.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A piece is short enough to arrive within a fraction of the watchdog's limit over any network. */
enum { PIECE_MAX = 1 << 24, MESSAGE_MAX = 4096 };

/* Gathers each rank's bytes at `own` on all ranks, laid out by comm->sizes and comm->offsets. */
static pd_status allgather(pd_comm *comm, const char *awaited, const void *own, void *all)
{
    pd_status status = PD_OK;
    pd_request request = {0};
    comm->awaited = awaited;
    PD_TRY(comm->transport->allgather(comm, PD_CHANNEL_MAIN, own, all, comm->sizes, comm->offsets,
                                      &request));
    PD_TRY(comm->transport->wait(&request));

cleanup:
    return status;
}

pd_status pd_comm_allgather_u64(pd_comm *comm, uint64_t value, const uint64_t **values)
{
    for (int rank = 0; rank < comm->size; rank++) {
        comm->sizes[rank] = (int)sizeof value;
        comm->offsets[rank] = rank * (int)sizeof value;
    }
    *values = comm->gathered;
    return allgather(comm, "a value from every rank", &value, comm->gathered);
}

pd_status pd_comm_barrier(pd_comm *comm)
{
    const uint64_t *unused;
    return pd_comm_allgather_u64(comm, 0, &unused);
}

pd_status pd_comm_bitwise_or(pd_comm *comm, uint32_t flags, uint32_t *all)
{
    pd_status status = PD_OK;
    const uint64_t *values;
    PD_TRY(pd_comm_allgather_u64(comm, flags, &values));
    *all = 0;
    for (int rank = 0; rank < comm->size; rank++)
        *all |= (uint32_t)values[rank];

cleanup:
    return status;
}

pd_status pd_comm_max(pd_comm *comm, double value, double *largest)
{
    pd_status status = PD_OK;
    const uint64_t *values;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    PD_TRY(pd_comm_allgather_u64(comm, bits, &values));
    *largest = -INFINITY;
    for (int rank = 0; rank < comm->size; rank++) {
        memcpy(&value, &values[rank], sizeof value);
        if (isnan(value) || value > *largest)
            *largest = value;
    }

cleanup:
    return status;
}

pd_status pd_comm_broadcast(pd_comm *comm, void *bytes, size_t size, int root)
{
    pd_status status = PD_OK;
    pd_request request = {0};
    comm->awaited = "a broadcast";
    for (size_t done = 0; done < size;) {
        size_t length = size - done < PIECE_MAX ? size - done : PIECE_MAX;
        PD_TRY(comm->transport->broadcast(comm, (char *)bytes + done, (int)length, root, &request));
        PD_TRY(comm->transport->wait(&request));
        done += length;
    }

cleanup:
    return status;
}

pd_status pd_comm_broadcast_text(pd_comm *comm, char **out, const char *text, int root)
{
    pd_status status = PD_OK;
    char *copy = NULL;
    uint64_t size = comm->rank == root && text != NULL ? strlen(text) + 1 : 0;
    *out = NULL;
    PD_TRY(pd_comm_broadcast(comm, &size, sizeof size, root));
    if (size == 0)
        goto cleanup;
    PD_TRY(pd_comm_agree(comm, pd_alloc(&copy, size, 1)));
    if (comm->rank == root)
        memcpy(copy, text, size);
    PD_TRY(pd_comm_broadcast(comm, copy, size, root));
    *out = copy;
    copy = NULL;

cleanup:
    free(copy);
    return status;
}

/* Exchanges the sizes of all ranks' bytes: sizes[size], as pd_comm_allgather_u64, and their sum. */
static pd_status share_sizes(pd_comm *comm, size_t size, const uint64_t **sizes, size_t *total)
{
    pd_status status = pd_comm_allgather_u64(comm, size, sizes);
    *total = 0;
    for (int rank = 0; rank < comm->size && status == PD_OK; rank++)
        *total += (*sizes)[rank];
    return status;
}

/* Of all ranks' bytes, one rank after the other, the piece from `begin` on: sets comm->sizes and
 * comm->offsets to the part of each rank in it. */
static void lay_out_piece(pd_comm *comm, const uint64_t *sizes, size_t begin)
{
    size_t first = 0, end = begin + PIECE_MAX;
    for (int rank = 0; rank < comm->size; rank++) {
        size_t last = first + sizes[rank];
        size_t from = first > begin ? first : begin, to = last < end ? last : end;
        comm->sizes[rank] = from < to ? (int)(to - from) : 0;
        comm->offsets[rank] = from < to ? (int)(from - begin) : 0;
        first = last;
    }
}

pd_status pd_comm_gather(pd_comm *comm, const void *bytes, size_t size, void **out, size_t *total)
{
    pd_status status = PD_OK;
    pd_request request = {0};
    const char *own = bytes;
    const uint64_t *sizes;
    char *all = NULL;
    size_t sum = 0;
    *out = NULL;
    *total = 0;
    PD_TRY(share_sizes(comm, size, &sizes, &sum));
    if (comm->rank == 0)
        status = pd_alloc(&all, sum, 1);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(share_sizes(comm, size, &sizes, &sum)); /* again: pd_comm_agree uses the same array */
    comm->awaited = "the results of all ranks";
    for (size_t begin = 0; begin < sum; begin += PIECE_MAX) {
        lay_out_piece(comm, sizes, begin);
        PD_TRY(comm->transport->gather(comm, own, comm->rank == 0 ? all + begin : NULL, comm->sizes,
                                       comm->offsets, &request));
        PD_TRY(comm->transport->wait(&request));
        if (comm->sizes[comm->rank] > 0)
            own += comm->sizes[comm->rank];
    }
    if (comm->rank == 0) {
        *out = all;
        *total = sum;
        all = NULL;
    }

cleanup:
    free(all);
    return status;
}

pd_status pd_comm_agree(pd_comm *comm, pd_status status)
{
    if (comm->size == 1)
        return status;

    /* Copied first: communication errors overwrite the message. */
    char message[MESSAGE_MAX] = "";
    if (status != PD_OK)
        snprintf(message, sizeof message, "rank %d on %s: %s%s%s", comm->rank, comm->host,
                 comm->position, comm->position[0] != '\0' ? ": " : "", pd_error_message());

    const uint64_t *statuses;
    pd_status result = pd_comm_allgather_u64(comm, (uint64_t)status, &statuses);
    if (result != PD_OK)
        return result;
    int first = 0;
    while (first < comm->size && statuses[first] == PD_OK)
        first++;
    if (first == comm->size)
        return PD_OK;

    pd_status agreed = (pd_status)statuses[first];
    result = pd_comm_broadcast(comm, message, sizeof message, first);
    if (result != PD_OK)
        return result;
    pd_fail("%s", message);
    return agreed;
}

/* --- Lane sum --- */

static pd_status grow_scratch(pd_comm *comm, size_t count)
{
    if (count <= comm->scratch_count)
        return PD_OK;
    free(comm->scratch);
    comm->scratch = NULL;
    comm->scratch_count = 0;
    pd_status status = pd_alloc(&comm->scratch, count, sizeof *comm->scratch);
    if (status == PD_OK)
        comm->scratch_count = count;
    /* All ranks grow in the same call, so they can agree on a failure. */
    return pd_comm_agree(comm, status);
}

/* Gathers all lanes' parts on every rank and folds the whole tree there. */
static pd_status sum_gathered(pd_comm *comm, const double *parts, size_t count, double *total)
{
    pd_status status = PD_OK;
    size_t lane_bytes = count * sizeof *parts;
    PD_TRY(grow_scratch(comm, count * (size_t)comm->lanes));
    for (int rank = 0; rank < comm->size; rank++) {
        int first, lanes;
        pd_tree_slice(comm->lanes, comm->size, rank, &first, &lanes);
        comm->sizes[rank] = lanes * (int)lane_bytes;
        comm->offsets[rank] = first * (int)lane_bytes;
    }
    PD_TRY(allgather(comm, "a sum over the lanes", parts, comm->scratch));
    pd_tree_fold_doubles(comm->lanes, comm->scratch, count, total);

cleanup:
    return status;
}

int pd_comm_doubling_rounds(int lanes, int ranks)
{
    int rank_levels = 0, lane_levels = 0;
    while (1 << rank_levels < ranks)
        rank_levels++;
    while (1 << lane_levels < lanes)
        lane_levels++;
    return 1 << rank_levels == ranks && 1 << lane_levels == lanes ? rank_levels : 0;
}

/* Recursive doubling: at each level of the tree, ranks that hold sibling nodes exchange their sums.
 * Both compute the same sum of two numbers, and addition is commutative, so they get the same bits.
 * Consecutive ranks, which share a host, exchange first. */
static pd_status sum_by_doubling(pd_comm *comm, double *parts, size_t count, double *total)
{
    pd_status status = PD_OK;
    PD_TRY(grow_scratch(comm, count));
    pd_tree_fold_doubles(comm->lane_count, parts, count, total);
    for (int round = 0; round < pd_comm_doubling_rounds(comm->lanes, comm->size); round++) {
        pd_request requests[2] = {{0}};
        comm->awaited = "a sum over the lanes";
        PD_TRY(comm->transport->sendrecv(comm, comm->rank ^ 1 << round, total, comm->scratch,
                                         (int)(count * sizeof *total), requests));
        PD_TRY(comm->transport->wait(&requests[0]));
        PD_TRY(comm->transport->wait(&requests[1]));
        for (size_t i = 0; i < count; i++)
            total[i] += comm->scratch[i];
    }

cleanup:
    return status;
}

pd_status pd_comm_lane_sum(void *context, double *parts, size_t count, double *total)
{
    pd_comm *comm = context;
    if (comm->size == 1) {
        pd_tree_fold_doubles(comm->lanes, parts, count, total);
        return PD_OK;
    }
    if (count > (size_t)INT_MAX / sizeof *parts / (size_t)comm->lanes)
        return pd_fail("a lane sum of %zu numbers over %d lanes is too long; use pd_reduction",
                       count, comm->lanes);
    return pd_comm_doubling_rounds(comm->lanes, comm->size) > 0
               ? sum_by_doubling(comm, parts, count, total)
               : sum_gathered(comm, parts, count, total);
}
