/* A single rank without MPI: every operation completes at once. */
#include "transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pd_status serial_join(pd_comm *comm)
{
    comm->rank = 0;
    comm->size = 1;
    comm->local_size = 1;
    return PD_OK;
}

static pd_status serial_regroup(pd_comm *comm)
{
    (void)comm;
    return PD_OK;
}

static void serial_leave(pd_comm *comm)
{
    (void)comm;
}

static void serial_abort(pd_comm *comm, int code)
{
    (void)comm;
    exit(code);
}

static void serial_set_watchdog(pd_comm *comm, double seconds, bool (*stop_requested)(void))
{
    (void)comm, (void)seconds, (void)stop_requested;
}

static void serial_set_position(pd_comm *comm, const char *position)
{
    (void)comm, (void)position;
}

static const char *serial_library(char *version, size_t size)
{
    snprintf(version, size, "none");
    return "no MPI";
}

static pd_status serial_broadcast(pd_comm *comm, void *bytes, int size, int root,
                                  pd_request *request)
{
    (void)comm, (void)bytes, (void)size, (void)root;
    request->active = false;
    return PD_OK;
}

static pd_status serial_gather(pd_comm *comm, const void *own, void *all, const int *sizes,
                               const int *offsets, pd_request *request)
{
    (void)comm;
    if (sizes[0] > 0)
        memcpy((char *)all + offsets[0], own, (size_t)sizes[0]);
    request->active = false;
    return PD_OK;
}

static pd_status serial_allgather(pd_comm *comm, pd_channel channel, const void *own, void *all,
                                  const int *sizes, const int *offsets, pd_request *request)
{
    (void)channel;
    return serial_gather(comm, own, all, sizes, offsets, request);
}

static pd_status serial_test(pd_request *request, bool *done)
{
    (void)request;
    *done = true;
    return PD_OK;
}

static pd_status serial_wait(pd_request *request)
{
    (void)request;
    return PD_OK;
}

const pd_transport pd_transport_serial = {
    .join = serial_join,
    .leave = serial_leave,
    .abort = serial_abort,
    .regroup = serial_regroup,
    .set_watchdog = serial_set_watchdog,
    .set_position = serial_set_position,
    .library = serial_library,
    .broadcast = serial_broadcast,
    .gather = serial_gather,
    .allgather = serial_allgather,
    .test = serial_test,
    .wait = serial_wait,
};
