/* The operations that an implementation of the communicator provides.
 *
 * All of comm.h is composed of these few. Each communication operation starts without blocking and
 * fills in a request, so that every wait of the program goes through `wait`. Sizes and offsets are
 * in bytes; they and the buffers are borrowed until the request completes. An operation that fails
 * after `join` ends all ranks with a message, since the others may already be waiting for it. */
#ifndef PNEUMO_COMM_TRANSPORT_H
#define PNEUMO_COMM_TRANSPORT_H

#include "pneumo/base/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pd_comm pd_comm;

/* On one channel, all ranks must start operations in the same order; there is no order between
 * channels. The two phases of a reduction start when data arrive, in an order that differs between
 * ranks, so each phase has its own channel. */
typedef enum pd_channel {
    PD_CHANNEL_MAIN,      /* all ranks */
    PD_CHANNEL_SUM,       /* all ranks */
    PD_CHANNEL_ALLTOALL,  /* a column: the ranks at the same position in their groups */
    PD_CHANNEL_ALLGATHER, /* a column */
    PD_CHANNEL_COUNT
} pd_channel;

/* A number in shared memory that only grows and that only one rank writes. */
typedef _Atomic(uint64_t) pd_counter;

/* An operation in progress. An inactive request is complete. */
typedef struct pd_request {
    void *handle;              /* storage for an MPI_Request, */
    const pd_counter *counter; /* or, if not NULL, the counter */
    uint64_t target;           /* that must reach this value */
    bool active;
    pd_comm *comm;
    const char *awaited; /* what the operation delivers, for messages */
} pd_request;

typedef struct pd_transport {
    /* Sets rank, size, local_rank, local_size and link. Groups have size 1. */
    pd_status (*join)(pd_comm *comm);
    void (*leave)(pd_comm *comm);
    /* Does not return. */
    void (*abort)(pd_comm *comm, int code);

    /* Recreates the column channels after comm->group_size has changed. Collective. */
    pd_status (*regroup)(pd_comm *comm);

    /* As pd_comm_set_watchdog, pd_comm_set_position and pd_comm_library. */
    void (*set_watchdog)(pd_comm *comm, double seconds, bool (*stop_requested)(void));
    void (*set_position)(pd_comm *comm, const char *position);
    const char *(*library)(char *version, size_t size);

    pd_status (*broadcast)(pd_comm *comm, void *bytes, int size, int root, pd_request *request);

    /* Copies the sizes[r] bytes at `own` of each rank r to all + offsets[r] on rank 0 (gather) or
     * on all ranks of the channel (allgather); r counts the ranks of the channel. own == NULL
     * (allgather only): this rank's bytes are already in place in `all`. */
    pd_status (*gather)(pd_comm *comm, const void *own, void *all, const int *sizes,
                        const int *offsets, pd_request *request);
    pd_status (*allgather)(pd_comm *comm, pd_channel channel, const void *own, void *all,
                           const int *sizes, const int *offsets, pd_request *request);

    /* Sends `size` bytes to rank `partner` and receives as many from it. Both requests must
     * complete. Not called with a single rank. */
    pd_status (*sendrecv)(pd_comm *comm, int partner, const void *send, void *receive, int size,
                          pd_request requests[2]);

    /* Sends send_sizes[r] bytes at send + send_offsets[r] to each rank r of the column, and
     * receives likewise. On the all-to-all channel. Not called with a single rank. */
    pd_status (*alltoall)(pd_comm *comm, const void *send, const int *send_sizes,
                          const int *send_offsets, void *receive, const int *receive_sizes,
                          const int *receive_offsets, pd_request *request);

    /* Sums vector[n] over all ranks in place, in an order that the implementation chooses. On the
     * sum channel. Not called with a single rank. */
    pd_status (*sum)(pd_comm *comm, float *vector, int n, pd_request *request);

    /* Advances all operations in progress; sets *done if this one is complete. */
    pd_status (*test)(pd_request *request, bool *done);
    pd_status (*wait)(pd_request *request);
} pd_transport;

extern const pd_transport pd_transport_serial;
extern const pd_transport pd_transport_mpi;

struct pd_comm {
    const pd_transport *transport;
    void *link; /* state of the transport */
    int rank, size;
    int local_rank, local_size; /* on this host */
    int group_size;             /* groups are runs of consecutive ranks */
    char group_obstacle[512];
    char host[256];
    const struct pd_launcher *launcher; /* NULL: none */
    int usable_cores;                   /* that this rank may run on */
    double core_share;                  /* of these, its part of what the host's ranks share */
    bool first_of_kind;                 /* no rank before this one has the same share */
    char position[128];                 /* pd_comm_set_position; written by the transport */
    const char *awaited; /* what the next operation on the main channel delivers, for messages */
    int lanes, first_lane, lane_count;

    uint64_t *gathered;   /* [size], result of pd_comm_allgather_u64 */
    int *sizes, *offsets; /* [size], of the collective in progress on the main channel */
    double *scratch;      /* for pd_comm_lane_sum; only grows */
    size_t scratch_count;

    const struct pd_reduction *reducing; /* the reduction in flight; NULL if there is none */
};

#endif
