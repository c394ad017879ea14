#include "pneumo/base/crew.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/thread.h"

#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>

struct pd_crew {
    void (*work)(void *context, int item, int worker);
    void *context;
    int count, taken;    /* items */
    int wanted, working; /* workers beside the caller: of the run, and at work */
    unsigned run;        /* number of the run */
    int named;           /* threads that have a number */
    pd_threads threads;  /* its lock is for all that is above; done: no worker is at work */
};

/* Takes items until none is left. Called, and returns, with the lock held. */
static void take_items(pd_crew *crew, int worker)
{
    while (crew->taken < crew->count) {
        int item = crew->taken++;
        pthread_mutex_unlock(&crew->threads.lock);
        crew->work(crew->context, item, worker);
        pthread_mutex_lock(&crew->threads.lock);
    }
}

static void *be_worker(void *argument)
{
    pd_crew *crew = argument;
    pthread_mutex_lock(&crew->threads.lock);
    const int worker = ++crew->named;
    unsigned seen = 0;
    for (;;) {
        while (!crew->threads.stop && (crew->run == seen || worker > crew->wanted))
            pthread_cond_wait(&crew->threads.work, &crew->threads.lock);
        if (crew->threads.stop)
            break;
        seen = crew->run;
        crew->working++;
        take_items(crew, worker);
        if (--crew->working == 0)
            pthread_cond_signal(&crew->threads.done);
    }
    pthread_mutex_unlock(&crew->threads.lock);
    return NULL;
}

pd_status pd_crew_create(pd_crew **out, int threads)
{
    pd_crew *crew;
    *out = NULL;
    pd_status status = pd_alloc(&crew, 1, sizeof *crew);
    if (status != PD_OK)
        return status;
    PD_TRY(pd_threads_start(&crew->threads, threads - 1, be_worker, crew));
    *out = crew;
    crew = NULL;
cleanup:
    pd_crew_destroy(&crew);
    return status;
}

void pd_crew_destroy(pd_crew **crew)
{
    if (*crew == NULL)
        return;
    pd_threads_stop(&(*crew)->threads);
    free(*crew);
    *crew = NULL;
}

void pd_crew_run(pd_crew *crew, int threads, int count,
                 void (*work)(void *context, int item, int worker), void *context)
{
    if (crew == NULL) {
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (int item = 0; item < count; item++)
            work(context, item, omp_get_thread_num());
        return;
    }
    pthread_mutex_lock(&crew->threads.lock);
    crew->work = work;
    crew->context = context;
    crew->taken = 0;
    crew->count = count;
    crew->wanted = threads - 1;
    crew->run++;
    pthread_cond_broadcast(&crew->threads.work);
    take_items(crew, 0);
    while (crew->working > 0)
        pthread_cond_wait(&crew->threads.done, &crew->threads.lock);
    pthread_mutex_unlock(&crew->threads.lock);
}
