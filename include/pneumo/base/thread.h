/* Threads beside those of OpenMP. */
#ifndef PNEUMO_BASE_THREAD_H
#define PNEUMO_BASE_THREAD_H

#include "pneumo/base/status.h"

#include <pthread.h>

/* Starts up to `count` threads that call run(argument) and take no signals; *started of them are in
 * threads[count], and the caller joins them. Each may run on the cores of another of OpenMP's
 * threads, which may be bound to one core each. Fails if none could be started. */
pd_status pd_thread_start(pthread_t *threads, int *started, int count, void *(*run)(void *),
                          void *argument);

#endif
