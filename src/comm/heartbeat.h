/* Heartbeats over MPI and as datagrams, and the end of all ranks when the watchdog (watchdog.h)
 * finds one missing.
 *
 * Heartbeats over MPI are sent by the wait loop while this rank waits, and by a messenger thread
 * while it computes. Both hold the lock around every MPI call, so MPI_THREAD_SERIALIZED is enough.
 * A watchman thread exchanges datagrams and judges. It never calls MPI, so that no MPI call that
 * does not return can stop it. */
#ifndef PNEUMO_COMM_HEARTBEAT_H
#define PNEUMO_COMM_HEARTBEAT_H

#include "datagram.h"
#include "transport.h"
#include "watchdog.h"

#include <mpi.h>
#include <pthread.h>
#include <semaphore.h>

typedef struct pd_heartbeat {
    const pd_comm *comm; /* borrowed */

    /* Held around every MPI call, and while this rank waits. It guards what follows. */
    pthread_mutex_t lock;
    pd_beat *beats;       /* [size], being sent to each rank */
    MPI_Request *sends;   /* [size] */
    int *sent, *received; /* [size], heartbeats to and from each rank, over MPI */
    double messages_at;   /* time of the last heartbeats over MPI */

    /* Never held during an MPI call; may be taken with `lock` held, not the reverse. It guards what
     * follows, and comm->position. */
    pthread_mutex_t watchdog_lock;
    pd_watchdog watchdog;
    bool (*stop_requested)(void);
    pd_host_name *hosts; /* [size] */
    pd_datagram datagram;

    double period;                 /* seconds between two heartbeats; set with both locks held */
    atomic_bool connected;         /* this rank exchanges heartbeats */
    _Atomic(const char *) awaited; /* what this rank waits for; NULL while it computes */
    atomic_uint completed;         /* operations */
    atomic_uint rounds;            /* of heartbeats over MPI; none while an MPI call blocks */
    atomic_int ending;             /* exit code with which the watchman ends all ranks; 0: no */

    bool has_threads; /* false: no watchdog */
    pthread_t messenger, watchman;
    sem_t stop; /* ends a thread */
} pd_heartbeat;

/* Starts the threads, which limit the time of MPI_Init too. Returns with the lock held.
 * pd_heartbeat_release must follow, after a failure too. */
pd_status pd_heartbeat_start(pd_heartbeat *heartbeat, const pd_comm *comm);

/* Begins to exchange heartbeats, after MPI_Init_thread has returned thread level `provided`. Takes
 * ownership of hosts [size], allocated by pd_alloc. Stops the threads if there is only one rank or
 * if MPI does not support it. With the lock held. */
pd_status pd_heartbeat_connect(pd_heartbeat *heartbeat, pd_host_name *hosts, int provided);

/* Stops the threads and releases everything, the lock included, which must be held. */
void pd_heartbeat_release(pd_heartbeat *heartbeat);

/* Stops sending and receives what is still on its way, as MPI_Finalize requires. Collective, with
 * the lock held until MPI_Finalize has returned. */
void pd_heartbeat_disconnect(pd_heartbeat *heartbeat);

/* As pd_comm_set_watchdog and pd_comm_set_position. */
void pd_heartbeat_set_limit(pd_heartbeat *heartbeat, double seconds, bool (*stop_requested)(void));
void pd_heartbeat_set_position(pd_heartbeat *heartbeat, pd_comm *comm, const char *position);

void pd_heartbeat_lock(pd_heartbeat *heartbeat);
void pd_heartbeat_unlock(pd_heartbeat *heartbeat);

/* Exchanges heartbeats over MPI if they are due; ends all ranks if the watchman has said so. With
 * the lock held. */
void pd_heartbeat_poll(pd_heartbeat *heartbeat);

/* Ends all ranks with exit code `code`. The lock must not be held. */
_Noreturn void pd_heartbeat_abort(pd_heartbeat *heartbeat, int code);

/* Ends all ranks after MPI has failed to deliver `awaited`, with pd_error_message as the reason.
 * With the lock held. */
_Noreturn void pd_heartbeat_fail(pd_heartbeat *heartbeat, const char *awaited);

#endif
