#include "pneumo/base/thread.h"

#include <signal.h>
#include <string.h>

/* The main thread handles signals. */
static int start_one(pthread_t *thread, void *(*run)(void *), void *argument)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return problem;
}

pd_status pd_thread_start(pthread_t *threads, int *started, int count, void *(*run)(void *),
                          void *argument)
{
    int problem = 0;
    *started = 0;
    /* A thread inherits the cores of the thread that starts it. */
#pragma omp parallel for num_threads(count) schedule(static, 1)
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        int own = start_one(&thread, run, argument);
#pragma omp critical
        if (own == 0)
            threads[(*started)++] = thread;
        else
            problem = own;
    }
    return *started > 0 ? PD_OK : pd_fail("cannot start a thread: %s", strerror(problem));
}
