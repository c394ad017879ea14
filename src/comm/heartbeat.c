#include "heartbeat.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double PERIOD = 0.2; /* seconds between two heartbeats, with few ranks */

enum {
    BEAT_TAG = 1,        /* a heartbeat; MPI_COMM_WORLD carries nothing else until the end */
    COUNT_TAG = 2,       /* how many heartbeats were sent, at the end */
    START_SECONDS = 300, /* limit for MPI_Init, which is slow on many hosts */
    ABORT_SECONDS = 3,   /* limit for MPI_Abort, which may block on a host that is down */
    EXIT_SECONDS = 10    /* limit for the launcher, after another rank has called MPI_Abort */
};

static const char *position_of(const pd_comm *comm)
{
    return comm->position[0] != '\0' ? comm->position : "start";
}

/* --- Ending all ranks --- */

static volatile sig_atomic_t exit_code;

static void exit_now(int signal_number)
{
    (void)signal_number;
    _exit(exit_code);
}

/* Makes this process exit after `seconds`, even if it blocks. */
static void schedule_exit(int code, unsigned seconds)
{
    struct sigaction action = {.sa_handler = exit_now};
    sigemptyset(&action.sa_mask);
    exit_code = code;
    sigaction(SIGALRM, &action, NULL);
    alarm(seconds);
}

static void send_beats(pd_heartbeat *heartbeat, bool ending);

/* Ends all ranks. The last heartbeat keeps the others from printing a message too. With the lock
 * held. */
static _Noreturn void end_all(pd_heartbeat *heartbeat, int code)
{
    schedule_exit(code, ABORT_SECONDS);
    fflush(NULL);
    send_beats(heartbeat, true);
    MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
}

_Noreturn void pd_heartbeat_abort(pd_heartbeat *heartbeat, int code)
{
    schedule_exit(code, ABORT_SECONDS);
    pd_heartbeat_lock(heartbeat);
    end_all(heartbeat, code);
}

_Noreturn void pd_heartbeat_fail(pd_heartbeat *heartbeat, const char *awaited)
{
    const pd_comm *comm = heartbeat->comm;
    schedule_exit(PD_FAILED, ABORT_SECONDS);
    pd_log_error("rank %d on %s: %s: waiting for %s: %s; check all hosts and the network, %s",
                 comm->rank, comm->host, position_of(comm), awaited, pd_error_message(),
                 pd_watch_advice);
    end_all(heartbeat, PD_FAILED);
}

/* --- Heartbeats; with the lock held --- */

static void send_beat(pd_heartbeat *heartbeat, int rank, pd_beat beat)
{
    int complete = 1;
    /* A rank that does not receive gets only one. */
    MPI_Test(&heartbeat->sends[rank], &complete, MPI_STATUS_IGNORE);
    if (!complete)
        return;
    heartbeat->beats[rank] = beat;
    MPI_Isend(&heartbeat->beats[rank], sizeof beat, MPI_BYTE, rank, BEAT_TAG, MPI_COMM_WORLD,
              &heartbeat->sends[rank]);
    heartbeat->sent[rank]++;
}

/* Rank 0 sends to all others, which send to rank 0. */
static void send_beats(pd_heartbeat *heartbeat, bool ending)
{
    int rank = heartbeat->comm->rank;
    pd_beat beat = {
        .completed = heartbeat->completed, .waiting = heartbeat->awaited != NULL, .ending = ending};
    if (!ending)
        pd_watch_receive(&heartbeat->watch, rank, beat);
    if (rank > 0)
        send_beat(heartbeat, 0, beat);
    for (int other = 1; other < heartbeat->comm->size && rank == 0; other++)
        send_beat(heartbeat, other, beat);
}

/* Receives a heartbeat; `source` may be MPI_ANY_SOURCE. Returns MPI's code. */
static int receive_beat(pd_heartbeat *heartbeat, int source)
{
    MPI_Status status;
    pd_beat beat;
    int code = MPI_Recv(&beat, sizeof beat, MPI_BYTE, source, BEAT_TAG, MPI_COMM_WORLD, &status);
    if (code == MPI_SUCCESS) {
        heartbeat->received[status.MPI_SOURCE]++;
        pd_watch_receive(&heartbeat->watch, status.MPI_SOURCE, beat);
    }
    return code;
}

static void receive_beats(pd_heartbeat *heartbeat)
{
    int found = 0;
    while (MPI_Iprobe(MPI_ANY_SOURCE, BEAT_TAG, MPI_COMM_WORLD, &found, MPI_STATUS_IGNORE) ==
               MPI_SUCCESS &&
           found && receive_beat(heartbeat, MPI_ANY_SOURCE) == MPI_SUCCESS) {
    }
}

void pd_heartbeat_poll(pd_heartbeat *heartbeat)
{
    pd_watch *watch = &heartbeat->watch;
    char text[2048];
    double now = pd_clock_now(), elapsed = now - heartbeat->sent_at;
    if (!heartbeat->has_thread || elapsed < heartbeat->period)
        return;
    pd_watch_elapse(watch, elapsed,
                    heartbeat->stop_requested != NULL && heartbeat->stop_requested());
    heartbeat->sent_at = now;
    atomic_fetch_add(&heartbeat->count, 1);
    send_beats(heartbeat, false);
    bool was_ending = watch->ending;
    receive_beats(heartbeat);
    if (watch->ending && !was_ending)
        schedule_exit(PD_FAILED, EXIT_SECONDS);

    pd_place place = {.position = heartbeat->comm->position, .awaited = heartbeat->awaited};
    pd_verdict verdict = pd_watch_judge(watch, place, text, sizeof text);
    if (verdict == PD_VERDICT_WARN)
        pd_log_warn("%s", text);
    if (verdict == PD_VERDICT_END) {
        schedule_exit(PD_FAILED, ABORT_SECONDS);
        pd_log_error("%s", text);
        end_all(heartbeat, PD_FAILED);
    }
}

/* --- Thread --- */

/* An MPI call has held the lock for `blocked` seconds: it may hang in a call that should return at
 * once, or while ranks join; after a lost connection it waits for the launcher to end all ranks.
 * *warned is whether this has warned already. */
static void judge_blocked_call(const pd_heartbeat *heartbeat, double blocked, bool *warned)
{
    const pd_comm *comm = heartbeat->comm;
    double limit = heartbeat->watch.seconds;
    bool expired = blocked >= limit;
    bool stopping = comm->rank == 0 && !*warned && blocked >= PD_WATCH_STOP_SECONDS &&
                    heartbeat->stop_requested != NULL && heartbeat->stop_requested();
    if (limit <= 0 || (!expired && !stopping))
        return;
    char rank[32] = "a rank"; /* MPI_Init assigns the number */
    if (comm->size > 0)
        snprintf(rank, sizeof rank, "rank %d", comm->rank);
    const char *position = position_of(comm);
    const char *awaited = heartbeat->awaited != NULL ? heartbeat->awaited : "other ranks";
    if (expired) {
        schedule_exit(PD_FAILED, ABORT_SECONDS);
        pd_log_error("%s on %s: %s: waiting for %s, and an MPI call has not returned for %.0f s; "
                     "check all hosts and the network, %s",
                     rank, comm->host, position, awaited, blocked, pd_watch_advice);
        _exit(PD_FAILED);
    }
    *warned = true;
    pd_log_warn("%s on %s: %s: received a termination signal while waiting for %s, and an MPI call "
                "does not return; another rank may have died: see the launcher's messages, %s",
                rank, comm->host, position, awaited, pd_watch_advice);
}

/* Sends heartbeats while this rank computes. While it waits it holds the lock and sends its own. */
static void *run_thread(void *context)
{
    pd_heartbeat *heartbeat = context;
    const double pause = PERIOD / 2;
    double blocked = 0;
    bool warned = false;
    unsigned count = 0;
    struct timespec wake;
    do {
        unsigned before = count;
        bool entered = pthread_mutex_trylock(&heartbeat->lock) == 0;
        if (entered) {
            pd_heartbeat_poll(heartbeat);
            pthread_mutex_unlock(&heartbeat->lock);
        }
        count = atomic_load(&heartbeat->count);
        blocked = entered || count != before ? 0 : blocked + pause;
        judge_blocked_call(heartbeat, blocked, &warned);
        clock_gettime(CLOCK_MONOTONIC, &wake);
        double next = (double)wake.tv_nsec * 1e-9 + pause;
        wake.tv_sec += (time_t)next;
        wake.tv_nsec = (long)((next - floor(next)) * 1e9);
    } while (sem_clockwait(&heartbeat->stop, CLOCK_MONOTONIC, &wake) != 0);
    return NULL;
}

static void stop_thread(pd_heartbeat *heartbeat)
{
    if (!heartbeat->has_thread)
        return;
    sem_post(&heartbeat->stop);
    pthread_join(heartbeat->thread, NULL);
    heartbeat->has_thread = false;
}

pd_status pd_heartbeat_start(pd_heartbeat *heartbeat, const pd_comm *comm)
{
    sigset_t all, before;
    heartbeat->comm = comm;
    heartbeat->watch.seconds = START_SECONDS;
    pthread_mutex_init(&heartbeat->lock, NULL);
    sem_init(&heartbeat->stop, 0, 0);
    pd_heartbeat_lock(heartbeat);
    /* The main thread handles signals, except the alarm that ends a blocked process. */
    sigfillset(&all);
    sigdelset(&all, SIGALRM);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = pthread_create(&heartbeat->thread, NULL, run_thread, heartbeat);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (problem != 0)
        return pd_fail("cannot start the watchdog thread: %s", strerror(problem));
    heartbeat->has_thread = true;
    return PD_OK;
}

pd_status pd_heartbeat_connect(pd_heartbeat *heartbeat, pd_host_name *hosts, int provided)
{
    pd_status status = PD_OK;
    const pd_comm *comm = heartbeat->comm;
    size_t size = (size_t)comm->size;
    heartbeat->hosts = hosts;
    PD_TRY(pd_watch_create(&heartbeat->watch, comm->rank, comm->size, hosts));
    PD_TRY(pd_alloc(&heartbeat->beats, size, sizeof *heartbeat->beats));
    PD_TRY(pd_alloc(&heartbeat->sends, size, sizeof *heartbeat->sends));
    PD_TRY(pd_alloc(&heartbeat->sent, size, sizeof *heartbeat->sent));
    PD_TRY(pd_alloc(&heartbeat->received, size, sizeof *heartbeat->received));
    for (size_t i = 0; i < size; i++)
        heartbeat->sends[i] = MPI_REQUEST_NULL;
    if (provided < MPI_THREAD_SERIALIZED && comm->rank == 0)
        pd_log_warn("the MPI library does not support MPI_THREAD_SERIALIZED, so the watchdog is "
                    "off: ranks that stop responding are not detected");
    if (provided < MPI_THREAD_SERIALIZED || comm->size == 1)
        stop_thread(heartbeat);
    /* Limits rank 0 to 2,000 heartbeats per second in each direction. */
    heartbeat->period = fmax(PERIOD, comm->size / 2000.0);
    heartbeat->sent_at = pd_clock_now();

cleanup:
    return status;
}

void pd_heartbeat_disconnect(pd_heartbeat *heartbeat)
{
    const int own = heartbeat->comm->rank;
    heartbeat->stop_requested = NULL; /* this rank is about to exit anyway */
    for (int rank = 0; rank < heartbeat->comm->size; rank++) {
        int due = 0;
        if ((rank == 0) == (own == 0)) /* heartbeats go from and to rank 0 only */
            continue;
        MPI_Sendrecv(&heartbeat->sent[rank], 1, MPI_INT, rank, COUNT_TAG, &due, 1, MPI_INT, rank,
                     COUNT_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        while (heartbeat->received[rank] < due && receive_beat(heartbeat, rank) == MPI_SUCCESS) {
        }
        MPI_Wait(&heartbeat->sends[rank], MPI_STATUS_IGNORE);
    }
}

void pd_heartbeat_release(pd_heartbeat *heartbeat)
{
    stop_thread(heartbeat);
    pthread_mutex_unlock(&heartbeat->lock);
    pthread_mutex_destroy(&heartbeat->lock);
    sem_destroy(&heartbeat->stop);
    pd_watch_release(&heartbeat->watch);
    free(heartbeat->hosts);
    free(heartbeat->beats);
    free(heartbeat->sends);
    free(heartbeat->sent);
    free(heartbeat->received);
}

void pd_heartbeat_lock(pd_heartbeat *heartbeat)
{
    pthread_mutex_lock(&heartbeat->lock);
}

void pd_heartbeat_unlock(pd_heartbeat *heartbeat)
{
    pthread_mutex_unlock(&heartbeat->lock);
}
