#include "pneumo/train/threads.h"
#include "pneumo/base/text.h"

#include "pneumo/base/host.h"
#include "pneumo/base/log.h"
#include "pneumo/base/number.h"
#include "threads_internal.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REMARK = 512 };

/* The number of threads that the environment asks for; 0: none. */
static int read_environment(void)
{
    const char *variable = getenv("OMP_NUM_THREADS");
    if (variable == NULL)
        variable = getenv("SLURM_CPUS_PER_TASK");
    return variable == NULL ? 0 : pd_max_int(0, atoi(variable));
}

static pd_thread_limits query(const pd_comm *comm, int asked)
{
    const pd_comm_cores cores = pd_comm_get_cores(comm);
    return (pd_thread_limits){.asked = asked > 0 ? asked : read_environment(),
                              .usable = cores.usable,
                              .share = cores.share,
                              .online = (int)sysconf(_SC_NPROCESSORS_ONLN),
                              .ranks = pd_comm_local_size(comm),
                              .quota = pd_host_query("").processors,
                              .most = omp_get_thread_limit(),
                              .launcher = cores.launcher};
}

/* The number of threads without the limit of OpenMP. */
static int wanted(const pd_thread_limits *limits)
{
    const double rounding = 1e-6; /* three thirds of a core are one */
    if (limits->asked > 0)
        return limits->asked;
    return pd_max_int(1, (int)(fmin(limits->share, limits->quota / limits->ranks) + rounding));
}

int pd_thread_limits_choose(const pd_thread_limits *limits)
{
    return pd_min_int(wanted(limits), limits->most);
}

bool pd_thread_limits_remark(char text[REMARK], const pd_thread_limits *limits)
{
    char advice[128];
    int threads = pd_thread_limits_choose(limits);
    const char *plural = pd_text_plural(threads), *cores = pd_text_plural(limits->usable);
    text[0] = '\0';
    pd_launcher_advise(advice, sizeof advice, limits->launcher, threads);
    if (threads > limits->online) {
        snprintf(text, REMARK, "%d threads are more than the host's %d core%s: use fewer --threads",
                 threads, limits->online, pd_text_plural(limits->online));
        return true;
    }
    if (threads > limits->usable) {
        snprintf(text, REMARK, "%d thread%s run on %d core%s, to which %s the process: %s", threads,
                 plural, limits->usable, cores,
                 limits->launcher == NULL ? "the system restricts" : "the launcher binds", advice);
        return true;
    }
    if (threads > 1 && threads * limits->ranks > ceil(limits->quota)) {
        snprintf(text, REMARK,
                 "%d threads of %d rank%s share the CPU time of %.2g cores, the quota of the "
                 "control group: use fewer --threads, or raise the quota (docker --cpus, cpu.max)",
                 threads * limits->ranks, limits->ranks, pd_text_plural(limits->ranks),
                 limits->quota);
        return true;
    }
    if (threads < wanted(limits))
        snprintf(text, REMARK, "OMP_THREAD_LIMIT = %d: %d thread%s instead of %d", limits->most,
                 threads, plural, wanted(limits));
    else if (limits->asked == 0 && limits->quota / limits->ranks < limits->share)
        snprintf(text, REMARK,
                 "%d thread%s per rank: the control group's quota is the CPU time of %.2g of %d "
                 "cores (docker --cpus, cpu.max)",
                 threads, plural, limits->quota, limits->online);
    else if (limits->asked == 0 && limits->usable < limits->online / limits->ranks) {
        pd_launcher_advise(advice, sizeof advice, limits->launcher, limits->online / limits->ranks);
        snprintf(text, REMARK, "each rank may run on %d core%s of the host's %d; %s to use more",
                 limits->usable, cores, limits->online, advice);
    }
    return false;
}

int pd_threads_set(const pd_comm *comm, int asked)
{
    const pd_thread_limits limits = query(comm, asked);
    int threads = pd_thread_limits_choose(&limits);
    omp_set_num_threads(threads);
    return threads;
}

int pd_threads_choose(const pd_comm *comm, int asked)
{
    static char said[REMARK]; /* train evaluates, too */
    char text[REMARK];
    const pd_thread_limits limits = query(comm, asked);
    bool warns = pd_thread_limits_remark(text, &limits);
    if (strcmp(text, said) == 0)
        return pd_threads_set(comm, asked);
    snprintf(said, sizeof said, "%s", text);
    if (warns && pd_comm_get_cores(comm).first_of_kind)
        pd_log_warn("rank %d on %s: %s", pd_comm_rank(comm), pd_comm_host(comm), text);
    else if (text[0] != '\0')
        pd_log_info("%s", text);
    return pd_threads_set(comm, asked);
}
