/* The handle: selects the transport and holds the numbers of the communicator. */
#include "comm_internal.h"

#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/kernels/tree.h"
#include "transport.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Whether an MPI launcher started this process. SLURM_PROCID is no evidence of MPI: plain srun and
 * batch scripts set it too. */
static bool has_launcher(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") != NULL || getenv("PMIX_RANK") != NULL ||
           getenv("PMI_RANK") != NULL || getenv("PMI_SIZE") != NULL;
}

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

pd_status pd_comm_create(pd_comm **out)
{
    pd_status status = PD_OK;
    pd_comm *comm = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&comm, 1, sizeof *comm));
    if (gethostname(comm->host, sizeof comm->host - 1) != 0)
        snprintf(comm->host, sizeof comm->host, "unknown host");
    if (has_launcher()) {
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
