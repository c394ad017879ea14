#include "watchdog.h"

#include "pneumo/base/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char pd_watchdog_advice[] = "then run again (train: with --resume)";

/* Rank 1 reports a missing rank 0; the others do only if rank 1 does not. The rest of the limit is
 * for ending all ranks. */
static double patience(const pd_watchdog *watchdog)
{
    return (watchdog->rank <= 1 ? 0.6 : 0.9) * watchdog->seconds;
}

/* Likewise for an MPI call: rank 0 reports it first. The launcher then ends the others. */
static double patience_with_mpi(const pd_watchdog *watchdog)
{
    return (watchdog->rank == 0 ? 0.8 : watchdog->rank == 1 ? 0.9 : 1) * watchdog->seconds;
}

/* After a request to stop, a live rank has sent a heartbeat within this time. */
static double soon(const pd_watchdog *watchdog)
{
    return fmax(PD_WATCHDOG_STOP_SECONDS, 2.5 * watchdog->period);
}

void pd_watchdog_begin(pd_watchdog *watchdog, int rank, const char *host, double seconds)
{
    *watchdog = (pd_watchdog){.rank = rank, .host = host, .seconds = seconds};
}

pd_status pd_watchdog_join(pd_watchdog *watchdog, int rank, int size, const pd_host_name *hosts,
                           double period)
{
    *watchdog = (pd_watchdog){.rank = rank, .host = hosts[rank], .hosts = hosts, .period = period};
    pd_status status = pd_alloc(&watchdog->peers, (size_t)size, sizeof *watchdog->peers);
    if (status == PD_OK)
        watchdog->size = size;
    return status;
}

void pd_watchdog_release(pd_watchdog *watchdog)
{
    free(watchdog->peers);
    watchdog->peers = NULL;
}

void pd_watchdog_set_limit(pd_watchdog *watchdog, double seconds)
{
    watchdog->seconds = seconds > 0 ? fmax(seconds, 20 * watchdog->period) : 0;
}

void pd_watchdog_elapse(pd_watchdog *watchdog, double seconds, bool stop_requested, bool blocked)
{
    /* After a longer time this rank was stopped, and perhaps all ranks were: leave them time to
     * send a heartbeat. */
    watchdog->resumed = watchdog->resumed || seconds > 2 + 2 * watchdog->period;
    seconds = fmin(seconds, 1 + watchdog->period);
    for (int i = 0; i < watchdog->size; i++) {
        watchdog->peers[i].silent += seconds;
        watchdog->peers[i].stalled += seconds;
    }
    watchdog->stopping =
        stop_requested && watchdog->was_stopping ? watchdog->stopping + seconds : 0;
    watchdog->was_stopping = stop_requested;
    watchdog->blocked = blocked ? watchdog->blocked + seconds : 0;
}

void pd_watchdog_receive(pd_watchdog *watchdog, int rank, pd_beat beat)
{
    pd_peer *peer = &watchdog->peers[rank];
    if (rank == watchdog->rank && beat.completed != peer->beat.completed)
        watchdog->resumed = false;
    if (beat.completed != peer->beat.completed || beat.waiting != peer->beat.waiting)
        peer->stalled = 0;
    peer->silent = 0;
    peer->beat = beat;
    watchdog->ending = watchdog->ending || beat.ending;
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
static void append_place(line *to, const pd_watchdog *watchdog, pd_place place)
{
    if (watchdog->rank < 0)
        append(to, "a rank on %s: ", watchdog->host);
    else
        append(to, "rank %d on %s: ", watchdog->rank, watchdog->host);
    if (place.position[0] != '\0')
        append(to, "%s: ", place.position);
}

static const char *awaited_of(pd_place place)
{
    return place.awaited != NULL ? place.awaited : "other ranks";
}

/* --- Decisions --- */

/* This rank receives heartbeats of ranks [*first, *end). */
static void watched_ranks(const pd_watchdog *watchdog, int *first, int *end)
{
    *first = watchdog->rank == 0 ? 1 : 0;
    *end = watchdog->rank == 0 || watchdog->size == 0 ? watchdog->size : 1;
}

/* The number of ranks that have been silent for `seconds`; *longest is the longest silence. */
static int count_silent(const pd_watchdog *watchdog, double seconds, double *longest)
{
    int first, end, count = 0;
    *longest = 0;
    watched_ranks(watchdog, &first, &end);
    for (int i = first; i < end; i++) {
        count += watchdog->peers[i].silent >= seconds;
        *longest = fmax(*longest, watchdog->peers[i].silent);
    }
    return count;
}

/* "rank 2 on node2, rank 3 on node2 and 6 more" */
static void append_silent(line *to, const pd_watchdog *watchdog, double seconds, int count)
{
    enum { NAMED = 8 };
    int first, end, named = 0;
    watched_ranks(watchdog, &first, &end);
    for (int i = first; i < end && named < NAMED; i++)
        if (watchdog->peers[i].silent >= seconds)
            append(to, "%srank %d on %s", named++ == 0 ? "" : ", ", i, watchdog->hosts[i]);
    if (count > named)
        append(to, " and %d more", count - named);
}

static const char *silent_ranks(int count)
{
    return count == 1 ? "that rank, its host" : "those ranks, their hosts";
}

static bool find_silence(const pd_watchdog *watchdog, pd_place place, line *to)
{
    double longest;
    int count = count_silent(watchdog, patience(watchdog), &longest);
    if (count == 0)
        return false;
    append_place(to, watchdog, place);
    if (place.awaited != NULL)
        append(to, "waiting for %s, but ", place.awaited);
    append_silent(to, watchdog, patience(watchdog), count);
    append(to, " %s not responded for %.0f s; check %s and the network, %s",
           count == 1 ? "has" : "have", longest, silent_ranks(count), pd_watchdog_advice);
    return true;
}

/* Whether all ranks respond but have long been waiting. */
static bool find_deadlock(const pd_watchdog *watchdog, pd_place place, line *to)
{
    double shortest = (double)INFINITY;
    for (int i = 0; i < watchdog->size; i++) {
        if (!watchdog->peers[i].beat.waiting)
            return false;
        shortest = fmin(shortest, watchdog->peers[i].stalled);
    }
    if (watchdog->rank != 0 || watchdog->size == 0 || shortest < patience(watchdog))
        return false;
    append_place(to, watchdog, place);
    append(
        to,
        "waiting for %s, and all ranks have been waiting for %.0f s, although all respond; check "
        "that every host can reach every other, %s",
        awaited_of(place), shortest, pd_watchdog_advice);
    return true;
}

/* Whether this rank was asked to stop while others are silent: most likely the launcher is ending
 * all ranks because of them, and will soon kill this one. Rank 1 reports a silent rank 0. */
static bool find_death(pd_watchdog *watchdog, pd_place place, line *to)
{
    double longest;
    if (watchdog->size == 0 || watchdog->warned_of_death || watchdog->resumed ||
        watchdog->rank > 1 || place.awaited == NULL || watchdog->stopping < soon(watchdog) ||
        watchdog->peers[watchdog->rank].stalled < soon(watchdog))
        return false;
    int count = count_silent(watchdog, soon(watchdog), &longest);
    if (count == 0)
        return false;
    watchdog->warned_of_death = true;
    append_place(to, watchdog, place);
    append(to, "received a termination signal while waiting for %s, and ", place.awaited);
    append_silent(to, watchdog, soon(watchdog), count);
    append(to, " %s not respond; check %s and the network, %s", count == 1 ? "does" : "do",
           silent_ranks(count), pd_watchdog_advice);
    return true;
}

/* An MPI call does not return: it hangs, or ranks have not joined yet, or a connection was lost,
 * after which Open MPI waits for the launcher to end all ranks. */
static bool find_blocked_call(const pd_watchdog *watchdog, pd_place place, line *to)
{
    if (watchdog->blocked < patience_with_mpi(watchdog))
        return false;
    append_place(to, watchdog, place);
    append(to,
           "waiting for %s, and an MPI call has not returned for %.0f s; check all hosts and the "
           "network, %s",
           awaited_of(place), watchdog->blocked, pd_watchdog_advice);
    return true;
}

/* The same after a request to stop, where no rank is known to be silent. */
static bool find_blocked_stop(pd_watchdog *watchdog, pd_place place, line *to)
{
    if (watchdog->rank != 0 || watchdog->warned_of_death || watchdog->resumed ||
        fmin(watchdog->blocked, watchdog->stopping) < soon(watchdog))
        return false;
    watchdog->warned_of_death = true;
    append_place(to, watchdog, place);
    append(to,
           "received a termination signal while waiting for %s, and an MPI call does not return; "
           "another rank may have died: see the launcher's messages, %s",
           awaited_of(place), pd_watchdog_advice);
    return true;
}

/* A rank that responds is not ended, but others may wait for it indefinitely, for example if its
 * disk hangs. */
static bool find_delay(pd_watchdog *watchdog, pd_place place, line *to)
{
    int busy = -1;
    bool waiting = false;
    for (int i = 0; i < watchdog->size && watchdog->rank == 0; i++) {
        const pd_peer *peer = &watchdog->peers[i];
        if (peer->stalled < watchdog->seconds)
            continue;
        waiting = waiting || peer->beat.waiting;
        if (!peer->beat.waiting && busy < 0)
            busy = i;
    }
    bool found = busy >= 0 && waiting && place.position[0] != '\0' && !watchdog->warned_of_delay;
    watchdog->warned_of_delay = busy >= 0 && (found || watchdog->warned_of_delay);
    if (found)
        append(to,
               "%s: rank %d on %s has kept other ranks waiting for %.0f s; it still responds, so "
               "the run continues: check whether its disk, memory or CPU is overloaded",
               place.position, busy, watchdog->hosts[busy], watchdog->peers[busy].stalled);
    return found;
}

pd_verdict pd_watchdog_judge(pd_watchdog *watchdog, pd_place place, char *text, size_t size)
{
    line to = {.text = text, .size = size};
    if (watchdog->seconds <= 0 || watchdog->ending)
        return PD_VERDICT_WELL;
    if (find_silence(watchdog, place, &to) || find_deadlock(watchdog, place, &to) ||
        find_blocked_call(watchdog, place, &to)) {
        watchdog->ending = true;
        return PD_VERDICT_END;
    }
    if (find_death(watchdog, place, &to) || find_blocked_stop(watchdog, place, &to) ||
        find_delay(watchdog, place, &to))
        return PD_VERDICT_WARN;
    return PD_VERDICT_WELL;
}
