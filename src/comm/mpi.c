/* The transport for ranks that an MPI launcher has started.
 *
 * Collectives are non-blocking, except those that make and free channels, so that every other wait
 * goes through mpi_wait, which also sends heartbeats. */
#include "heartbeat.h"
#include "transport.h"

#include "pneumo/base/memory.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(MPI_Request) <= sizeof(((pd_request *)0)->handle), "handle is too small");

typedef struct mpi_link {
    MPI_Comm channels[PD_CHANNEL_COUNT];
    pd_heartbeat heartbeat;
} mpi_link;

/* --- MPI calls --- */

static mpi_link *enter(const pd_comm *comm)
{
    mpi_link *link = comm->link;
    pd_heartbeat_lock(&link->heartbeat);
    return link;
}

static void leave(mpi_link *link)
{
    pd_heartbeat_unlock(&link->heartbeat);
}

static MPI_Comm channel_of(const pd_comm *comm, pd_channel channel)
{
    return ((const mpi_link *)comm->link)->channels[channel];
}

/* Converts the return code of MPI function `name` to a status. */
static pd_status check(int code, const char *name)
{
    if (code == MPI_SUCCESS)
        return PD_OK;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
        return pd_fail("%s failed with error %d", name, code);
    return pd_fail("%s failed: %s", name, text);
}

/* Ends all ranks if `code` is an error: the others would wait for this one. With the lock held. */
static void abort_on_error(pd_comm *comm, int code, const char *name, const char *awaited)
{
    if (check(code, name) != PD_OK)
        pd_heartbeat_fail(&((mpi_link *)comm->link)->heartbeat, awaited);
}

/* Fills in `request` after MPI function `name` has started an operation on `channel`. Releases the
 * lock. */
static pd_status finish_start(pd_comm *comm, pd_channel channel, int code, const char *name,
                              MPI_Request handle, pd_request *request)
{
    *request = (pd_request){.active = true,
                            .comm = comm,
                            .awaited = channel == PD_CHANNEL_MAIN ? comm->awaited
                                                                  : "the sum of the gradients"};
    memcpy(&request->handle, &handle, sizeof handle);
    abort_on_error(comm, code, name, request->awaited);
    leave(comm->link);
    return PD_OK;
}

/* --- Joining and leaving --- */

static pd_status count_local_ranks(pd_comm *comm)
{
    pd_status status = PD_OK;
    MPI_Comm host = MPI_COMM_NULL;
    PD_TRY(check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host),
                 "MPI_Comm_split_type"));
    PD_TRY(check(MPI_Comm_size(host, &comm->local_size), "MPI_Comm_size"));
    PD_TRY(check(MPI_Comm_rank(host, &comm->local_rank), "MPI_Comm_rank"));

cleanup:
    if (host != MPI_COMM_NULL)
        MPI_Comm_free(&host);
    return status;
}

/* Creates the column channels for the present group size and frees the previous ones. */
static pd_status make_columns(const pd_comm *comm, mpi_link *link)
{
    pd_status status = PD_OK;
    MPI_Comm *alltoall = &link->channels[PD_CHANNEL_ALLTOALL];
    MPI_Comm *allgather = &link->channels[PD_CHANNEL_ALLGATHER];
    int column = comm->rank % comm->group_size;
    if (*alltoall != MPI_COMM_NULL)
        PD_TRY(check(MPI_Comm_free(alltoall), "MPI_Comm_free"));
    if (*allgather != MPI_COMM_NULL)
        PD_TRY(check(MPI_Comm_free(allgather), "MPI_Comm_free"));
    PD_TRY(check(MPI_Comm_split(MPI_COMM_WORLD, column, comm->rank, alltoall), "MPI_Comm_split"));
    PD_TRY(check(MPI_Comm_dup(*alltoall, allgather), "MPI_Comm_dup"));

cleanup:
    return status;
}

static pd_status make_channels(const pd_comm *comm, mpi_link *link)
{
    pd_status status = PD_OK;
    for (int i = 0; i < PD_CHANNEL_COUNT; i++)
        link->channels[i] = MPI_COMM_NULL;
    PD_TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &link->channels[PD_CHANNEL_MAIN]), "MPI_Comm_dup"));
    PD_TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &link->channels[PD_CHANNEL_SUM]), "MPI_Comm_dup"));
    PD_TRY(make_columns(comm, link));

cleanup:
    return status;
}

/* The host name of every rank: *out [size], to be released with free(). */
static pd_status gather_hosts(pd_host_name **out, const pd_comm *comm)
{
    pd_status status = PD_OK;
    pd_host_name own = "", *hosts = NULL;
    snprintf(own, sizeof own, "%.*s", (int)sizeof own - 1, comm->host);
    PD_TRY(pd_alloc(&hosts, (size_t)comm->size, sizeof *hosts));
    PD_TRY(
        check(MPI_Allgather(own, sizeof own, MPI_BYTE, hosts, sizeof own, MPI_BYTE, MPI_COMM_WORLD),
              "MPI_Allgather"));
    *out = hosts;
    hosts = NULL;

cleanup:
    free(hosts);
    return status;
}

/* With the lock held, which this destroys. */
static void release(pd_comm *comm)
{
    mpi_link *link = comm->link;
    pd_heartbeat_release(&link->heartbeat);
    free(link);
    comm->link = NULL;
}

/* With the lock held. */
static pd_status initialise(pd_comm *comm, mpi_link *link)
{
    pd_status status = PD_OK;
    pd_host_name *hosts;
    int provided = MPI_THREAD_SINGLE;
    PD_TRY(check(MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread"));
    if (provided < MPI_THREAD_FUNNELED) {
        status = pd_fail("the MPI library does not support threads (MPI_THREAD_FUNNELED); use one "
                         "that does");
        goto cleanup;
    }
    /* The channels inherit the error handler. */
    PD_TRY(check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN),
                 "MPI_Comm_set_errhandler"));
    PD_TRY(check(MPI_Comm_rank(MPI_COMM_WORLD, &comm->rank), "MPI_Comm_rank"));
    PD_TRY(check(MPI_Comm_size(MPI_COMM_WORLD, &comm->size), "MPI_Comm_size"));
    PD_TRY(count_local_ranks(comm));
    PD_TRY(make_channels(comm, link));
    PD_TRY(gather_hosts(&hosts, comm));
    PD_TRY(pd_heartbeat_connect(&link->heartbeat, hosts, provided));

cleanup:
    return status;
}

/* After a failure this does not call MPI_Finalize, which might wait for the other ranks forever. A
 * rank that exits without it makes the launcher end the others. */
static pd_status mpi_join(pd_comm *comm)
{
    mpi_link *link = NULL;
    pd_status status = pd_alloc(&link, 1, sizeof *link);
    if (status != PD_OK)
        return status;
    comm->link = link;
    status = pd_heartbeat_start(&link->heartbeat, comm);
    if (status == PD_OK)
        status = initialise(comm, link);
    if (status == PD_OK)
        leave(link);
    else
        release(comm);
    return status;
}

static pd_status mpi_wait(pd_request *request);

static void mpi_leave(pd_comm *comm)
{
    /* If a rank is missing, the watchdog ends this barrier; MPI_Finalize would wait forever. */
    MPI_Request handle;
    pd_request request;
    comm->awaited = "all ranks to finish";
    mpi_link *link = enter(comm);
    int code = MPI_Ibarrier(channel_of(comm, PD_CHANNEL_MAIN), &handle);
    finish_start(comm, PD_CHANNEL_MAIN, code, "MPI_Ibarrier", handle, &request);
    mpi_wait(&request);

    enter(comm);
    pd_heartbeat_disconnect(&link->heartbeat);
    for (int i = 0; i < PD_CHANNEL_COUNT; i++)
        MPI_Comm_free(&link->channels[i]);
    MPI_Finalize();
    release(comm);
}

static void mpi_abort(pd_comm *comm, int code)
{
    pd_heartbeat_abort(&((mpi_link *)comm->link)->heartbeat, code);
}

static pd_status mpi_regroup(pd_comm *comm)
{
    mpi_link *link = enter(comm);
    if (make_columns(comm, link) != PD_OK)
        pd_heartbeat_fail(&link->heartbeat, "all ranks to form groups");
    leave(link);
    return PD_OK;
}

static void mpi_set_watchdog(pd_comm *comm, double seconds, bool (*stop_requested)(void))
{
    pd_heartbeat_set_limit(&((mpi_link *)comm->link)->heartbeat, seconds, stop_requested);
}

static void mpi_set_position(pd_comm *comm, const char *position)
{
    pd_heartbeat_set_position(&((mpi_link *)comm->link)->heartbeat, comm, position);
}

static const char *mpi_library(char *version, size_t size)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0, level = MPI_THREAD_SINGLE;
    MPI_Get_library_version(text, &length);
    MPI_Query_thread(&level);
    text[strcspn(text, ",\n")] = '\0'; /* build details follow */
    snprintf(version, size, "%s", text);
    switch (level) {
    case MPI_THREAD_SINGLE:
        return "MPI_THREAD_SINGLE";
    case MPI_THREAD_FUNNELED:
        return "MPI_THREAD_FUNNELED";
    case MPI_THREAD_SERIALIZED:
        return "MPI_THREAD_SERIALIZED";
    default:
        return "MPI_THREAD_MULTIPLE";
    }
}

/* --- Operations --- */

static pd_status mpi_broadcast(pd_comm *comm, void *bytes, int size, int root, pd_request *request)
{
    MPI_Request handle;
    enter(comm);
    int code = MPI_Ibcast(bytes, size, MPI_BYTE, root, channel_of(comm, PD_CHANNEL_MAIN), &handle);
    return finish_start(comm, PD_CHANNEL_MAIN, code, "MPI_Ibcast", handle, request);
}

static pd_status mpi_gather(pd_comm *comm, const void *own, void *all, const int *sizes,
                            const int *offsets, pd_request *request)
{
    MPI_Request handle;
    enter(comm);
    int code = MPI_Igatherv(own, sizes[comm->rank], MPI_BYTE, all, sizes, offsets, MPI_BYTE, 0,
                            channel_of(comm, PD_CHANNEL_MAIN), &handle);
    return finish_start(comm, PD_CHANNEL_MAIN, code, "MPI_Igatherv", handle, request);
}

static pd_status mpi_allgather(pd_comm *comm, pd_channel channel, const void *own, void *all,
                               const int *sizes, const int *offsets, pd_request *request)
{
    MPI_Request handle;
    enter(comm);
    /* The column channels always gather in place, where MPI ignores the send size. */
    int code = MPI_Iallgatherv(own != NULL ? own : MPI_IN_PLACE,
                               own != NULL ? sizes[comm->rank] : 0, MPI_BYTE, all, sizes, offsets,
                               MPI_BYTE, channel_of(comm, channel), &handle);
    return finish_start(comm, channel, code, "MPI_Iallgatherv", handle, request);
}

static pd_status mpi_sendrecv(pd_comm *comm, int partner, const void *send, void *receive, int size,
                              pd_request requests[2])
{
    MPI_Request handle;
    MPI_Comm channel = channel_of(comm, PD_CHANNEL_MAIN);
    enter(comm);
    int code = MPI_Irecv(receive, size, MPI_BYTE, partner, 0, channel, &handle);
    finish_start(comm, PD_CHANNEL_MAIN, code, "MPI_Irecv", handle, &requests[0]);
    enter(comm);
    code = MPI_Isend(send, size, MPI_BYTE, partner, 0, channel, &handle);
    return finish_start(comm, PD_CHANNEL_MAIN, code, "MPI_Isend", handle, &requests[1]);
}

static pd_status mpi_alltoall(pd_comm *comm, const void *send, const int *send_sizes,
                              const int *send_offsets, void *receive, const int *receive_sizes,
                              const int *receive_offsets, pd_request *request)
{
    MPI_Request handle;
    enter(comm);
    int code =
        MPI_Ialltoallv(send, send_sizes, send_offsets, MPI_BYTE, receive, receive_sizes,
                       receive_offsets, MPI_BYTE, channel_of(comm, PD_CHANNEL_ALLTOALL), &handle);
    return finish_start(comm, PD_CHANNEL_ALLTOALL, code, "MPI_Ialltoallv", handle, request);
}

static pd_status mpi_sum(pd_comm *comm, float *vector, int n, pd_request *request)
{
    MPI_Request handle;
    enter(comm);
    int code = MPI_Iallreduce(MPI_IN_PLACE, vector, n, MPI_FLOAT, MPI_SUM,
                              channel_of(comm, PD_CHANNEL_SUM), &handle);
    return finish_start(comm, PD_CHANNEL_SUM, code, "MPI_Iallreduce", handle, request);
}

/* With the lock held. */
static bool is_complete(pd_request *request)
{
    mpi_link *link = request->comm->link;
    MPI_Request handle;
    int complete = 0;
    if (request->counter != NULL) {
        complete = atomic_load_explicit(request->counter, memory_order_acquire) >= request->target;
    } else {
        memcpy(&handle, &request->handle, sizeof handle);
        int code = MPI_Test(&handle, &complete, MPI_STATUS_IGNORE);
        abort_on_error(request->comm, code, "MPI_Test", request->awaited);
    }
    request->active = !complete;
    if (complete)
        atomic_fetch_add(&link->heartbeat.completed, 1);
    return complete;
}

/* Lets MPI advance its operations, and yield the core where there are more ranks than cores: it
 * does both in every probe. */
static void make_progress(mpi_link *link)
{
    int found;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, link->channels[PD_CHANNEL_ALLGATHER], &found,
               MPI_STATUS_IGNORE);
}

static pd_status mpi_test(pd_request *request, bool *done)
{
    if (request->active) {
        mpi_link *link = enter(request->comm);
        is_complete(request);
        leave(link);
    }
    *done = !request->active;
    return PD_OK;
}

static pd_status mpi_wait(pd_request *request)
{
    if (!request->active)
        return PD_OK;
    mpi_link *link = enter(request->comm);
    pd_heartbeat *heartbeat = &link->heartbeat;
    atomic_store(&heartbeat->awaited, request->awaited);
    while (!is_complete(request)) {
        pd_heartbeat_poll(heartbeat);
        if (request->counter != NULL)
            make_progress(link);
    }
    atomic_store(&heartbeat->awaited, NULL);
    leave(link);
    return PD_OK;
}

const pd_transport pd_transport_mpi = {
    .join = mpi_join,
    .leave = mpi_leave,
    .abort = mpi_abort,
    .regroup = mpi_regroup,
    .set_watchdog = mpi_set_watchdog,
    .set_position = mpi_set_position,
    .library = mpi_library,
    .broadcast = mpi_broadcast,
    .gather = mpi_gather,
    .allgather = mpi_allgather,
    .sendrecv = mpi_sendrecv,
    .alltoall = mpi_alltoall,
    .sum = mpi_sum,
    .test = mpi_test,
    .wait = mpi_wait,
};
