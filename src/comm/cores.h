/* The cores of a host, divided among its ranks. */
#ifndef PNEUMO_COMM_CORES_H
#define PNEUMO_COMM_CORES_H

#include <sched.h>
#include <stddef.h>

/* What a rank tells the others. */
typedef struct pd_rank_cores {
    char host[256];
    cpu_set_t cores; /* that it may run on */
} pd_rank_cores;

/* Sets shares[count]: each core that several ranks of a host may run on counts in equal parts for
 * each of them. */
void pd_cores_divide(double *shares, const pd_rank_cores *ranks, size_t count);

#endif
