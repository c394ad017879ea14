/* The ranks of an MPI launcher. The only file that sees mpi.h.
 *
 * Every collective is the non-blocking one, so that all waits are in mpi_wait. */
#include "pneumo/base/memory.h"
#include "pneumo/comm/transport.h"

#include <dlfcn.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(MPI_Request) <= sizeof(((pd_request *)0)->slot), "pd_request is too small");

#ifdef __SANITIZE_ADDRESS__
/* Open MPI unloads its plugins before the search for leaks, which can then not tell any more that
 * what they leave behind is theirs. So they stay loaded. */
int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
#endif

typedef struct mpi_link {
    MPI_Comm channels[PD_CHANNEL_COUNT];
} mpi_link;

static MPI_Comm channel_of(const pd_comm *comm, pd_channel channel)
{
    return ((const mpi_link *)comm->link)->channels[channel];
}

/* Turns the return code of MPI function `name` into a status. */
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

static pd_status started(int code, const char *name, MPI_Request handle, pd_request *request)
{
    request->active = code == MPI_SUCCESS;
    memcpy(&request->slot, &handle, sizeof(handle));
    return check(code, name);
}

static pd_status count_local_ranks(int *count)
{
    pd_status status = PD_OK;
    MPI_Comm host = MPI_COMM_NULL;
    PD_TRY(check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host),
                 "MPI_Comm_split_type"));
    PD_TRY(check(MPI_Comm_size(host, count), "MPI_Comm_size"));

cleanup:
    if (host != MPI_COMM_NULL)
        MPI_Comm_free(&host);
    return status;
}

/* After a failure MPI is left as it is: a rank that then exits without MPI_Finalize makes the
 * launcher end the others, while MPI_Finalize might wait for them for ever. */
static pd_status mpi_join(pd_comm *comm)
{
    pd_status status = PD_OK;
    mpi_link *link = NULL;
    int provided = MPI_THREAD_SINGLE;
    PD_TRY(pd_alloc(&link, 1, sizeof(*link)));
    PD_TRY(check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread"));
    if (provided < MPI_THREAD_FUNNELED) {
        status = pd_fail("this MPI library was built without threads (MPI_THREAD_FUNNELED); "
                         "use one with them");
        goto cleanup;
    }
    /* The channels inherit it. */
    PD_TRY(check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN),
                 "MPI_Comm_set_errhandler"));
    PD_TRY(check(MPI_Comm_rank(MPI_COMM_WORLD, &comm->rank), "MPI_Comm_rank"));
    PD_TRY(check(MPI_Comm_size(MPI_COMM_WORLD, &comm->size), "MPI_Comm_size"));
    PD_TRY(count_local_ranks(&comm->local_size));
    for (int i = 0; i < PD_CHANNEL_COUNT; i++)
        PD_TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &link->channels[i]), "MPI_Comm_dup"));
    comm->link = link;
    link = NULL;

cleanup:
    free(link);
    return status;
}

static void mpi_leave(pd_comm *comm)
{
    mpi_link *link = comm->link;
    for (int i = 0; i < PD_CHANNEL_COUNT; i++)
        MPI_Comm_free(&link->channels[i]);
    free(link);
    MPI_Finalize();
}

static void mpi_abort(int code)
{
    MPI_Abort(MPI_COMM_WORLD, code);
}

static pd_status mpi_broadcast(pd_comm *comm, void *bytes, int size, int root, pd_request *request)
{
    MPI_Request handle;
    int code = MPI_Ibcast(bytes, size, MPI_BYTE, root, channel_of(comm, PD_CHANNEL_MAIN), &handle);
    return started(code, "MPI_Ibcast", handle, request);
}

static pd_status mpi_gather(pd_comm *comm, const void *mine, void *all, const int *sizes,
                            const int *offsets, pd_request *request)
{
    MPI_Request handle;
    int code = MPI_Igatherv(mine, sizes[comm->rank], MPI_BYTE, all, sizes, offsets, MPI_BYTE, 0,
                            channel_of(comm, PD_CHANNEL_MAIN), &handle);
    return started(code, "MPI_Igatherv", handle, request);
}

static pd_status mpi_allgather(pd_comm *comm, pd_channel channel, const void *mine, void *all,
                               const int *sizes, const int *offsets, pd_request *request)
{
    MPI_Request handle;
    int code = MPI_Iallgatherv(mine != NULL ? mine : MPI_IN_PLACE, sizes[comm->rank], MPI_BYTE, all,
                               sizes, offsets, MPI_BYTE, channel_of(comm, channel), &handle);
    return started(code, "MPI_Iallgatherv", handle, request);
}

static pd_status mpi_exchange(pd_comm *comm, const void *from, const int *send_sizes,
                              const int *send_offsets, void *to, const int *receive_sizes,
                              const int *receive_offsets, pd_request *request)
{
    MPI_Request handle;
    int code =
        MPI_Ialltoallv(from, send_sizes, send_offsets, MPI_BYTE, to, receive_sizes, receive_offsets,
                       MPI_BYTE, channel_of(comm, PD_CHANNEL_EXCHANGE), &handle);
    return started(code, "MPI_Ialltoallv", handle, request);
}

static pd_status mpi_sum(pd_comm *comm, float *vector, int n, pd_request *request)
{
    MPI_Request handle;
    int code = MPI_Iallreduce(MPI_IN_PLACE, vector, n, MPI_FLOAT, MPI_SUM,
                              channel_of(comm, PD_CHANNEL_EXCHANGE), &handle);
    return started(code, "MPI_Iallreduce", handle, request);
}

static pd_status mpi_test(pd_request *request, bool *done)
{
    *done = true;
    if (!request->active)
        return PD_OK;
    MPI_Request handle;
    memcpy(&handle, &request->slot, sizeof(handle));
    int complete = 0;
    int code = MPI_Test(&handle, &complete, MPI_STATUS_IGNORE);
    *done = complete != 0;
    request->active = code == MPI_SUCCESS && !complete;
    return check(code, "MPI_Test");
}

static pd_status mpi_wait(pd_request *request)
{
    if (!request->active)
        return PD_OK;
    MPI_Request handle;
    memcpy(&handle, &request->slot, sizeof(handle));
    request->active = false;
    return check(MPI_Wait(&handle, MPI_STATUS_IGNORE), "MPI_Wait");
}

const pd_transport pd_transport_mpi = {
    .join = mpi_join,
    .leave = mpi_leave,
    .abort = mpi_abort,
    .broadcast = mpi_broadcast,
    .gather = mpi_gather,
    .allgather = mpi_allgather,
    .exchange = mpi_exchange,
    .sum = mpi_sum,
    .test = mpi_test,
    .wait = mpi_wait,
};

const char *pd_mpi_library(char *version, size_t size)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0, level = MPI_THREAD_SINGLE;
    MPI_Get_library_version(text, &length);
    MPI_Query_thread(&level);
    text[strcspn(text, ",\n")] = '\0'; /* who built it, and when, follows */
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
