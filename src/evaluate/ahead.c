#include "ahead.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/thread.h"

#include <stdbool.h>
#include <stdlib.h>

/* A block in memory. */
typedef struct place {
    int64_t block;
    int count, taken, made; /* items */
} place;

struct pd_ahead {
    pd_ahead_options options;
    int64_t next; /* block for which the caller waits next */
    place places[PD_AHEAD_PLACES];
    pd_threads threads; /* its lock is for all that is above; done: a block is complete */
};

/* Makes room for a block. */
static void open_place(pd_ahead *ahead, int64_t block)
{
    const pd_ahead_options *options = &ahead->options;
    ahead->places[block % PD_AHEAD_PLACES] =
        (place){.block = block,
                .count = block < options->blocks ? options->count(options->context, block) : 0};
}

/* The earliest block of which an item is left to be taken, or NULL. */
static place *find_work(pd_ahead *ahead)
{
    place *found = NULL;
    for (int i = 0; i < PD_AHEAD_PLACES; i++) {
        place *at = &ahead->places[i];
        if (at->taken < at->count && (found == NULL || at->block < found->block))
            found = at;
    }
    return found;
}

static void *run(void *argument)
{
    pd_ahead *ahead = argument;
    const pd_ahead_options *options = &ahead->options;
    pthread_mutex_lock(&ahead->threads.lock);
    while (!ahead->threads.stop) {
        place *at = find_work(ahead);
        if (at == NULL) {
            pthread_cond_wait(&ahead->threads.work, &ahead->threads.lock);
            continue;
        }
        int item = at->taken++;
        pthread_mutex_unlock(&ahead->threads.lock);
        options->make(options->context, at->block, item);
        pthread_mutex_lock(&ahead->threads.lock);
        if (++at->made == at->count)
            pthread_cond_signal(&ahead->threads.done);
    }
    pthread_mutex_unlock(&ahead->threads.lock);
    return NULL;
}

pd_status pd_ahead_start(pd_ahead **out, const pd_ahead_options *options)
{
    pd_ahead *ahead;
    *out = NULL;
    pd_status status = pd_alloc(&ahead, 1, sizeof *ahead);
    if (status != PD_OK)
        return status;
    ahead->options = *options;
    for (int64_t block = 0; block < PD_AHEAD_PLACES; block++)
        open_place(ahead, block);
    PD_TRY(pd_threads_start(&ahead->threads, options->threads, run, ahead));
    *out = ahead;
    ahead = NULL;
cleanup:
    pd_ahead_stop(&ahead);
    return status;
}

void pd_ahead_next(pd_ahead *ahead)
{
    pthread_mutex_lock(&ahead->threads.lock);
    if (ahead->next > 0)
        open_place(ahead, ahead->next - 1 + PD_AHEAD_PLACES);
    pthread_cond_broadcast(&ahead->threads.work);
    const place *at = &ahead->places[ahead->next++ % PD_AHEAD_PLACES];
    while (at->made < at->count)
        pthread_cond_wait(&ahead->threads.done, &ahead->threads.lock);
    pthread_mutex_unlock(&ahead->threads.lock);
}

void pd_ahead_stop(pd_ahead **ahead)
{
    if (*ahead == NULL)
        return;
    pd_threads_stop(&(*ahead)->threads);
    free(*ahead);
    *ahead = NULL;
}
