/* How many threads a rank works with. */
#ifndef PNEUMO_TRAIN_THREADS_H
#define PNEUMO_TRAIN_THREADS_H

#include "pneumo/comm/comm.h"

/* Sets OpenMP's number of threads to `asked` (0: OMP_NUM_THREADS if set, else SLURM_CPUS_PER_TASK if
 * set, else the rank's share of the cores that it may use) and returns it. Not collective. */
int pd_threads_set(const pd_comm *comm, int asked);

/* The same with a word on it: warns when the launcher binds the rank to fewer cores than it has
 * threads, or to a part of an otherwise idle machine, and names the option that mends it. Not
 * collective. */
int pd_threads_choose(const pd_comm *comm, int asked);

#endif
