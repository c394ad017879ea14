/* The number of threads of a rank. */
#ifndef PNEUMO_TRAIN_THREADS_H
#define PNEUMO_TRAIN_THREADS_H

#include "pneumo/comm/comm.h"

/* Sets OpenMP's number of threads to `asked` (0: OMP_NUM_THREADS if set, else SLURM_CPUS_PER_TASK
 * if set, else the rank's share of the cores that it may use, and of the quota of its control
 * group), or to OMP_THREAD_LIMIT if that is less. Returns it. Not collective. */
int pd_threads_set(const pd_comm *comm, int asked);

/* The same, with a message if a limit gives the rank fewer cores or threads than it could have, or
 * fewer cores than threads: one for all ranks alike. Not collective. */
int pd_threads_choose(const pd_comm *comm, int asked);

#endif
