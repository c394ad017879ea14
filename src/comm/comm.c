/* The communicator: picks the transport and composes everything from its few operations. */
#include "pneumo/comm/comm.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/comm/share.h"
#include "pneumo/comm/transport.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BROADCAST_MAX = 1 << 30, MESSAGE_MAX = 4096 };

/* Whether an MPI launcher started this process. SLURM_PROCID alone is no sign of one: plain srun
 * and batch scripts set it too. */
static bool has_launcher(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") != NULL || getenv("PMIX_RANK") != NULL ||
           getenv("PMI_RANK") != NULL || getenv("PMI_SIZE") != NULL;
}

/* Tasks of an srun step without MPI would each do the whole work and write the same files. */
static void warn_about_srun(void)
{
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    const char *task = getenv("SLURM_PROCID");
    if (tasks != NULL && task != NULL && atoi(tasks) > 1 && atoi(task) == 0)
        pd_log_warn("srun started %s tasks without MPI, so each of them works alone; "
                    "use srun --mpi=pmix, srun --mpi=pmi2 or mpirun",
                    tasks);
}

static void release(pd_comm *comm)
{
    free(comm->words);
    free(comm->sizes);
    free(comm->offsets);
    free(comm->scratch);
    free(comm);
}

pd_status pd_comm_create(pd_comm **out)
{
    pd_status status = PD_OK;
    pd_comm *comm = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&comm, 1, sizeof(*comm)));
    if (gethostname(comm->host, sizeof(comm->host) - 1) != 0)
        snprintf(comm->host, sizeof(comm->host), "unknown host");
    if (has_launcher()) {
        comm->transport = &pd_transport_mpi;
    } else {
        comm->transport = &pd_transport_serial;
        warn_about_srun();
    }
    comm->group = 1;
    PD_TRY(comm->transport->join(comm));
    PD_TRY(pd_alloc(&comm->words, (size_t)comm->size, sizeof(*comm->words)));
    PD_TRY(pd_alloc(&comm->sizes, (size_t)comm->size, sizeof(*comm->sizes)));
    PD_TRY(pd_alloc(&comm->offsets, (size_t)comm->size, sizeof(*comm->offsets)));
    *out = comm;
    comm = NULL;

cleanup:
    if (comm != NULL)
        release(comm);
    return status;
}

void pd_comm_destroy(pd_comm **comm)
{
    if (*comm == NULL)
        return;
    (*comm)->transport->leave(*comm);
    release(*comm);
    *comm = NULL;
}

_Noreturn void pd_comm_abort(pd_comm *comm, int code)
{
    comm->transport->abort(comm, code);
    _Exit(code);
}

void pd_comm_set_watchdog(pd_comm *comm, double seconds, pd_comm_stop_query told)
{
    comm->transport->watch(comm, seconds, told);
}

void pd_comm_set_position(pd_comm *comm, const char *format, ...)
{
    char place[sizeof(comm->at)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(place, sizeof(place), format, arguments);
    va_end(arguments);
    comm->transport->at(comm, place);
}

int pd_comm_rank(const pd_comm *comm)
{
    return comm->rank;
}

int pd_comm_size(const pd_comm *comm)
{
    return comm->size;
}

int pd_comm_local_size(const pd_comm *comm)
{
    return comm->local_size;
}

const char *pd_comm_host(const pd_comm *comm)
{
    return comm->host;
}

pd_status pd_comm_set_lanes(pd_comm *comm, int lanes)
{
    if (lanes < 1 || lanes > PD_LANES_MAX)
        return pd_fail("lanes = %d is not possible; use 1 to %d", lanes, PD_LANES_MAX);
    if (comm->size > lanes)
        return pd_fail("%d ranks are more than lanes = %d; raise lanes to %d or start fewer ranks",
                       comm->size, lanes, comm->size);
    comm->lanes = lanes;
    pd_tree_slice(lanes, comm->size, comm->rank, &comm->first_lane, &comm->lane_count);
    return PD_OK;
}

int pd_comm_lanes(const pd_comm *comm)
{
    return comm->lanes;
}

int pd_comm_first_lane(const pd_comm *comm)
{
    return comm->first_lane;
}

int pd_comm_lane_count(const pd_comm *comm)
{
    return comm->lane_count;
}

/* Gathers mine, laid out by comm->sizes and comm->offsets, on every rank. */
static pd_status allgather(pd_comm *comm, const char *awaits, const void *mine, void *all)
{
    pd_status status = PD_OK;
    pd_request request = {0};
    comm->awaits = awaits;
    PD_TRY(comm->transport->allgather(comm, PD_CHANNEL_MAIN, mine, all, comm->sizes, comm->offsets,
                                      &request));
    PD_TRY(comm->transport->wait(&request));

cleanup:
    return status;
}

/* Fills comm->words with every rank's word. */
static pd_status share_word(pd_comm *comm, uint64_t word)
{
    for (int rank = 0; rank < comm->size; rank++) {
        comm->sizes[rank] = (int)sizeof(word);
        comm->offsets[rank] = rank * (int)sizeof(word);
    }
    return allgather(comm, "word from all ranks", &word, comm->words);
}

static pd_status grow_scratch(pd_comm *comm, size_t count)
{
    if (count <= comm->scratch_count)
        return PD_OK;
    free(comm->scratch);
    comm->scratch = NULL;
    comm->scratch_count = 0;
    pd_status status = pd_alloc(&comm->scratch, count, sizeof(*comm->scratch));
    if (status == PD_OK)
        comm->scratch_count = count;
    /* All ranks grow in the same call, so none is left waiting for one without memory. */
    return pd_comm_agree(comm, status);
}

/* Every lane's part on every rank, and the whole tree there. */
static pd_status sum_gathered(pd_comm *comm, const double *parts, size_t count, double *total)
{
    pd_status status = PD_OK;
    size_t lane_bytes = count * sizeof(*parts);
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
    int levels = 0, total = 0;
    while (1 << levels < ranks)
        levels++;
    while (1 << total < lanes)
        total++;
    return 1 << levels == ranks && 1 << total == lanes ? levels : 0;
}

/* Siblings of the tree swap their sums, level by level: log2(ranks) short messages. Both add the
 * same two numbers, and so get the same bits whichever comes first. Ranks on one host, which lie
 * next to each other, are through with each other before anything leaves it. */
static pd_status sum_by_siblings(pd_comm *comm, double *parts, size_t count, double *total)
{
    pd_status status = PD_OK;
    PD_TRY(grow_scratch(comm, count));
    pd_tree_fold_doubles(comm->lane_count, parts, count, total);
    for (int level = 0; level < pd_comm_doubling_rounds(comm->lanes, comm->size); level++) {
        pd_request requests[2] = {{0}};
        comm->awaits = "a sum over the lanes";
        PD_TRY(comm->transport->swap(comm, comm->rank ^ 1 << level, total, comm->scratch,
                                     (int)(count * sizeof(*total)), requests));
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
    if (count > (size_t)INT_MAX / sizeof(*parts) / (size_t)comm->lanes)
        return pd_fail("a lane sum of %zu numbers over %d lanes is too long; use pd_reduction",
                       count, comm->lanes);
    return pd_comm_doubling_rounds(comm->lanes, comm->size) > 0
               ? sum_by_siblings(comm, parts, count, total)
               : sum_gathered(comm, parts, count, total);
}

pd_status pd_comm_broadcast(pd_comm *comm, void *bytes, size_t size, int root)
{
    pd_status status = PD_OK;
    pd_request request = {0};
    comm->awaits = "what one rank sends to all";
    for (size_t done = 0; done < size;) {
        size_t part = size - done < BROADCAST_MAX ? size - done : BROADCAST_MAX;
        PD_TRY(comm->transport->broadcast(comm, (char *)bytes + done, (int)part, root, &request));
        PD_TRY(comm->transport->wait(&request));
        done += part;
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
    PD_TRY(pd_comm_broadcast(comm, &size, sizeof(size), root));
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

/* Lays out the ranks' `size` bytes one after the other in comm->sizes and comm->offsets. */
static pd_status lay_out(pd_comm *comm, size_t size, size_t *total)
{
    pd_status status = PD_OK;
    *total = 0;
    PD_TRY(share_word(comm, size));
    for (int rank = 0; rank < comm->size; rank++) {
        if (comm->words[rank] > INT_MAX - *total)
            return pd_fail("gathering 2 GiB or more on one rank is not possible; "
                           "gather in smaller pieces");
        comm->sizes[rank] = (int)comm->words[rank];
        comm->offsets[rank] = (int)*total;
        *total += comm->words[rank];
    }

cleanup:
    return status;
}

pd_status pd_comm_gather(pd_comm *comm, const void *bytes, size_t size, void **out, size_t *total)
{
    pd_status status = PD_OK;
    pd_request request = {0};
    char *all = NULL;
    size_t sum = 0;
    *out = NULL;
    *total = 0;
    PD_TRY(lay_out(comm, size, &sum));
    if (comm->rank == 0)
        status = pd_alloc(&all, sum, 1);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(lay_out(comm, size, &sum)); /* again: agreeing has used the same arrays */
    comm->awaits = "the results of all ranks";
    PD_TRY(comm->transport->gather(comm, bytes, all, comm->sizes, comm->offsets, &request));
    PD_TRY(comm->transport->wait(&request));
    if (comm->rank == 0) {
        *out = all;
        *total = sum;
        all = NULL;
    }

cleanup:
    free(all);
    return status;
}

pd_status pd_comm_bitwise_or(pd_comm *comm, uint32_t flags, uint32_t *all)
{
    pd_status status = PD_OK;
    PD_TRY(share_word(comm, flags));
    *all = 0;
    for (int rank = 0; rank < comm->size; rank++)
        *all |= (uint32_t)comm->words[rank];

cleanup:
    return status;
}

pd_status pd_comm_allgather_u64(pd_comm *comm, uint64_t word, const uint64_t **words)
{
    *words = comm->words;
    return share_word(comm, word);
}

pd_status pd_comm_max(pd_comm *comm, double value, double *largest)
{
    pd_status status = PD_OK;
    uint64_t word;
    memcpy(&word, &value, sizeof(word));
    PD_TRY(share_word(comm, word));
    *largest = -INFINITY;
    for (int rank = 0; rank < comm->size; rank++) {
        memcpy(&value, &comm->words[rank], sizeof(value));
        if (isnan(value) || value > *largest)
            *largest = value;
    }

cleanup:
    return status;
}

pd_status pd_comm_agree(pd_comm *comm, pd_status status)
{
    if (comm->size == 1)
        return status;

    /* The message is kept before MPI can leave one of its own. */
    char message[MESSAGE_MAX] = "";
    if (status != PD_OK)
        snprintf(message, sizeof(message), "rank %d on %s: %s%s%s", comm->rank, comm->host,
                 comm->at, comm->at[0] != '\0' ? ": " : "", pd_error_message());

    pd_status shared = share_word(comm, (uint64_t)status);
    if (shared != PD_OK)
        return shared;
    int first = 0;
    while (first < comm->size && comm->words[first] == PD_OK)
        first++;
    if (first == comm->size)
        return PD_OK;

    pd_status agreed = (pd_status)comm->words[first];
    shared = pd_comm_broadcast(comm, message, sizeof(message), first);
    if (shared != PD_OK)
        return shared;
    pd_fail("%s", message);
    return agreed;
}

pd_status pd_comm_barrier(pd_comm *comm)
{
    return share_word(comm, 0);
}

/* --- Groups --- */

/* Whether all hosts have as many ranks as this one, one after the other. */
static pd_status hosts_are_alike(pd_comm *comm, bool *alike)
{
    pd_status status = PD_OK;
    int ranks = comm->local_size;
    uint64_t first = (uint32_t)(comm->rank - comm->local_rank);
    PD_TRY(share_word(comm, first << 32 | (uint32_t)ranks));
    *alike = true;
    for (int rank = 0; rank < comm->size; rank++) {
        first = (uint32_t)(rank - rank % ranks);
        *alike = *alike && comm->words[rank] == (first << 32 | (uint32_t)ranks);
    }

cleanup:
    return status;
}

/* Whether the ranks of each group can share memory, the same on all; if not, notes why. */
static bool can_share(pd_comm *comm)
{
    pd_share *share;
    if (pd_share_create(&share, comm, 1) != PD_OK) {
        snprintf(comm->group_obstacle, sizeof(comm->group_obstacle), "%s", pd_error_message());
        return false;
    }
    pd_share_destroy(&share);
    return true;
}

static int largest_divisor(int number, int most)
{
    while (number % most != 0)
        most--;
    return most;
}

pd_status pd_comm_set_group_size(pd_comm *comm, int most)
{
    pd_status status = PD_OK;
    bool alike;
    comm->group_obstacle[0] = '\0';
    comm->group = 1;
    PD_TRY(hosts_are_alike(comm, &alike));
    if (alike)
        comm->group = largest_divisor(
            comm->local_size, most == 0 || most > comm->local_size ? comm->local_size : most);
    else if (most != 1)
        snprintf(comm->group_obstacle, sizeof(comm->group_obstacle),
                 "hosts have different numbers of ranks, or their ranks do not follow one another: "
                 "start as many on each, with mpirun --map-by slot or srun --distribution=block");
    if (comm->group > 1 && !can_share(comm))
        comm->group = 1;
    PD_TRY(comm->transport->regroup(comm));

cleanup:
    return status;
}

int pd_comm_group_size(const pd_comm *comm)
{
    return comm->group;
}

const char *pd_comm_group_obstacle(const pd_comm *comm)
{
    return comm->group_obstacle;
}

const char *pd_comm_library(const pd_comm *comm, char *version, size_t size)
{
    if (comm->transport == &pd_transport_mpi)
        return pd_mpi_library(version, size);
    snprintf(version, size, "none");
    return "no MPI";
}
