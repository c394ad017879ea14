/* How many threads a rank works with. */
#ifndef PNEUMO_TRAIN_THREADS_H
#define PNEUMO_TRAIN_THREADS_H

#include "pneumo/comm/comm.h"

/* `asked` (0: OMP_NUM_THREADS if set, else the rank's share of the cores that it may use). Sets
 * OpenMP's number of threads and returns it. Warns when the launcher binds the rank to fewer cores
 * than it has threads, or to a part of an otherwise idle machine, and names the option that mends
 * it. Not collective. */
int pd_threads_choose(const pd_comm *comm, int asked);

#endif
