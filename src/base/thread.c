#include "pneumo/base/thread.h"

#include "pneumo/base/memory.h"

#include <signal.h>
#include <stdlib.h>
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

pd_status pd_threads_start(pd_threads *threads, int count, void *(*run)(void *), void *argument)
{
    int problem = 0;
    *threads = (pd_threads){.started = 0};
    pthread_mutex_init(&threads->lock, NULL);
    pthread_cond_init(&threads->work, NULL);
    pthread_cond_init(&threads->done, NULL);
    if (count == 0)
        return PD_OK;
    pd_status status = pd_alloc(&threads->threads, (size_t)count, sizeof *threads->threads);
    if (status != PD_OK)
        return status;
        /* A thread inherits the cores of the thread that starts it. */
#pragma omp parallel for num_threads(count) schedule(static, 1)
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        int own = start_one(&thread, run, argument);
#pragma omp critical
        if (own == 0)
            threads->threads[threads->started++] = thread;
        else
            problem = own;
    }
    return threads->started > 0 ? PD_OK : pd_fail("cannot start a thread: %s", strerror(problem));
}

void pd_threads_stop(pd_threads *threads)
{
    pthread_mutex_lock(&threads->lock);
    threads->stop = true;
    pthread_cond_broadcast(&threads->work);
    pthread_mutex_unlock(&threads->lock);
    for (int i = 0; i < threads->started; i++)
        pthread_join(threads->threads[i], NULL);
    pthread_mutex_destroy(&threads->lock);
    pthread_cond_destroy(&threads->work);
    pthread_cond_destroy(&threads->done);
    free(threads->threads);
    *threads = (pd_threads){.started = 0};
}
