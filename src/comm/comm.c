/* The handle: selects the transport and holds the numbers of the communicator. */
#include "comm_internal.h"
#include "cores.h"

#include "pneumo/base/host.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/comm/launcher.h"
#include "pneumo/kernels/tree.h"
#include "transport.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Without MPI, each task of an srun step would do the whole work and write the same files. */
static void warn_about_srun(void)
{
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    const char *task = getenv("SLURM_PROCID");
    if (tasks != NULL && task != NULL && atoi(tasks) > 1 && atoi(task) == 0)
        pd_log_warn("srun started %s tasks without MPI, so each task does the whole work; "
                    "use srun --mpi=pmix, srun --mpi=pmi2 or mpirun",
                    tasks);
}

static void release(pd_comm *comm)
{
    free(comm->gathered);
    free(comm->sizes);
    free(comm->offsets);
    free(comm->scratch);
    free(comm);
}

/* Sets usable_cores, core_share and first_of_kind. Collective. */
static pd_status count_cores(pd_comm *comm)
{
    pd_status status = PD_OK;
    pd_rank_cores own = {0};
    void *all = NULL;
    double *shares = NULL;
    size_t bytes, count = (size_t)comm->size;
    memcpy(own.host, comm->host, sizeof own.host);
    pd_host_cores(&own.cores);
    PD_TRY(pd_alloc(&shares, count, sizeof *shares));
    PD_TRY(pd_comm_gather(comm, &own, sizeof own, &all, &bytes));
    if (all != NULL)
        pd_cores_divide(shares, all, count);
    PD_TRY(pd_comm_broadcast(comm, shares, count * sizeof *shares, 0));
    comm->core_share = shares[comm->rank];
    comm->usable_cores = CPU_COUNT(&own.cores);
    comm->first_of_kind = true;
    for (int rank = 0; rank < comm->rank; rank++)
        comm->first_of_kind = comm->first_of_kind && shares[rank] != comm->core_share;
cleanup:
    free(shares);
    free(all);
    return status;
}

pd_status pd_comm_create(pd_comm **out)
{
    pd_status status = PD_OK;
    pd_comm *comm = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&comm, 1, sizeof *comm));
    if (gethostname(comm->host, sizeof comm->host - 1) != 0)
        snprintf(comm->host, sizeof comm->host, "unknown host");
    comm->launcher = pd_launcher_find();
    if (comm->launcher != NULL) {
        comm->transport = &pd_transport_mpi;
    } else {
        comm->transport = &pd_transport_serial;
        warn_about_srun();
    }
    comm->group_size = 1;
    PD_TRY(comm->transport->join(comm));
    comm->transport->set_watchdog(comm, PD_WATCHDOG_SECONDS, NULL);
    PD_TRY(pd_alloc(&comm->gathered, (size_t)comm->size, sizeof *comm->gathered));
    PD_TRY(pd_alloc(&comm->sizes, (size_t)comm->size, sizeof *comm->sizes));
    PD_TRY(pd_alloc(&comm->offsets, (size_t)comm->size, sizeof *comm->offsets));
    PD_TRY(count_cores(comm));
    *out = comm;
    comm = NULL;

cleanup:
    /* After `join` the transport's threads use it until the process ends. */
    if (comm != NULL && comm->link == NULL)
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

void pd_comm_set_watchdog(pd_comm *comm, double seconds, pd_comm_stop_query stop_requested)
{
    comm->transport->set_watchdog(comm, seconds, stop_requested);
}

void pd_comm_set_position(pd_comm *comm, const char *format, ...)
{
    char position[sizeof comm->position];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(position, sizeof position, format, arguments);
    va_end(arguments);
    comm->transport->set_position(comm, position);
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

pd_comm_cores pd_comm_get_cores(const pd_comm *comm)
{
    return (pd_comm_cores){.usable = comm->usable_cores,
                           .share = comm->core_share,
                           .first_of_kind = comm->first_of_kind,
                           .launcher = comm->launcher};
}

const char *pd_comm_library(const pd_comm *comm, char *version, size_t size)
{
    return comm->transport->library(version, size);
}

pd_status pd_comm_set_lanes(pd_comm *comm, int lanes)
{
    if (lanes < 1 || lanes > PD_LANES_MAX)
        return pd_fail("lanes = %d is out of range; use 1 to %d", lanes, PD_LANES_MAX);
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
