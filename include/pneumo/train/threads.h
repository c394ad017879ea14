/* The number of threads of a rank. */
#ifndef PNEUMO_TRAIN_THREADS_H
#define PNEUMO_TRAIN_THREADS_H

#include "pneumo/comm/comm.h"

/* Sets OpenMP's number of threads to `asked` (0: OMP_NUM_THREADS if set, else SLURM_CPUS_PER_TASK
 * if set, else the rank's share of the cores that it may use) and returns it. Not collective. */
int pd_threads_set(const pd_comm *comm, int asked);

/* The same, with a message that names the option to use if the launcher binds the rank to fewer
 * cores than it has threads, or to only some of its share of the cores. Not collective. */
int pd_threads_choose(const pd_comm *comm, int asked);

#endif
