#include "pneumo/train/threads.h"

#include "pneumo/base/log.h"

#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* Cores that this process may run on. */
static int usable_cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count;
}

/* This rank's equal share of the host's cores. */
static int host_share(const pd_comm *comm)
{
    int online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    int share = online / pd_comm_local_size(comm);
    return share < 1 ? 1 : share;
}

int pd_threads_set(const pd_comm *comm, int asked)
{
    int usable = usable_cores(), share = host_share(comm);
    const char *variable = getenv("OMP_NUM_THREADS");
    if (variable == NULL)
        variable = getenv("SLURM_CPUS_PER_TASK");
    int threads = asked;
    if (threads == 0 && variable != NULL)
        threads = atoi(variable);
    if (threads < 1)
        threads = usable < share ? usable : share;
    omp_set_num_threads(threads);
    return threads;
}

int pd_threads_choose(const pd_comm *comm, int asked)
{
    int usable = usable_cores(), share = host_share(comm), threads = pd_threads_set(comm, asked);
    if (threads > usable)
        pd_log_warn(
            "rank %d on %s has %d threads but the launcher binds it to %d core%s: start with "
            "mpirun --bind-to none, or srun --cpus-per-task=%d",
            pd_comm_rank(comm), pd_comm_host(comm), threads, usable, usable == 1 ? "" : "s",
            threads);
    else if (asked == 0 && getenv("OMP_NUM_THREADS") == NULL &&
             getenv("SLURM_CPUS_PER_TASK") == NULL && usable < share && pd_comm_rank(comm) == 0)
        pd_log_info("each rank is bound to %d of its share of %d cores: mpirun --bind-to none uses "
                    "them all",
                    usable, share);
    return threads;
}
