/* The choice of the number of threads, without the host it is made on. */
#ifndef PNEUMO_TRAIN_THREADS_INTERNAL_H
#define PNEUMO_TRAIN_THREADS_INTERNAL_H

#include "pneumo/comm/launcher.h"

#include <stdbool.h>

typedef struct pd_thread_limits {
    int asked;    /* by option, job or environment; 0: not */
    int usable;   /* cores that this rank may run on */
    double share; /* of these, its part of what the host's ranks share */
    int online;   /* cores of the host */
    int ranks;    /* on the host */
    double quota; /* processors whose time the control groups give these ranks; INFINITY: all */
    int most;     /* that OpenMP starts (OMP_THREAD_LIMIT) */
    const pd_launcher *launcher; /* NULL: none */
} pd_thread_limits;

/* As many threads as asked for or, if nobody asked, as the rank's share of cores and quota has,
 * rounded down: with more threads than its quota, a process is stopped in the middle of a step. At
 * least 1, and no more than OpenMP starts. */
int pd_thread_limits_choose(const pd_thread_limits *limits);

/* Writes what the user should know about that choice, or "". Returns whether it is a warning. */
bool pd_thread_limits_remark(char text[512], const pd_thread_limits *limits);

#endif
