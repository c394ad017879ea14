#include "watch.h"

#include "pneumo/base/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char pd_watch_advice[] = "then run again (train: with --resume)";

/* Rank 1 reports a missing rank 0; the others do only if rank 1 does not. The rest of the limit is
 * for ending all ranks. */
static double patience(const pd_watch *watch)
{
    return (watch->rank <= 1 ? 0.6 : 0.9) * watch->seconds;
}

/* Likewise for an MPI call: rank 0 reports it first. The launcher then ends the others. */
static double patience_with_mpi(const pd_watch *watch)
{
    return (watch->rank == 0 ? 0.8 : watch->rank == 1 ? 0.9 : 1) * watch->seconds;
}

/* After a request to stop, a live rank has sent a heartbeat within this time. */
static double soon(const pd_watch *watch)
{
    return fmax(PD_WATCH_STOP_SECONDS, 2.5 * watch->period);
}

void pd_watch_begin(pd_watch *watch, int rank, const char *host, double seconds)
{
    *watch = (pd_watch){.rank = rank, .host = host, .seconds = seconds};
}

pd_status pd_watch_join(pd_watch *watch, int rank, int size, const pd_host_name *hosts,
                        double period)
{
    *watch = (pd_watch){
        .rank = rank, .host = hosts[rank], .size = size, .hosts = hosts, .period = period};
    return pd_alloc(&watch->peers, (size_t)size, sizeof *watch->peers);
}

void pd_watch_release(pd_watch *watch)
{
    free(watch->peers);
    watch->peers = NULL;
}

void pd_watch_set_limit(pd_watch *watch, double seconds)
{
    watch->seconds = seconds > 0 ? fmax(seconds, 20 * watch->period) : 0;
}

void pd_watch_elapse(pd_watch *watch, double seconds, bool stop_requested, bool blocked)
{
    /* After a longer time this rank was stopped, and perhaps all ranks were: leave them time to
     * send a heartbeat. */
    watch->resumed = watch->resumed || seconds > 2 + 2 * watch->period;
    seconds = fmin(seconds, 1 + watch->period);
    for (int i = 0; i < watch->size; i++) {
        watch->peers[i].silent += seconds;
        watch->peers[i].stalled += seconds;
    }
    watch->stopping = stop_requested && watch->was_stopping ? watch->stopping + seconds : 0;
    watch->was_stopping = stop_requested;
    watch->blocked = blocked ? watch->blocked + seconds : 0;
}

void pd_watch_receive(pd_watch *watch, int rank, pd_beat beat)
{
    pd_peer *peer = &watch->peers[rank];
    if (rank == watch->rank && beat.completed != peer->beat.completed)
        watch->resumed = false;
    if (beat.completed != peer->beat.completed || beat.waiting != peer->beat.waiting)
        peer->stalled = 0;
    peer->silent = 0;
    peer->beat = beat;
    watch->ending = watch->ending || beat.ending;
}

/* --- Messages --- */

typedef struct line {
    char *text;
    size_t size, used;
} line;

__attribute__((format(printf, 2, 3))) static void append(line *to, const char *format, ...)
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
static void append_place(line *to, const pd_watch *watch, pd_place place)
{
    if (watch->rank < 0)
        append(to, "a rank on %s: ", watch->host);
    else
        append(to, "rank %d on %s: ", watch->rank, watch->host);
    if (place.position[0] != '\0')
        append(to, "%s: ", place.position);
}

static const char *awaited_of(pd_place place)
{
    return place.awaited != NULL ? place.awaited : "other ranks";
}

/* --- Decisions --- */

/* This rank receives heartbeats of ranks [*first, *end). */
static void watched_ranks(const pd_watch *watch, int *first, int *end)
{
    *first = watch->rank == 0 ? 1 : 0;
    *end = watch->rank == 0 || watch->size == 0 ? watch->size : 1;
}

/* The number of ranks that have been silent for `seconds`; *longest is the longest silence. */
static int count_silent(const pd_watch *watch, double seconds, double *longest)
{
    int first, end, count = 0;
    *longest = 0;
    watched_ranks(watch, &first, &end);
    for (int i = first; i < end; i++) {
        count += watch->peers[i].silent >= seconds;
        *longest = fmax(*longest, watch->peers[i].silent);
    }
    return count;
}

/* "rank 2 on node2, rank 3 on node2 and 6 more" */
static void append_silent(line *to, const pd_watch *watch, double seconds, int count)
{
    enum { NAMED = 8 };
    int first, end, named = 0;
    watched_ranks(watch, &first, &end);
    for (int i = first; i < end && named < NAMED; i++)
        if (watch->peers[i].silent >= seconds)
            append(to, "%srank %d on %s", named++ == 0 ? "" : ", ", i, watch->hosts[i]);
    if (count > named)
        append(to, " and %d more", count - named);
}

static const char *silent_ranks(int count)
{
    return count == 1 ? "that rank, its host" : "those ranks, their hosts";
}

static bool find_silence(const pd_watch *watch, pd_place place, line *to)
{
    double longest;
    int count = count_silent(watch, patience(watch), &longest);
    if (count == 0)
        return false;
    append_place(to, watch, place);
    if (place.awaited != NULL)
        append(to, "waiting for %s, but ", place.awaited);
    append_silent(to, watch, patience(watch), count);
    append(to, " %s not responded for %.0f s; check %s and the network, %s",
           count == 1 ? "has" : "have", longest, silent_ranks(count), pd_watch_advice);
    return true;
}

/* Whether all ranks respond but have long been waiting. */
static bool find_deadlock(const pd_watch *watch, pd_place place, line *to)
{
    double shortest = (double)INFINITY;
    for (int i = 0; i < watch->size; i++) {
        if (!watch->peers[i].beat.waiting)
            return false;
        shortest = fmin(shortest, watch->peers[i].stalled);
    }
    if (watch->rank != 0 || watch->size == 0 || shortest < patience(watch))
        return false;
    append_place(to, watch, place);
    append(
        to,
        "waiting for %s, and all ranks have been waiting for %.0f s, although all respond; check "
        "that every host can reach every other, %s",
        awaited_of(place), shortest, pd_watch_advice);
    return true;
}

/* Whether this rank was asked to stop while others are silent: most likely the launcher is ending
 * all ranks because of them, and will soon kill this one. Rank 1 reports a silent rank 0. */
static bool find_death(pd_watch *watch, pd_place place, line *to)
{
    double longest;
    if (watch->size == 0 || watch->warned_of_death || watch->resumed || watch->rank > 1 ||
        place.awaited == NULL || watch->stopping < soon(watch) ||
        watch->peers[watch->rank].stalled < soon(watch))
        return false;
    int count = count_silent(watch, soon(watch), &longest);
    if (count == 0)
        return false;
    watch->warned_of_death = true;
    append_place(to, watch, place);
    append(to, "received a termination signal while waiting for %s, and ", place.awaited);
    append_silent(to, watch, soon(watch), count);
    append(to, " %s not respond; check %s and the network, %s", count == 1 ? "does" : "do",
           silent_ranks(count), pd_watch_advice);
    return true;
}

/* An MPI call does not return: it hangs, or ranks have not joined yet, or a connection was lost,
 * after which Open MPI waits for the launcher to end all ranks. */
static bool find_blocked_call(const pd_watch *watch, pd_place place, line *to)
{
    if (watch->blocked < patience_with_mpi(watch))
        return false;
    append_place(to, watch, place);
    append(to,
           "waiting for %s, and an MPI call has not returned for %.0f s; check all hosts and the "
           "network, %s",
           awaited_of(place), watch->blocked, pd_watch_advice);
    return true;
}

/* The same after a request to stop, where no rank is known to be silent. */
static bool find_blocked_stop(pd_watch *watch, pd_place place, line *to)
{
    if (watch->rank != 0 || watch->warned_of_death || watch->resumed ||
        fmin(watch->blocked, watch->stopping) < soon(watch))
        return false;
    watch->warned_of_death = true;
    append_place(to, watch, place);
    append(to,
           "received a termination signal while waiting for %s, and an MPI call does not return; "
           "another rank may have died: see the launcher's messages, %s",
           awaited_of(place), pd_watch_advice);
    return true;
}

/* A rank that responds is not ended, but others may wait for it indefinitely, for example if its
 * disk hangs. */
static bool find_delay(pd_watch *watch, pd_place place, line *to)
{
    int busy = -1;
    bool waiting = false;
    for (int i = 0; i < watch->size && watch->rank == 0; i++) {
        const pd_peer *peer = &watch->peers[i];
        if (peer->stalled < watch->seconds)
            continue;
        waiting = waiting || peer->beat.waiting;
        if (!peer->beat.waiting && busy < 0)
            busy = i;
    }
    bool found = busy >= 0 && waiting && place.position[0] != '\0' && !watch->warned_of_delay;
    watch->warned_of_delay = busy >= 0 && (found || watch->warned_of_delay);
    if (found)
        append(to,
               "%s: rank %d on %s has kept other ranks waiting for %.0f s; it still responds, so "
               "the run continues: check whether its disk, memory or CPU is overloaded",
               place.position, busy, watch->hosts[busy], watch->peers[busy].stalled);
    return found;
}

pd_verdict pd_watch_judge(pd_watch *watch, pd_place place, char *text, size_t size)
{
    line to = {.text = text, .size = size};
    if (watch->seconds <= 0 || watch->ending)
        return PD_VERDICT_WELL;
    if (find_silence(watch, place, &to) || find_deadlock(watch, place, &to) ||
        find_blocked_call(watch, place, &to)) {
        watch->ending = true;
        return PD_VERDICT_END;
    }
    if (find_death(watch, place, &to) || find_blocked_stop(watch, place, &to) ||
        find_delay(watch, place, &to))
        return PD_VERDICT_WARN;
    return PD_VERDICT_WELL;
}
