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
    DATAGRAMS_PER_RANK = 64, /* to be received at once */
    START_SECONDS = 300,     /* limit for MPI_Init, which is slow on many hosts */
    ABORT_SECONDS = 3,       /* limit for MPI_Abort, which may block on a host that is down */
    EXIT_SECONDS = 10        /* limit for the launcher, after another rank has called MPI_Abort */
};

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

static pd_beat own_beat(const pd_heartbeat *heartbeat, bool ending);
static void send_messages(pd_heartbeat *heartbeat, bool ending);

/* Sends a last heartbeat, so that the other ranks print no message, and stops this rank's watchdog
 * from printing one. */
static void announce_end(pd_heartbeat *heartbeat)
{
    pthread_mutex_lock(&heartbeat->watchdog_lock);
    heartbeat->watchdog.ending = true;
    pd_datagram_send(&heartbeat->datagram, own_beat(heartbeat, true));
    pthread_mutex_unlock(&heartbeat->watchdog_lock);
}

/* Ends all ranks. With the lock held. */
static _Noreturn void end_all(pd_heartbeat *heartbeat, int code)
{
    schedule_exit(code, ABORT_SECONDS);
    fflush(NULL);
    announce_end(heartbeat);
    if (heartbeat->beats != NULL)
        send_messages(heartbeat, true);
    MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
}

_Noreturn void pd_heartbeat_abort(pd_heartbeat *heartbeat, int code)
{
    schedule_exit(code, ABORT_SECONDS);
    announce_end(heartbeat);
    pd_heartbeat_lock(heartbeat);
    end_all(heartbeat, code);
}

_Noreturn void pd_heartbeat_fail(pd_heartbeat *heartbeat, const char *awaited)
{
    const pd_comm *comm = heartbeat->comm;
    schedule_exit(PD_FAILED, ABORT_SECONDS);
    announce_end(heartbeat);
    pd_log_error("rank %d on %s: %s: waiting for %s: %s; check all hosts and the network, %s",
                 comm->rank, comm->host, comm->position[0] != '\0' ? comm->position : "start",
                 awaited, pd_error_message(), pd_watchdog_advice);
    end_all(heartbeat, PD_FAILED);
}

/* --- Heartbeats over MPI; with the lock held --- */

static pd_beat own_beat(const pd_heartbeat *heartbeat, bool ending)
{
    return (pd_beat){.completed = atomic_load(&heartbeat->completed),
                     .waiting = atomic_load(&heartbeat->awaited) != NULL,
                     .ending = ending};
}

static void send_message(pd_heartbeat *heartbeat, int rank, pd_beat beat)
{
    int complete = 1;
    /* Skipped while the one before is not sent, so that none pile up at a rank that does not
     * receive. */
    MPI_Test(&heartbeat->sends[rank], &complete, MPI_STATUS_IGNORE);
    if (!complete)
        return;
    heartbeat->beats[rank] = beat;
    MPI_Isend(&heartbeat->beats[rank], sizeof beat, MPI_BYTE, rank, BEAT_TAG, MPI_COMM_WORLD,
              &heartbeat->sends[rank]);
    heartbeat->sent[rank]++;
}

/* Rank 0 sends to all others, which send to rank 0. */
static void send_messages(pd_heartbeat *heartbeat, bool ending)
{
    pd_beat beat = own_beat(heartbeat, ending);
    if (heartbeat->comm->rank > 0)
        send_message(heartbeat, 0, beat);
    for (int other = 1; other < heartbeat->comm->size && heartbeat->comm->rank == 0; other++)
        send_message(heartbeat, other, beat);
}

/* Receives a heartbeat; `source` may be MPI_ANY_SOURCE. Returns MPI's code. */
static int receive_message(pd_heartbeat *heartbeat, int source)
{
    MPI_Status status;
    pd_beat beat;
    int code = MPI_Recv(&beat, sizeof beat, MPI_BYTE, source, BEAT_TAG, MPI_COMM_WORLD, &status);
    if (code == MPI_SUCCESS) {
        heartbeat->received[status.MPI_SOURCE]++;
        pthread_mutex_lock(&heartbeat->watchdog_lock);
        pd_watchdog_receive(&heartbeat->watchdog, status.MPI_SOURCE, beat);
        pthread_mutex_unlock(&heartbeat->watchdog_lock);
    }
    return code;
}

static void receive_messages(pd_heartbeat *heartbeat)
{
    int found = 0;
    while (MPI_Iprobe(MPI_ANY_SOURCE, BEAT_TAG, MPI_COMM_WORLD, &found, MPI_STATUS_IGNORE) ==
               MPI_SUCCESS &&
           found && receive_message(heartbeat, MPI_ANY_SOURCE) == MPI_SUCCESS) {
    }
}

void pd_heartbeat_poll(pd_heartbeat *heartbeat)
{
    double now = pd_clock_now();
    int code = atomic_load(&heartbeat->ending);
    if (code != 0)
        end_all(heartbeat, code);
    if (!atomic_load(&heartbeat->connected) || now - heartbeat->messages_at < heartbeat->period)
        return;
    heartbeat->messages_at = now;
    send_messages(heartbeat, false);
    receive_messages(heartbeat);
    atomic_fetch_add(&heartbeat->rounds, 1);
}

/* --- Threads --- */

/* Waits a little. Returns false once the thread should end. */
static bool pause_thread(pd_heartbeat *heartbeat)
{
    struct timespec wake;
    clock_gettime(CLOCK_MONOTONIC, &wake);
    double next = (double)wake.tv_nsec * 1e-9 + PERIOD / 2;
    wake.tv_sec += (time_t)next;
    wake.tv_nsec = (long)((next - floor(next)) * 1e9);
    return sem_clockwait(&heartbeat->stop, CLOCK_MONOTONIC, &wake) != 0;
}

/* Sends and receives while this rank computes. While it waits it has the lock, and does so itself.
 */
static void *run_messenger(void *context)
{
    pd_heartbeat *heartbeat = context;
    do {
        if (pthread_mutex_trylock(&heartbeat->lock) != 0)
            continue;
        pd_heartbeat_poll(heartbeat);
        pthread_mutex_unlock(&heartbeat->lock);
    } while (pause_thread(heartbeat));
    return NULL;
}

static void exchange_datagrams(pd_heartbeat *heartbeat, double *sent_at)
{
    double now = pd_clock_now();
    int rank;
    pd_beat beat;
    if (!atomic_load(&heartbeat->connected))
        return;
    /* Bounded, so that a flood of datagrams cannot stall this thread. */
    for (int i = 0; i < DATAGRAMS_PER_RANK * heartbeat->comm->size &&
                    pd_datagram_receive(&heartbeat->datagram, &rank, &beat);
         i++)
        pd_watchdog_receive(&heartbeat->watchdog, rank, beat);
    if (now - *sent_at < heartbeat->period)
        return;
    *sent_at = now;
    pd_datagram_send(&heartbeat->datagram, own_beat(heartbeat, false));
}

/* Ends all ranks by MPI_Abort if MPI calls return, else only this one, upon which the launcher ends
 * the others. */
static void give_up(pd_heartbeat *heartbeat)
{
    pthread_mutex_lock(&heartbeat->watchdog_lock);
    pd_datagram_send(&heartbeat->datagram, own_beat(heartbeat, true));
    pthread_mutex_unlock(&heartbeat->watchdog_lock);
    atomic_store(&heartbeat->ending, PD_FAILED);
}

/* Adds what has happened in `elapsed` seconds to the watchdog, and judges. With the watchdog lock
 * held.
 */
static pd_verdict look(pd_heartbeat *heartbeat, double elapsed, bool blocked, char *text,
                       size_t size)
{
    pd_watchdog *watchdog = &heartbeat->watchdog;
    bool was_ending = watchdog->ending;
    pd_watchdog_elapse(watchdog, elapsed,
                       heartbeat->stop_requested != NULL && heartbeat->stop_requested(), blocked);
    if (atomic_load(&heartbeat->connected))
        pd_watchdog_receive(watchdog, watchdog->rank, own_beat(heartbeat, false));
    if (watchdog->ending && !was_ending)
        schedule_exit(PD_FAILED, EXIT_SECONDS);
    const char *position = heartbeat->comm->position;
    return pd_watchdog_judge(watchdog,
                             (pd_place){.position = watchdog->size == 0 ? "start" : position,
                                        .awaited = atomic_load(&heartbeat->awaited)},
                             text, size);
}

static void *run_watchman(void *context)
{
    pd_heartbeat *heartbeat = context;
    char text[2048];
    double sent_at = 0, before = pd_clock_now(), round_at = before;
    unsigned rounds = 0;
    do {
        double now = pd_clock_now();
        if (rounds != atomic_load(&heartbeat->rounds))
            round_at = now;
        rounds = atomic_load(&heartbeat->rounds);
        pthread_mutex_lock(&heartbeat->watchdog_lock);
        exchange_datagrams(heartbeat, &sent_at);
        pd_verdict verdict = look(heartbeat, now - before, now - round_at > 2 * heartbeat->period,
                                  text, sizeof text);
        pthread_mutex_unlock(&heartbeat->watchdog_lock);
        before = now;
        if (verdict == PD_VERDICT_WARN)
            pd_log_warn("%s", text);
        if (verdict == PD_VERDICT_END) {
            schedule_exit(PD_FAILED, ABORT_SECONDS);
            pd_log_error("%s", text);
            give_up(heartbeat);
        }
    } while (pause_thread(heartbeat));
    return NULL;
}

static void stop_threads(pd_heartbeat *heartbeat)
{
    if (!heartbeat->has_threads)
        return;
    sem_post(&heartbeat->stop);
    sem_post(&heartbeat->stop);
    pthread_join(heartbeat->messenger, NULL);
    pthread_join(heartbeat->watchman, NULL);
    heartbeat->has_threads = false;
}

/* Starts both threads or none. Returns an error number or 0. */
static int start_threads(pd_heartbeat *heartbeat)
{
    int problem = pthread_create(&heartbeat->messenger, NULL, run_messenger, heartbeat);
    if (problem != 0)
        return problem;
    problem = pthread_create(&heartbeat->watchman, NULL, run_watchman, heartbeat);
    if (problem != 0) {
        sem_post(&heartbeat->stop);
        pthread_join(heartbeat->messenger, NULL);
    }
    heartbeat->has_threads = problem == 0;
    return problem;
}

pd_status pd_heartbeat_start(pd_heartbeat *heartbeat, const pd_comm *comm)
{
    sigset_t all, before;
    heartbeat->comm = comm;
    heartbeat->period = PERIOD;
    heartbeat->datagram.socket = -1;
    /* MPI_Init changes the environment, so this is the time to read it. */
    pd_watchdog_begin(&heartbeat->watchdog, pd_launcher_rank(), comm->host, START_SECONDS);
    pthread_mutex_init(&heartbeat->lock, NULL);
    pthread_mutex_init(&heartbeat->watchdog_lock, NULL);
    sem_init(&heartbeat->stop, 0, 0);
    pd_heartbeat_lock(heartbeat);
    /* The main thread handles signals, except the alarm that ends a blocked process. */
    sigfillset(&all);
    sigdelset(&all, SIGALRM);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = start_threads(heartbeat);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (problem != 0)
        return pd_fail("cannot start the watchdog's threads: %s", strerror(problem));
    return PD_OK;
}

/* The watchdog and the datagrams, for ranks that have joined. */
static pd_status join(pd_heartbeat *heartbeat, const pd_comm *comm)
{
    pd_status status = PD_OK;
    pd_datagram datagram;
    PD_TRY(pd_datagram_open(&datagram, comm->rank, comm->size));
    if (MPI_Bcast(&datagram.hub, sizeof datagram.hub, MPI_BYTE, 0, MPI_COMM_WORLD) != MPI_SUCCESS) {
        status = pd_fail("MPI_Bcast failed");
        goto cleanup;
    }
    pthread_mutex_lock(&heartbeat->watchdog_lock);
    /* Limits rank 0 to 2,000 heartbeats per second in each direction. */
    heartbeat->period = fmax(PERIOD, comm->size / 2000.0);
    heartbeat->datagram = datagram;
    datagram = (pd_datagram){.socket = -1};
    status = pd_watchdog_join(&heartbeat->watchdog, comm->rank, comm->size,
                              (const pd_host_name *)heartbeat->hosts, heartbeat->period);
    pthread_mutex_unlock(&heartbeat->watchdog_lock);
    atomic_store(&heartbeat->connected, status == PD_OK && heartbeat->has_threads);

cleanup:
    pd_datagram_close(&datagram);
    return status;
}

pd_status pd_heartbeat_connect(pd_heartbeat *heartbeat, pd_host_name *hosts, int provided)
{
    pd_status status = PD_OK;
    const pd_comm *comm = heartbeat->comm;
    size_t size = (size_t)comm->size;
    heartbeat->hosts = hosts;
    PD_TRY(pd_alloc(&heartbeat->sends, size, sizeof *heartbeat->sends));
    for (size_t i = 0; i < size; i++)
        heartbeat->sends[i] = MPI_REQUEST_NULL;
    PD_TRY(pd_alloc(&heartbeat->sent, size, sizeof *heartbeat->sent));
    PD_TRY(pd_alloc(&heartbeat->received, size, sizeof *heartbeat->received));
    PD_TRY(pd_alloc(&heartbeat->beats, size, sizeof *heartbeat->beats));
    if (provided < MPI_THREAD_SERIALIZED && comm->rank == 0)
        pd_log_warn("the MPI library does not support MPI_THREAD_SERIALIZED, so the watchdog is "
                    "off: ranks that stop responding are not detected");
    if (provided < MPI_THREAD_SERIALIZED || comm->size == 1)
        stop_threads(heartbeat);
    heartbeat->messages_at = pd_clock_now();
    PD_TRY(join(heartbeat, comm));

cleanup:
    return status;
}

void pd_heartbeat_disconnect(pd_heartbeat *heartbeat)
{
    const int own = heartbeat->comm->rank;
    atomic_store(&heartbeat->connected, false);
    /* Its peers leave, too: only the time of MPI calls is limited from here on. */
    pthread_mutex_lock(&heartbeat->watchdog_lock);
    heartbeat->watchdog.size = 0;
    heartbeat->stop_requested = NULL;
    pthread_mutex_unlock(&heartbeat->watchdog_lock);
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
    stop_threads(heartbeat);
    pthread_mutex_unlock(&heartbeat->lock);
    pthread_mutex_destroy(&heartbeat->lock);
    pthread_mutex_destroy(&heartbeat->watchdog_lock);
    sem_destroy(&heartbeat->stop);
    pd_datagram_close(&heartbeat->datagram);
    pd_watchdog_release(&heartbeat->watchdog);
    free(heartbeat->hosts);
    free(heartbeat->beats);
    free(heartbeat->sends);
    free(heartbeat->sent);
    free(heartbeat->received);
}

void pd_heartbeat_set_limit(pd_heartbeat *heartbeat, double seconds, bool (*stop_requested)(void))
{
    pthread_mutex_lock(&heartbeat->watchdog_lock);
    pd_watchdog_set_limit(&heartbeat->watchdog, heartbeat->has_threads ? seconds : 0);
    heartbeat->stop_requested = stop_requested;
    pthread_mutex_unlock(&heartbeat->watchdog_lock);
}

void pd_heartbeat_set_position(pd_heartbeat *heartbeat, pd_comm *comm, const char *position)
{
    pthread_mutex_lock(&heartbeat->watchdog_lock);
    snprintf(comm->position, sizeof comm->position, "%s", position);
    pthread_mutex_unlock(&heartbeat->watchdog_lock);
}

void pd_heartbeat_lock(pd_heartbeat *heartbeat)
{
    pthread_mutex_lock(&heartbeat->lock);
}

void pd_heartbeat_unlock(pd_heartbeat *heartbeat)
{
    pthread_mutex_unlock(&heartbeat->lock);
}
