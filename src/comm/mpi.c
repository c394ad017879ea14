/* The ranks of an MPI launcher. The only file that sees mpi.h.
 *
 * Every collective is the non-blocking one, so that all waits are in mpi_wait. A rank beats (see
 * watch.h) from there while it waits, and from a thread of its own while it works. One of them at a
 * time calls MPI, so MPI_THREAD_SERIALIZED serves. */
#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/comm/transport.h"
#include "pneumo/comm/watch.h"

#include <dlfcn.h>
#include <math.h>
#include <mpi.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(MPI_Request) <= sizeof(((pd_request *)0)->slot), "pd_request is too small");

static const double PERIOD = 0.2; /* seconds between two beats, but where ranks are many */

enum {
    BEAT_TAG = 1,        /* on MPI_COMM_WORLD, which carries nothing else */
    START_SECONDS = 300, /* for MPI_Init, which takes its time on many hosts */
    ABORT_SECONDS = 3,   /* for MPI_Abort, which may itself wait for a host that is gone */
    ENDING_SECONDS = 10  /* for the launcher to end a rank, after another has called MPI_Abort */
};

#ifdef __SANITIZE_ADDRESS__
/* Open MPI unloads its plugins before the search for leaks, which can then not tell any more that
 * what they leave behind is theirs. So they stay loaded. */
int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
#endif

typedef struct mpi_link {
    MPI_Comm channels[PD_CHANNEL_COUNT];
    pd_host_name *hosts; /* [size] */

    /* Held around every call of MPI, and while a rank waits. It guards what follows. */
    pthread_mutex_t lock;
    pd_watch watch;
    pd_comm_stop_query told;
    const char *awaits; /* NULL while this rank works */
    uint32_t moves;
    double period, beat_at; /* seconds between two beats; clock of the last */
    pd_beat *beats;         /* [size], on their way to each rank */
    MPI_Request *sent;      /* [size] */

    atomic_uint beat_count; /* stands still while MPI does not return */
    bool has_thread;        /* false: no watchdog */
    pthread_t thread;
    sem_t end; /* of the thread */
} mpi_link;

static const char *place_of(const pd_comm *comm)
{
    return comm->at[0] != '\0' ? comm->at : "start";
}

/* --- The end of all ranks --- */

static volatile sig_atomic_t end_code;

static void end_now(int signal_number)
{
    (void)signal_number;
    _exit(end_code);
}

/* Ends this process in a while, whatever it hangs in. */
static void end_soon(int code, unsigned seconds)
{
    struct sigaction action = {.sa_handler = end_now};
    sigemptyset(&action.sa_mask);
    end_code = code;
    sigaction(SIGALRM, &action, NULL);
    alarm(seconds);
}

static void send_beats(pd_comm *comm, bool ending);

/* Ends all ranks; others are told that a message has been given. With the lock held. */
static _Noreturn void end_all(pd_comm *comm, int code)
{
    end_soon(code, ABORT_SECONDS);
    fflush(NULL);
    send_beats(comm, true);
    MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
}

/* --- Beats; all with the lock held --- */

static void send_beat(pd_comm *comm, int rank, pd_beat beat)
{
    mpi_link *link = comm->link;
    int complete = 1;
    /* To a rank that does not listen one beat is enough. */
    MPI_Test(&link->sent[rank], &complete, MPI_STATUS_IGNORE);
    if (!complete)
        return;
    link->beats[rank] = beat;
    MPI_Isend(&link->beats[rank], sizeof(beat), MPI_BYTE, rank, BEAT_TAG, MPI_COMM_WORLD,
              &link->sent[rank]);
}

static void send_beats(pd_comm *comm, bool ending)
{
    mpi_link *link = comm->link;
    pd_beat beat = {.moves = link->moves, .waiting = link->awaits != NULL, .ending = ending};
    if (!ending)
        pd_watch_hear(&link->watch, comm->rank, beat);
    if (comm->rank > 0)
        send_beat(comm, 0, beat);
    for (int rank = 1; rank < comm->size && comm->rank == 0; rank++)
        send_beat(comm, rank, beat);
}

static void receive_beats(pd_comm *comm)
{
    mpi_link *link = comm->link;
    int found = 0;
    MPI_Status status;
    pd_beat beat;
    while (MPI_Iprobe(MPI_ANY_SOURCE, BEAT_TAG, MPI_COMM_WORLD, &found, &status) == MPI_SUCCESS &&
           found &&
           MPI_Recv(&beat, sizeof(beat), MPI_BYTE, status.MPI_SOURCE, BEAT_TAG, MPI_COMM_WORLD,
                    MPI_STATUS_IGNORE) == MPI_SUCCESS)
        pd_watch_hear(&link->watch, status.MPI_SOURCE, beat);
}

static void beat_if_due(pd_comm *comm)
{
    mpi_link *link = comm->link;
    char text[2048];
    double now = pd_clock_now();
    if (!link->has_thread || now - link->beat_at < link->period)
        return;
    pd_watch_pass(&link->watch, now - link->beat_at, link->told != NULL && link->told());
    link->beat_at = now;
    atomic_fetch_add(&link->beat_count, 1);
    send_beats(comm, false);
    bool known = link->watch.ending;
    receive_beats(comm);
    if (link->watch.ending && !known)
        end_soon(PD_FAILED, ENDING_SECONDS);

    pd_verdict verdict = pd_watch_judge(
        &link->watch, (pd_place){.at = comm->at, .awaits = link->awaits}, text, sizeof(text));
    if (verdict == PD_VERDICT_WARN)
        pd_log_warn("%s", text);
    if (verdict == PD_VERDICT_END) {
        end_soon(PD_FAILED, ABORT_SECONDS);
        pd_log_error("%s", text);
        end_all(comm, PD_FAILED);
    }
}

/* MPI has held the lock for `hanging` seconds: it may hang in a call that should return at once, or
 * while ranks join; after a broken connection it waits for the launcher to end all ranks. */
static void judge_mpi(const pd_comm *comm, double hanging, bool *told)
{
    const mpi_link *link = comm->link;
    double limit = link->watch.seconds;
    bool over = hanging >= limit;
    bool now_told = comm->rank == 0 && !*told && hanging >= PD_WATCH_TOLD_SECONDS &&
                    link->told != NULL && link->told();
    if (limit <= 0 || (!over && !now_told))
        return;
    char rank[32] = "a rank"; /* as long as it does not know its number */
    if (comm->size > 0)
        snprintf(rank, sizeof(rank), "rank %d", comm->rank);
    const char *at = place_of(comm);
    const char *awaits = link->awaits != NULL ? link->awaits : "others in MPI";
    if (over) {
        end_soon(PD_FAILED, ABORT_SECONDS);
        pd_log_error("%s on %s: %s: waits for %s, and MPI has not come back for %.0f s: see "
                     "whether all hosts and the network are up, %s",
                     rank, comm->host, at, awaits, hanging, pd_watch_again);
        _exit(PD_FAILED);
    }
    *told = true;
    pd_log_warn(
        "%s on %s: %s: was told to end while it waits for %s, and MPI does not come back, such "
        "as after the death of another rank: see what the launcher says of it, %s",
        rank, comm->host, at, awaits, pd_watch_again);
}

/* The thread that beats while its rank works. A rank that waits has the lock, and beats itself. */
static void *beat_at_work(void *context)
{
    pd_comm *comm = context;
    mpi_link *link = comm->link;
    const double pause = PERIOD / 2;
    double hanging = 0;
    bool told = false;
    unsigned count = 0;
    struct timespec wake;
    do {
        unsigned before = count;
        bool entered = pthread_mutex_trylock(&link->lock) == 0;
        if (entered) {
            beat_if_due(comm);
            pthread_mutex_unlock(&link->lock);
        }
        count = atomic_load(&link->beat_count);
        hanging = entered || count != before ? 0 : hanging + pause;
        judge_mpi(comm, hanging, &told);
        clock_gettime(CLOCK_MONOTONIC, &wake);
        double next = (double)wake.tv_nsec * 1e-9 + pause;
        wake.tv_sec += (time_t)next;
        wake.tv_nsec = (long)((next - floor(next)) * 1e9);
    } while (sem_clockwait(&link->end, CLOCK_MONOTONIC, &wake) != 0);
    return NULL;
}

static pd_status start_thread(pd_comm *comm)
{
    mpi_link *link = comm->link;
    sigset_t all, before;
    /* Signals are the rank's own, but for the one that ends a process whose rank hangs. */
    sigfillset(&all);
    sigdelset(&all, SIGALRM);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = pthread_create(&link->thread, NULL, beat_at_work, comm);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (problem != 0)
        return pd_fail("cannot start the watchdog's thread: %s", strerror(problem));
    link->has_thread = true;
    return PD_OK;
}

static void end_thread(mpi_link *link)
{
    if (!link->has_thread)
        return;
    sem_post(&link->end);
    pthread_join(link->thread, NULL);
    link->has_thread = false;
}

/* --- Calls of MPI --- */

static mpi_link *enter(const pd_comm *comm)
{
    mpi_link *link = comm->link;
    pthread_mutex_lock(&link->lock);
    return link;
}

static void leave(mpi_link *link)
{
    pthread_mutex_unlock(&link->lock);
}

static MPI_Comm channel_of(const pd_comm *comm, pd_channel channel)
{
    return ((const mpi_link *)comm->link)->channels[channel];
}

/* Turns the return code of MPI function `name` into a status. */
static pd_status check(int code, const char *name)
{
    if (code == MPI_SUCCESS)
        return PD_OK;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
        return pd_fail("%s failed with error %d", name, code);
    return pd_fail("%s failed: %s", name, text);
}

/* Ends all ranks if `code` is an error: the others would wait for this one. With the lock held. */
static void insist(pd_comm *comm, int code, const char *name, const char *awaits)
{
    if (check(code, name) == PD_OK)
        return;
    end_soon(PD_FAILED, ABORT_SECONDS);
    pd_log_error("rank %d on %s: %s: waits for %s: %s; see whether all hosts and the network are "
                 "up, %s",
                 comm->rank, comm->host, place_of(comm), awaits, pd_error_message(),
                 pd_watch_again);
    end_all(comm, PD_FAILED);
}

/* After MPI function `name` has started an operation on `channel`; leaves. */
static pd_status started(pd_comm *comm, pd_channel channel, int code, const char *name,
                         MPI_Request handle, pd_request *request)
{
    *request = (pd_request){.active = true,
                            .comm = comm,
                            .awaits = channel == PD_CHANNEL_MAIN ? comm->awaits
                                                                 : "the sum of the gradients"};
    memcpy(&request->slot, &handle, sizeof(handle));
    insist(comm, code, name, request->awaits);
    leave(comm->link);
    return PD_OK;
}

/* --- Joining and leaving --- */

static pd_status count_local_ranks(pd_comm *comm)
{
    pd_status status = PD_OK;
    MPI_Comm host = MPI_COMM_NULL;
    PD_TRY(check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host),
                 "MPI_Comm_split_type"));
    PD_TRY(check(MPI_Comm_size(host, &comm->local_size), "MPI_Comm_size"));
    PD_TRY(check(MPI_Comm_rank(host, &comm->local_rank), "MPI_Comm_rank"));

cleanup:
    if (host != MPI_COMM_NULL)
        MPI_Comm_free(&host);
    return status;
}

/* Makes the channels of all columns, and frees those of before. */
static pd_status make_columns(const pd_comm *comm, mpi_link *link)
{
    pd_status status = PD_OK;
    MPI_Comm *exchange = &link->channels[PD_CHANNEL_EXCHANGE];
    MPI_Comm *total = &link->channels[PD_CHANNEL_TOTAL];
    if (*exchange != MPI_COMM_NULL)
        PD_TRY(check(MPI_Comm_free(exchange), "MPI_Comm_free"));
    if (*total != MPI_COMM_NULL)
        PD_TRY(check(MPI_Comm_free(total), "MPI_Comm_free"));
    PD_TRY(check(MPI_Comm_split(MPI_COMM_WORLD, comm->rank % comm->group, comm->rank, exchange),
                 "MPI_Comm_split"));
    PD_TRY(check(MPI_Comm_dup(*exchange, total), "MPI_Comm_dup"));

cleanup:
    return status;
}

static pd_status share_hosts(pd_comm *comm, mpi_link *link)
{
    pd_status status = PD_OK;
    pd_host_name own = "";
    snprintf(own, sizeof(own), "%.*s", (int)sizeof(own) - 1, comm->host);
    PD_TRY(pd_alloc(&link->hosts, (size_t)comm->size, sizeof(*link->hosts)));
    PD_TRY(check(MPI_Allgather(own, sizeof(own), MPI_BYTE, link->hosts, sizeof(own), MPI_BYTE,
                               MPI_COMM_WORLD),
                 "MPI_Allgather"));

cleanup:
    return status;
}

/* The watchdog's arrays, and its end where there is nothing to watch. */
static pd_status set_up_watch(pd_comm *comm, int provided)
{
    pd_status status = PD_OK;
    mpi_link *link = comm->link;
    size_t size = (size_t)comm->size;
    PD_TRY(share_hosts(comm, link));
    PD_TRY(pd_watch_create(&link->watch, comm->rank, comm->size, link->hosts));
    PD_TRY(pd_alloc(&link->beats, size, sizeof(*link->beats)));
    PD_TRY(pd_alloc(&link->sent, size, sizeof(*link->sent)));
    for (size_t i = 0; i < size; i++)
        link->sent[i] = MPI_REQUEST_NULL;
    if (provided < MPI_THREAD_SERIALIZED && comm->rank == 0)
        pd_log_warn("this MPI library was built without MPI_THREAD_SERIALIZED, so there is no "
                    "watchdog: ranks that stop are not noticed");
    if (provided < MPI_THREAD_SERIALIZED || comm->size == 1)
        end_thread(link);
    /* Rank 0 hears and answers everybody: at most 2,000 of them per second. */
    link->period = fmax(PERIOD, comm->size / 2000.0);
    link->beat_at = pd_clock_now();
    link->watch.seconds = PD_WATCHDOG_SECONDS;

cleanup:
    return status;
}

/* With the lock held, which ends with the link. */
static void release(pd_comm *comm)
{
    mpi_link *link = comm->link;
    end_thread(link);
    pthread_mutex_unlock(&link->lock);
    pthread_mutex_destroy(&link->lock);
    sem_destroy(&link->end);
    pd_watch_release(&link->watch);
    free(link->hosts);
    free(link->beats);
    free(link->sent);
    free(link);
    comm->link = NULL;
}

static pd_status join(pd_comm *comm)
{
    pd_status status = PD_OK;
    mpi_link *link = comm->link;
    int provided = MPI_THREAD_SINGLE;
    link->watch.seconds = START_SECONDS;
    PD_TRY(start_thread(comm));
    PD_TRY(check(MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread"));
    if (provided < MPI_THREAD_FUNNELED) {
        status = pd_fail("this MPI library was built without threads (MPI_THREAD_FUNNELED); "
                         "use one with them");
        goto cleanup;
    }
    /* The channels inherit it. */
    PD_TRY(check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN),
                 "MPI_Comm_set_errhandler"));
    PD_TRY(check(MPI_Comm_rank(MPI_COMM_WORLD, &comm->rank), "MPI_Comm_rank"));
    PD_TRY(check(MPI_Comm_size(MPI_COMM_WORLD, &comm->size), "MPI_Comm_size"));
    PD_TRY(count_local_ranks(comm));
    for (int i = 0; i < PD_CHANNEL_COUNT; i++)
        link->channels[i] = MPI_COMM_NULL;
    PD_TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &link->channels[PD_CHANNEL_MAIN]), "MPI_Comm_dup"));
    PD_TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &link->channels[PD_CHANNEL_SUM]), "MPI_Comm_dup"));
    PD_TRY(make_columns(comm, link));
    PD_TRY(set_up_watch(comm, provided));

cleanup:
    return status;
}

/* After a failure MPI is left as it is: a rank that then exits without MPI_Finalize makes the
 * launcher end the others, while MPI_Finalize might wait for them for ever. */
static pd_status mpi_join(pd_comm *comm)
{
    mpi_link *link = NULL;
    pd_status status = pd_alloc(&link, 1, sizeof(*link));
    if (status != PD_OK)
        return status;
    comm->link = link;
    pthread_mutex_init(&link->lock, NULL);
    sem_init(&link->end, 0, 0);
    enter(comm);
    status = join(comm);
    if (status == PD_OK)
        leave(link);
    else
        release(comm);
    return status;
}

static pd_status mpi_wait(pd_request *request);

static void mpi_leave(pd_comm *comm)
{
    /* Under the watchdog: MPI_Finalize would wait for a rank that is gone. */
    MPI_Request handle;
    pd_request request;
    comm->awaits = "all ranks to end";
    mpi_link *link = enter(comm);
    int code = MPI_Ibarrier(channel_of(comm, PD_CHANNEL_MAIN), &handle);
    started(comm, PD_CHANNEL_MAIN, code, "MPI_Ibarrier", handle, &request);
    mpi_wait(&request);

    enter(comm);
    link->told = NULL; /* the end is near anyway */
    for (int rank = 0; rank < comm->size; rank++)
        if (link->sent[rank] != MPI_REQUEST_NULL)
            MPI_Request_free(&link->sent[rank]);
    for (int i = 0; i < PD_CHANNEL_COUNT; i++)
        MPI_Comm_free(&link->channels[i]);
    MPI_Finalize();
    release(comm);
}

static void mpi_abort(pd_comm *comm, int code)
{
    end_soon(code, ABORT_SECONDS);
    enter(comm);
    end_all(comm, code);
}

static pd_status mpi_regroup(pd_comm *comm)
{
    mpi_link *link = enter(comm);
    pd_status status = make_columns(comm, link);
    leave(link);
    return status;
}

static void mpi_watch(pd_comm *comm, double seconds, pd_comm_stop_query told)
{
    mpi_link *link = enter(comm);
    link->watch.seconds = link->has_thread ? seconds : 0;
    link->told = told;
    leave(link);
}

static void mpi_at(pd_comm *comm, const char *place)
{
    mpi_link *link = enter(comm);
    snprintf(comm->at, sizeof(comm->at), "%s", place);
    leave(link);
}

/* --- Operations --- */

static pd_status mpi_broadcast(pd_comm *comm, void *bytes, int size, int root, pd_request *request)
{
    MPI_Request handle;
    enter(comm);
    int code = MPI_Ibcast(bytes, size, MPI_BYTE, root, channel_of(comm, PD_CHANNEL_MAIN), &handle);
    return started(comm, PD_CHANNEL_MAIN, code, "MPI_Ibcast", handle, request);
}

static pd_status mpi_gather(pd_comm *comm, const void *mine, void *all, const int *sizes,
                            const int *offsets, pd_request *request)
{
    MPI_Request handle;
    enter(comm);
    int code = MPI_Igatherv(mine, sizes[comm->rank], MPI_BYTE, all, sizes, offsets, MPI_BYTE, 0,
                            channel_of(comm, PD_CHANNEL_MAIN), &handle);
    return started(comm, PD_CHANNEL_MAIN, code, "MPI_Igatherv", handle, request);
}

static pd_status mpi_allgather(pd_comm *comm, pd_channel channel, const void *mine, void *all,
                               const int *sizes, const int *offsets, pd_request *request)
{
    MPI_Request handle;
    enter(comm);
    /* How much of `mine` is only asked for on the main channel; in place it does not count. */
    int code = MPI_Iallgatherv(mine != NULL ? mine : MPI_IN_PLACE,
                               mine != NULL ? sizes[comm->rank] : 0, MPI_BYTE, all, sizes, offsets,
                               MPI_BYTE, channel_of(comm, channel), &handle);
    return started(comm, channel, code, "MPI_Iallgatherv", handle, request);
}

static pd_status mpi_swap(pd_comm *comm, int partner, const void *mine, void *theirs, int size,
                          pd_request requests[2])
{
    MPI_Request handle;
    MPI_Comm channel = channel_of(comm, PD_CHANNEL_MAIN);
    enter(comm);
    int code = MPI_Irecv(theirs, size, MPI_BYTE, partner, 0, channel, &handle);
    started(comm, PD_CHANNEL_MAIN, code, "MPI_Irecv", handle, &requests[0]);
    enter(comm);
    code = MPI_Isend(mine, size, MPI_BYTE, partner, 0, channel, &handle);
    return started(comm, PD_CHANNEL_MAIN, code, "MPI_Isend", handle, &requests[1]);
}

static pd_status mpi_exchange(pd_comm *comm, const void *from, const int *send_sizes,
                              const int *send_offsets, void *to, const int *receive_sizes,
                              const int *receive_offsets, pd_request *request)
{
    MPI_Request handle;
    enter(comm);
    int code =
        MPI_Ialltoallv(from, send_sizes, send_offsets, MPI_BYTE, to, receive_sizes, receive_offsets,
                       MPI_BYTE, channel_of(comm, PD_CHANNEL_EXCHANGE), &handle);
    return started(comm, PD_CHANNEL_EXCHANGE, code, "MPI_Ialltoallv", handle, request);
}

static pd_status mpi_sum(pd_comm *comm, float *vector, int n, pd_request *request)
{
    MPI_Request handle;
    enter(comm);
    int code = MPI_Iallreduce(MPI_IN_PLACE, vector, n, MPI_FLOAT, MPI_SUM,
                              channel_of(comm, PD_CHANNEL_SUM), &handle);
    return started(comm, PD_CHANNEL_SUM, code, "MPI_Iallreduce", handle, request);
}

/* With the lock held. */
static bool is_complete(pd_request *request)
{
    mpi_link *link = request->comm->link;
    MPI_Request handle;
    int complete = 0;
    if (request->counter != NULL) {
        complete = atomic_load_explicit(request->counter, memory_order_acquire) >= request->target;
    } else {
        memcpy(&handle, &request->slot, sizeof(handle));
        int code = MPI_Test(&handle, &complete, MPI_STATUS_IGNORE);
        insist(request->comm, code, "MPI_Test", request->awaits);
    }
    request->active = !complete;
    link->moves += complete != 0;
    return complete;
}

/* Lets MPI move on with what is under way, and yield where ranks are more than cores: it does both
 * in every call that looks for something. */
static void move_on(mpi_link *link)
{
    int found;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, link->channels[PD_CHANNEL_TOTAL], &found,
               MPI_STATUS_IGNORE);
}

static pd_status mpi_test(pd_request *request, bool *done)
{
    if (request->active) {
        mpi_link *link = enter(request->comm);
        is_complete(request);
        leave(link);
    }
    *done = !request->active;
    return PD_OK;
}

static pd_status mpi_wait(pd_request *request)
{
    if (!request->active)
        return PD_OK;
    mpi_link *link = enter(request->comm);
    link->awaits = request->awaits;
    while (!is_complete(request)) {
        beat_if_due(request->comm);
        if (request->counter != NULL)
            move_on(link);
    }
    link->awaits = NULL;
    leave(link);
    return PD_OK;
}

const pd_transport pd_transport_mpi = {
    .join = mpi_join,
    .leave = mpi_leave,
    .abort = mpi_abort,
    .regroup = mpi_regroup,
    .watch = mpi_watch,
    .at = mpi_at,
    .broadcast = mpi_broadcast,
    .gather = mpi_gather,
    .allgather = mpi_allgather,
    .swap = mpi_swap,
    .exchange = mpi_exchange,
    .sum = mpi_sum,
    .test = mpi_test,
    .wait = mpi_wait,
};

const char *pd_mpi_library(char *version, size_t size)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0, level = MPI_THREAD_SINGLE;
    MPI_Get_library_version(text, &length);
    MPI_Query_thread(&level);
    text[strcspn(text, ",\n")] = '\0'; /* who built it, and when, follows */
    snprintf(version, size, "%s", text);
    switch (level) {
    case MPI_THREAD_SINGLE:
        return "MPI_THREAD_SINGLE";
    case MPI_THREAD_FUNNELED:
        return "MPI_THREAD_FUNNELED";
    case MPI_THREAD_SERIALIZED:
        return "MPI_THREAD_SERIALIZED";
    default:
        return "MPI_THREAD_MULTIPLE";
    }
}
