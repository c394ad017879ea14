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
    bool stops;
    pthread_mutex_t lock; /* for all that is above */
    pthread_cond_t begun, ended;
    int started;
    pthread_t *threads; /* [started] */
};

/* Takes items until none is left. Called, and returns, with the lock held. */
static void take_items(pd_crew *crew, int worker)
{
    while (crew->taken < crew->count) {
        int item = crew->taken++;
        pthread_mutex_unlock(&crew->lock);
        crew->work(crew->context, item, worker);
        pthread_mutex_lock(&crew->lock);
    }
}

static void *be_worker(void *argument)
{
    pd_crew *crew = argument;
    pthread_mutex_lock(&crew->lock);
    const int worker = ++crew->named;
    unsigned seen = 0;
    for (;;) {
        while (!crew->stops && (crew->run == seen || worker > crew->wanted))
            pthread_cond_wait(&crew->begun, &crew->lock);
        if (crew->stops)
            break;
        seen = crew->run;
        crew->working++;
        take_items(crew, worker);
        if (--crew->working == 0)
            pthread_cond_signal(&crew->ended);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

pd_status pd_crew_create(pd_crew **out, int threads)
{
    pd_crew *crew;
    *out = NULL;
    pd_status status = pd_alloc(&crew, 1, sizeof *crew);
    if (status != PD_OK)
        return status;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->begun, NULL);
    pthread_cond_init(&crew->ended, NULL);
    PD_TRY(pd_alloc(&crew->threads, (size_t)threads, sizeof *crew->threads));
    if (threads > 1)
        PD_TRY(pd_thread_start(crew->threads, &crew->started, threads - 1, be_worker, crew));
    *out = crew;
    crew = NULL;
cleanup:
    pd_crew_destroy(&crew);
    return status;
}

void pd_crew_destroy(pd_crew **crew)
{
    pd_crew *old = *crew;
    if (old == NULL)
        return;
    pthread_mutex_lock(&old->lock);
    old->stops = true;
    pthread_cond_broadcast(&old->begun);
    pthread_mutex_unlock(&old->lock);
    for (int i = 0; i < old->started; i++)
        pthread_join(old->threads[i], NULL);
    pthread_mutex_destroy(&old->lock);
    pthread_cond_destroy(&old->begun);
    pthread_cond_destroy(&old->ended);
    free(old->threads);
    free(old);
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
    pthread_mutex_lock(&crew->lock);
    crew->work = work;
    crew->context = context;
    crew->taken = 0;
    crew->count = count;
    crew->wanted = threads - 1;
    crew->run++;
    pthread_cond_broadcast(&crew->begun);
    take_items(crew, 0);
    while (crew->working > 0)
        pthread_cond_wait(&crew->ended, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}
