#include "pneumo/comm/group.h"

#include "pneumo/base/number.h"
#include "share.h"
#include "transport.h"

#include <stdio.h>

/* Whether all hosts have the same number of ranks, and the ranks of each are consecutive. */
static pd_status hosts_are_uniform(pd_comm *comm, bool *uniform)
{
    pd_status status = PD_OK;
    const uint64_t *values;
    int ranks = comm->local_size;
    uint64_t first = (uint32_t)(comm->rank - comm->local_rank);
    PD_TRY(pd_comm_allgather_u64(comm, first << 32 | (uint32_t)ranks, &values));
    *uniform = true;
    for (int rank = 0; rank < comm->size; rank++) {
        first = (uint32_t)(rank - rank % ranks);
        *uniform = *uniform && values[rank] == (first << 32 | (uint32_t)ranks);
    }

cleanup:
    return status;
}

/* Whether the ranks of every group can share memory, with the same result on all ranks; if not,
 * records the reason. */
static bool can_share(pd_comm *comm)
{
    pd_share *share;
    if (pd_share_create(&share, comm, 1) != PD_OK) {
        snprintf(comm->group_obstacle, sizeof comm->group_obstacle, "%s", pd_error_message());
        return false;
    }
    pd_share_destroy(&share);
    return true;
}

pd_status pd_comm_set_group_size(pd_comm *comm, int limit)
{
    pd_status status = PD_OK;
    bool uniform;
    comm->group_obstacle[0] = '\0';
    comm->group_size = 1;
    PD_TRY(hosts_are_uniform(comm, &uniform));
    if (uniform)
        comm->group_size = pd_largest_divisor(
            comm->local_size, limit == 0 || limit > comm->local_size ? comm->local_size : limit);
    else if (limit != 1)
        snprintf(comm->group_obstacle, sizeof comm->group_obstacle,
                 "hosts have different numbers of ranks, or the ranks of a host are not "
                 "consecutive: start the same number on each host, with mpirun --map-by slot or "
                 "srun --distribution=block");
    if (comm->group_size > 1 && !can_share(comm))
        comm->group_size = 1;
    PD_TRY(comm->transport->regroup(comm));

cleanup:
    return status;
}

int pd_comm_group_size(const pd_comm *comm)
{
    return comm->group_size;
}

const char *pd_comm_group_obstacle(const pd_comm *comm)
{
    return comm->group_obstacle;
}
