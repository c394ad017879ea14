#include "pneumo/comm/launcher.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* In this order: inside a SLURM allocation, mpirun sets SLURM's variables, too. SLURM_PROCID is no
 * evidence of MPI: plain srun and batch scripts set it. */
static const pd_launcher launchers[] = {
    {{"OMPI_COMM_WORLD_SIZE"}, "mpirun --bind-to none", NULL},
    {{"PMIX_RANK", "SLURM_STEP_ID"}, "srun", "--cpus-per-task="},
    {{"PMI_RANK", "SLURM_STEP_ID"}, "srun", "--cpus-per-task="},
    {{"PMI_SIZE", "SLURM_STEP_ID"}, "srun", "--cpus-per-task="},
    {{"PMIX_RANK"}, "prun --bind-to none", NULL},
    {{"PMI_RANK"}, "mpiexec -bind-to none", NULL},
    {{"PMI_SIZE"}, "mpiexec -bind-to none", NULL},
};

const pd_launcher *pd_launcher_find(void)
{
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const char *const *variables = launchers[i].variables;
        if (getenv(variables[0]) != NULL && (variables[1] == NULL || getenv(variables[1]) != NULL))
            return &launchers[i];
    }
    return NULL;
}

int pd_launcher_rank(void)
{
    static const char *const variables[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *text = getenv(variables[i]);
        char *end;
        if (text == NULL || *text < '0' || *text > '9')
            continue;
        errno = 0;
        long rank = strtol(text, &end, 10);
        return *end == '\0' && errno == 0 && rank <= INT_MAX ? (int)rank : -1;
    }
    return -1;
}

char *pd_launcher_advise(char *text, size_t size, const pd_launcher *launcher, int threads)
{
    if (launcher == NULL)
        snprintf(text, size,
                 "give it more with taskset, or in the settings of its container or batch job");
    else if (launcher->cores == NULL)
        snprintf(text, size, "start with %s", launcher->unbind);
    else
        snprintf(text, size, "start with %s %s%d", launcher->unbind, launcher->cores, threads);
    return text;
}
