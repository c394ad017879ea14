#include "heartbeat.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/comm/launcher.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double PERIOD = 0.2; /* seconds between two heartbeats, with few ranks */

enum {
    BEAT_TAG = 1,            /* a heartbeat; MPI_COMM_WORLD carries nothing else until the end */
    COUNT_TAG = 2,           /* how many heartbeats were sent, at the end */
    DATAGRAMS_PER_RANK = 64, /* to be received at once: those of 13 seconds */
    START_SECONDS = 300,     /* limit for MPI_Init, which is slow on many hosts */
    ABORT_SECONDS = 3,       /* limit for MPI_Abort, which may block on a host that is down */
    EXIT_SECONDS = 10        /* limit for the launcher, after another rank has called MPI_Abort */
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

static void send_datagrams(pd_heartbeat *heartbeat, bool ending);
static void send_messages(pd_heartbeat *heartbeat, bool ending);

/* Ends all ranks. The last heartbeat keeps the others from printing a message too. With the lock
 * held. */
static _Noreturn void end_all(pd_heartbeat *heartbeat, int code)
{
    schedule_exit(code, ABORT_SECONDS);
    fflush(NULL);
    send_datagrams(heartbeat, true);
    send_messages(heartbeat, true);
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

/* --- Heartbeats --- */

static pd_beat own_beat(const pd_heartbeat *heartbeat, bool ending)
{
    return (pd_beat){.completed = atomic_load(&heartbeat->completed),
                     .waiting = atomic_load(&heartbeat->awaited) != NULL,
                     .ending = ending};
}

static void send_datagrams(pd_heartbeat *heartbeat, bool ending)
{
    pthread_mutex_lock(&heartbeat->watch_lock);
    pd_datagram_send(&heartbeat->datagram, own_beat(heartbeat, ending));
    pthread_mutex_unlock(&heartbeat->watch_lock);
}

/* With the lock held. */
static void send_message(pd_heartbeat *heartbeat, int rank, pd_beat beat)
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

/* Rank 0 sends to all others, which send to rank 0. With the lock held. */
static void send_messages(pd_heartbeat *heartbeat, bool ending)
{
    pd_beat beat = own_beat(heartbeat, ending);
    if (heartbeat->comm->rank > 0)
        send_message(heartbeat, 0, beat);
    for (int other = 1; other < heartbeat->comm->size && heartbeat->comm->rank == 0; other++)
        send_message(heartbeat, other, beat);
}

/* Receives a heartbeat over MPI; `source` may be MPI_ANY_SOURCE. Returns MPI's code. With the lock
 * held. */
static int receive_message(pd_heartbeat *heartbeat, int source)
{
    MPI_Status status;
    pd_beat beat;
    int code = MPI_Recv(&beat, sizeof beat, MPI_BYTE, source, BEAT_TAG, MPI_COMM_WORLD, &status);
    if (code == MPI_SUCCESS) {
        heartbeat->received[status.MPI_SOURCE]++;
        pthread_mutex_lock(&heartbeat->watch_lock);
        pd_watch_receive(&heartbeat->watch, status.MPI_SOURCE, beat);
        pthread_mutex_unlock(&heartbeat->watch_lock);
    }
    return code;
}

/* With the lock held. */
static void receive_messages(pd_heartbeat *heartbeat)
{
    int found = 0;
    while (MPI_Iprobe(MPI_ANY_SOURCE, BEAT_TAG, MPI_COMM_WORLD, &found, MPI_STATUS_IGNORE) ==
               MPI_SUCCESS &&
           found && receive_message(heartbeat, MPI_ANY_SOURCE) == MPI_SUCCESS) {
    }
}

/* Whether heartbeats are due; if so, sends and receives datagrams. With the watch lock held. */
static bool exchange_datagrams(pd_heartbeat *heartbeat, double wait)
{
    pd_watch *watch = &heartbeat->watch;
    double now = pd_clock_now(), elapsed = now - heartbeat->sent_at;
    if (!heartbeat->connected || elapsed < wait)
        return false;
    heartbeat->sent_at = now;
    pd_watch_elapse(watch, elapsed,
                    heartbeat->stop_requested != NULL && heartbeat->stop_requested());
    pd_watch_receive(watch, heartbeat->comm->rank, own_beat(heartbeat, false));
    pd_datagram_send(&heartbeat->datagram, own_beat(heartbeat, false));
    /* Not more, so that a flood of datagrams does not hold up this rank. */
    int rank;
    pd_beat beat;
    for (int i = 0; i < DATAGRAMS_PER_RANK * heartbeat->comm->size &&
                    pd_datagram_receive(&heartbeat->datagram, &rank, &beat);
         i++)
        pd_watch_receive(watch, rank, beat);
    return true;
}

/* Exchanges heartbeats if they are due; ends all ranks if one is missing. `entered`: with the lock
 * held; without it there are datagrams only. */
static void exchange(pd_heartbeat *heartbeat, bool entered)
{
    pd_watch *watch = &heartbeat->watch;
    char text[2048];
    pthread_mutex_lock(&heartbeat->watch_lock);
    bool was_ending = watch->ending;
    /* The main thread, which holds the lock while it waits, is the first to find them due. */
    bool due = exchange_datagrams(heartbeat, (entered ? 1 : 1.5) * heartbeat->period);
    pthread_mutex_unlock(&heartbeat->watch_lock);
    if (!due)
        return;
    if (entered) {
        atomic_fetch_add(&heartbeat->count, 1);
        send_messages(heartbeat, false);
        receive_messages(heartbeat);
    }

    pthread_mutex_lock(&heartbeat->watch_lock);
    if (watch->ending && !was_ending)
        schedule_exit(PD_FAILED, EXIT_SECONDS);
    pd_place place = {.position = heartbeat->comm->position,
                      .awaited = atomic_load(&heartbeat->awaited)};
    pd_verdict verdict = pd_watch_judge(watch, place, text, sizeof text);
    pthread_mutex_unlock(&heartbeat->watch_lock);
    if (verdict == PD_VERDICT_WARN)
        pd_log_warn("%s", text);
    if (verdict != PD_VERDICT_END)
        return;
    schedule_exit(PD_FAILED, ABORT_SECONDS);
    pd_log_error("%s", text);
    if (entered)
        end_all(heartbeat, PD_FAILED);
    send_datagrams(heartbeat, true);
    _exit(PD_FAILED);
}

void pd_heartbeat_poll(pd_heartbeat *heartbeat)
{
    exchange(heartbeat, true);
}

/* --- Thread --- */

/* The number of this rank, as the launcher states it until MPI_Init has returned; -1 if it does
 * not. */
static int rank_of(const pd_comm *comm)
{
    return comm->size > 0 ? comm->rank : pd_launcher_rank();
}

/* An MPI call has held the lock for `blocked` seconds: it may hang in a call that should return at
 * once, or while ranks join; after a lost connection it waits for the launcher to end all ranks.
 * The watch says which rank is missing, but not before ranks have joined, nor where datagrams do
 * not arrive. *warned is whether this has warned already. With the watch lock held. */
static void judge_blocked_call(const pd_heartbeat *heartbeat, double blocked, bool *warned)
{
    const pd_comm *comm = heartbeat->comm;
    const pd_watch *watch = &heartbeat->watch;
    int rank = rank_of(comm);
    /* Rank 0 reports it first, then rank 1; the launcher then ends the others. */
    double limit = watch->seconds * (rank == 0 ? 0.8 : rank == 1 ? 0.9 : 1);
    bool expired = blocked >= limit;
    bool stopping = rank == 0 && !*warned && !watch->warned_of_death && !watch->resumed &&
                    fmin(blocked, watch->stopping) >= PD_WATCH_STOP_SECONDS;
    if (limit <= 0 || watch->ending || (!expired && !stopping))
        return;
    char name[32] = "a rank";
    if (rank >= 0)
        snprintf(name, sizeof name, "rank %d", rank);
    const char *position = position_of(comm), *awaited = atomic_load(&heartbeat->awaited);
    if (awaited == NULL)
        awaited = "other ranks";
    if (expired) {
        schedule_exit(PD_FAILED, ABORT_SECONDS);
        pd_log_error("%s on %s: %s: waiting for %s, and an MPI call has not returned for %.0f s; "
                     "check all hosts and the network, %s",
                     name, comm->host, position, awaited, blocked, pd_watch_advice);
        _exit(PD_FAILED);
    }
    *warned = true;
    pd_log_warn("%s on %s: %s: received a termination signal while waiting for %s, and an MPI call "
                "does not return; another rank may have died: see the launcher's messages, %s",
                name, comm->host, position, awaited, pd_watch_advice);
}

/* Sends heartbeats while this rank computes, and datagrams while an MPI call blocks. While this
 * rank waits it holds the lock and sends its own. */
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
        exchange(heartbeat, entered);
        if (entered)
            pthread_mutex_unlock(&heartbeat->lock);
        count = atomic_load(&heartbeat->count);
        blocked = entered || count != before ? 0 : blocked + pause;
        pthread_mutex_lock(&heartbeat->watch_lock);
        judge_blocked_call(heartbeat, blocked, &warned);
        pthread_mutex_unlock(&heartbeat->watch_lock);
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
    pthread_mutex_init(&heartbeat->watch_lock, NULL);
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
    pd_datagram *datagram = &heartbeat->datagram;
    heartbeat->hosts = hosts;
    PD_TRY(pd_alloc(&heartbeat->beats, size, sizeof *heartbeat->beats));
    PD_TRY(pd_alloc(&heartbeat->sends, size, sizeof *heartbeat->sends));
    PD_TRY(pd_alloc(&heartbeat->sent, size, sizeof *heartbeat->sent));
    PD_TRY(pd_alloc(&heartbeat->received, size, sizeof *heartbeat->received));
    for (size_t i = 0; i < size; i++)
        heartbeat->sends[i] = MPI_REQUEST_NULL;
    PD_TRY(pd_datagram_open(datagram, comm->rank, comm->size));
    if (MPI_Bcast(&datagram->hub, sizeof datagram->hub, MPI_BYTE, 0, MPI_COMM_WORLD) !=
        MPI_SUCCESS) {
        status = pd_fail("MPI_Bcast failed");
        goto cleanup;
    }
    if (provided < MPI_THREAD_SERIALIZED && comm->rank == 0)
        pd_log_warn("the MPI library does not support MPI_THREAD_SERIALIZED, so the watchdog is "
                    "off: ranks that stop responding are not detected");
    if (provided < MPI_THREAD_SERIALIZED || comm->size == 1)
        stop_thread(heartbeat);
    pthread_mutex_lock(&heartbeat->watch_lock);
    status = pd_watch_create(&heartbeat->watch, comm->rank, comm->size, hosts);
    /* Limits rank 0 to 2,000 heartbeats per second in each direction. */
    heartbeat->period = fmax(PERIOD, comm->size / 2000.0);
    heartbeat->sent_at = pd_clock_now();
    heartbeat->connected = status == PD_OK && heartbeat->has_thread;
    pthread_mutex_unlock(&heartbeat->watch_lock);

cleanup:
    return status;
}

void pd_heartbeat_disconnect(pd_heartbeat *heartbeat)
{
    const int own = heartbeat->comm->rank;
    pthread_mutex_lock(&heartbeat->watch_lock);
    heartbeat->connected = false;
    pthread_mutex_unlock(&heartbeat->watch_lock);
    for (int rank = 0; rank < heartbeat->comm->size; rank++) {
        int due = 0;
        if ((rank == 0) == (own == 0)) /* heartbeats go from and to rank 0 only */
            continue;
        MPI_Sendrecv(&heartbeat->sent[rank], 1, MPI_INT, rank, COUNT_TAG, &due, 1, MPI_INT, rank,
                     COUNT_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        while (heartbeat->received[rank] < due && receive_message(heartbeat, rank) == MPI_SUCCESS) {
        }
        MPI_Wait(&heartbeat->sends[rank], MPI_STATUS_IGNORE);
    }
}

void pd_heartbeat_release(pd_heartbeat *heartbeat)
{
    stop_thread(heartbeat);
    pthread_mutex_unlock(&heartbeat->lock);
    pthread_mutex_destroy(&heartbeat->lock);
    pthread_mutex_destroy(&heartbeat->watch_lock);
    sem_destroy(&heartbeat->stop);
    pd_datagram_close(&heartbeat->datagram);
    pd_watch_release(&heartbeat->watch);
    free(heartbeat->hosts);
    free(heartbeat->beats);
    free(heartbeat->sends);
    free(heartbeat->sent);
    free(heartbeat->received);
}

void pd_heartbeat_set_limit(pd_heartbeat *heartbeat, double seconds, bool (*stop_requested)(void))
{
    pthread_mutex_lock(&heartbeat->watch_lock);
    heartbeat->watch.seconds = heartbeat->has_thread ? seconds : 0;
    heartbeat->stop_requested = stop_requested;
    pthread_mutex_unlock(&heartbeat->watch_lock);
}

void pd_heartbeat_set_position(pd_heartbeat *heartbeat, pd_comm *comm, const char *position)
{
    pthread_mutex_lock(&heartbeat->watch_lock);
    snprintf(comm->position, sizeof comm->position, "%s", position);
    pthread_mutex_unlock(&heartbeat->watch_lock);
}

void pd_heartbeat_lock(pd_heartbeat *heartbeat)
{
    pthread_mutex_lock(&heartbeat->lock);
}

void pd_heartbeat_unlock(pd_heartbeat *heartbeat)
{
    pthread_mutex_unlock(&heartbeat->lock);
}
