/* Threads beside those of OpenMP. */
#ifndef PNEUMO_BASE_THREAD_H
#define PNEUMO_BASE_THREAD_H

#include "pneumo/base/status.h"

#include <pthread.h>
#include <stdbool.h>

/* Threads that wait for work, and a caller that waits for them. */
typedef struct pd_threads {
    pthread_mutex_t lock; /* for the rest, and for what the threads and the caller share */
    pthread_cond_t work;  /* there is work, or they stop */
    pthread_cond_t done;  /* work is done */
    bool stop;            /* return from run() */
    int started;
    pthread_t *threads; /* [started] */
} pd_threads;

/* Starts up to `count` threads that call run(argument) and take no signals; run() returns soon
 * after `stop` is set and `work` is broadcast. Each may run on the cores of another of OpenMP's
 * threads, which may be bound to one core each. Fails if count > 0 and none could be started.
 * *threads is released with pd_threads_stop, also after a failure. */
pd_status pd_threads_start(pd_threads *threads, int count, void *(*run)(void *), void *argument);

/* Waits until all have returned. */
void pd_threads_stop(pd_threads *threads);

#endif
