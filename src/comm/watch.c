#include "pneumo/comm/watch.h"

#include "pneumo/base/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char pd_watch_again[] = "then run it again (train: with --resume)";

/* Time for silence, the rest being for the end itself. Rank 1 speaks for all when rank 0 is silent;
 * the others only if it does not. */
static double patience(const pd_watch *watch)
{
    return (watch->rank <= 1 ? 0.6 : 0.9) * watch->seconds;
}

pd_status pd_watch_create(pd_watch *watch, int rank, int size, const pd_host_name *hosts)
{
    *watch = (pd_watch){.rank = rank, .size = size, .hosts = hosts};
    return pd_alloc(&watch->peers, (size_t)size, sizeof(*watch->peers));
}

void pd_watch_release(pd_watch *watch)
{
    free(watch->peers);
    watch->peers = NULL;
}

void pd_watch_pass(pd_watch *watch, double seconds, bool told)
{
    /* After a longer time the others get a chance to be heard before they are judged: this rank was
     * stopped, perhaps all of them were. */
    seconds = fmin(seconds, 1.0);
    for (int i = 0; i < watch->size; i++) {
        watch->peers[i].silent += seconds;
        watch->peers[i].standing += seconds;
    }
    watch->told = told && watch->was_told ? watch->told + seconds : 0;
    watch->was_told = told;
}

void pd_watch_hear(pd_watch *watch, int rank, pd_beat beat)
{
    pd_peer *peer = &watch->peers[rank];
    if (beat.moves != peer->beat.moves || beat.waiting != peer->beat.waiting)
        peer->standing = 0;
    peer->silent = 0;
    peer->beat = beat;
    watch->ending = watch->ending || beat.ending;
}

/* --- Words --- */

typedef struct line {
    char *text;
    size_t size, used;
} line;

__attribute__((format(printf, 2, 3))) static void say(line *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(to->text + to->used, to->size - to->used, format, arguments);
    va_end(arguments);
    if (length > 0)
        to->used += (size_t)length;
    if (to->used > to->size - 1)
        to->used = to->size - 1;
}

/* "rank 0 on node1: epoch 2, step 17: " */
static void say_place(line *to, const pd_watch *watch, pd_place place)
{
    say(to, "rank %d on %s: ", watch->rank, watch->hosts[watch->rank]);
    if (place.at[0] != '\0')
        say(to, "%s: ", place.at);
}

/* --- Judgement --- */

/* Others that this rank listens to are [*first, *end). */
static void heard_ranks(const pd_watch *watch, int *first, int *end)
{
    *first = watch->rank == 0 ? 1 : 0;
    *end = watch->rank == 0 ? watch->size : 1;
}

/* How many have been silent for `seconds`; *longest is the longest such silence. */
static int count_silent(const pd_watch *watch, double seconds, double *longest)
{
    int first, end, count = 0;
    *longest = 0;
    heard_ranks(watch, &first, &end);
    for (int i = first; i < end; i++) {
        count += watch->peers[i].silent >= seconds;
        *longest = fmax(*longest, watch->peers[i].silent);
    }
    return count;
}

/* "rank 2 on node2, rank 3 on node2 and 6 more" */
static void say_silent(line *to, const pd_watch *watch, double seconds, int count)
{
    enum { NAMED = 8 };
    int first, end, said = 0;
    heard_ranks(watch, &first, &end);
    for (int i = first; i < end && said < NAMED; i++)
        if (watch->peers[i].silent >= seconds)
            say(to, "%srank %d on %s", said++ == 0 ? "" : ", ", i, watch->hosts[i]);
    if (count > said)
        say(to, " and %d more", count - said);
}

static bool find_silence(const pd_watch *watch, pd_place place, line *to)
{
    double longest;
    int count = count_silent(watch, patience(watch), &longest);
    if (count == 0)
        return false;
    say_place(to, watch, place);
    if (place.awaits != NULL)
        say(to, "waits for %s, but ", place.awaits);
    say_silent(to, watch, patience(watch), count);
    say(to, " %s not answered for %.0f s: see what became of it, its host and the network, %s",
        count == 1 ? "has" : "have", longest, pd_watch_again);
    return true;
}

/* Whether every rank waits, and has waited for long, though all answer. */
static bool find_standstill(const pd_watch *watch, pd_place place, line *to)
{
    double shortest = INFINITY;
    for (int i = 0; i < watch->size; i++) {
        if (!watch->peers[i].beat.waiting)
            return false;
        shortest = fmin(shortest, watch->peers[i].standing);
    }
    if (watch->rank != 0 || shortest < patience(watch))
        return false;
    say_place(to, watch, place);
    say(to,
        "waits for %s, and all ranks have waited for %.0f s, though all answer: see whether every "
        "host reaches every other, %s",
        place.awaits == NULL ? "others" : place.awaits, shortest, pd_watch_again);
    return true;
}

/* Told to end, and others are silent: most likely because of them, and there is little time left to
 * say so. Rank 1 speaks if rank 0 is silent. */
static bool find_death(pd_watch *watch, pd_place place, line *to)
{
    double longest;
    if (watch->warned_of_end || watch->rank > 1 || place.awaits == NULL ||
        watch->told < PD_WATCH_TOLD_SECONDS ||
        watch->peers[watch->rank].standing < PD_WATCH_TOLD_SECONDS)
        return false;
    int count = count_silent(watch, PD_WATCH_TOLD_SECONDS, &longest);
    if (count == 0)
        return false;
    watch->warned_of_end = true;
    say_place(to, watch, place);
    say(to, "was told to end while it waits for %s, and ", place.awaits);
    say_silent(to, watch, PD_WATCH_TOLD_SECONDS, count);
    say(to, " %s not answer: see what became of it, %s", count == 1 ? "does" : "do",
        pd_watch_again);
    return true;
}

/* A rank that is alive and busy is left to its work, but others may wait for it in vain, such as
 * when its disk hangs. */
static bool find_work(pd_watch *watch, pd_place place, line *to)
{
    int busy = -1;
    bool waiting = false;
    for (int i = 0; i < watch->size && watch->rank == 0; i++) {
        const pd_peer *peer = &watch->peers[i];
        if (peer->standing < watch->seconds)
            continue;
        waiting = waiting || peer->beat.waiting;
        if (!peer->beat.waiting && busy < 0)
            busy = i;
    }
    bool found = busy >= 0 && waiting && place.at[0] != '\0' && !watch->warned_of_work;
    watch->warned_of_work = busy >= 0 && (found || watch->warned_of_work);
    if (found)
        say(to,
            "%s: rank %d on %s has kept others waiting for %.0f s; it answers, so it is left to "
            "its work: see whether its disk, memory or processor is overloaded",
            place.at, busy, watch->hosts[busy], watch->peers[busy].standing);
    return found;
}

pd_verdict pd_watch_judge(pd_watch *watch, pd_place place, char *text, size_t size)
{
    line to = {.text = text, .size = size};
    if (watch->seconds <= 0 || watch->ending)
        return PD_VERDICT_WELL;
    if (find_silence(watch, place, &to) || find_standstill(watch, place, &to))
        return PD_VERDICT_END;
    if (find_death(watch, place, &to) || find_work(watch, place, &to))
        return PD_VERDICT_WARN;
    return PD_VERDICT_WELL;
}
