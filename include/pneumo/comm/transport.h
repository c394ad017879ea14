/* What the communicator asks of an implementation. Internal to the room `comm`.
 *
 * Everything that comm.h offers is composed of these few operations. Each one starts and leaves a
 * request behind, so that every wait of the program passes through `wait`. Sizes and offsets are in
 * bytes; they and the buffers are borrowed until the request is complete. An operation that fails
 * after `join` may leave the others waiting, so it ends all ranks with a message. */
#ifndef PNEUMO_COMM_TRANSPORT_H
#define PNEUMO_COMM_TRANSPORT_H

#include "pneumo/comm/comm.h"

#include <stdatomic.h>

/* Operations on one channel must start in the same order on every rank; those on different channels
 * may start in any order. The two phases of a reduction start when data arrive, which differs from
 * rank to rank, so each has a channel of its own. */
typedef enum pd_channel {
    PD_CHANNEL_MAIN,     /* all ranks */
    PD_CHANNEL_SUM,      /* all ranks */
    PD_CHANNEL_EXCHANGE, /* a column: the ranks with the same place in their groups */
    PD_CHANNEL_TOTAL,    /* a column */
    PD_CHANNEL_COUNT
} pd_channel;

/* A number in shared memory that only rises, and only by one rank. */
typedef _Atomic(uint64_t) pd_counter;

/* A started operation. An inactive one is complete. */
typedef struct pd_request {
    void *slot;                /* room for an MPI_Request; */
    const pd_counter *counter; /* or else what must rise */
    uint64_t target;           /* to here */
    bool active;
    pd_comm *comm;
    const char *awaits; /* what a rank that waits for it waits for, in messages */
} pd_request;

typedef struct pd_transport {
    /* Fills in rank, size, local_rank, local_size and link. Groups have 1 rank. */
    pd_status (*join)(pd_comm *comm);
    void (*leave)(pd_comm *comm);
    /* Does not return. */
    void (*abort)(pd_comm *comm, int code);

    /* Makes the columns' channels anew, after comm->group has changed. Collective. */
    pd_status (*regroup)(pd_comm *comm);

    /* As pd_comm_set_watchdog and pd_comm_set_position. */
    void (*watch)(pd_comm *comm, double seconds, pd_comm_stop_query told);
    void (*at)(pd_comm *comm, const char *place);

    pd_status (*broadcast)(pd_comm *comm, void *bytes, int size, int root, pd_request *request);

    /* Rank r's sizes[r] bytes arrive at all + offsets[r]: on rank 0, or on every rank of the
     * channel, in whose order ranks count. mine == NULL (allgather only): this rank's bytes are
     * already in their place in `all`. */
    pd_status (*gather)(pd_comm *comm, const void *mine, void *all, const int *sizes,
                        const int *offsets, pd_request *request);
    pd_status (*allgather)(pd_comm *comm, pd_channel channel, const void *mine, void *all,
                           const int *sizes, const int *offsets, pd_request *request);

    /* Sends `size` bytes to rank `partner` and receives as many from it. Both requests must
     * complete. Never asked of a single rank. */
    pd_status (*swap)(pd_comm *comm, int partner, const void *mine, void *theirs, int size,
                      pd_request requests[2]);

    /* Sends send_sizes[r] bytes at from + send_offsets[r] to each rank r of the column, and
     * receives likewise. On the exchange channel. Never asked of a single rank, nor is `sum`. */
    pd_status (*exchange)(pd_comm *comm, const void *from, const int *send_sizes,
                          const int *send_offsets, void *to, const int *receive_sizes,
                          const int *receive_offsets, pd_request *request);

    /* Sums vector[n] over all ranks in place, in an order of the implementation's choice. On the
     * sum channel. */
    pd_status (*sum)(pd_comm *comm, float *vector, int n, pd_request *request);

    /* Moves all started operations on; says whether this one is complete. */
    pd_status (*test)(pd_request *request, bool *done);
    pd_status (*wait)(pd_request *request);
} pd_transport;

extern const pd_transport pd_transport_serial;
extern const pd_transport pd_transport_mpi;

struct pd_comm {
    const pd_transport *transport;
    void *link; /* the transport's own */
    int rank, size;
    int local_rank, local_size; /* on this host */
    int group;                  /* ranks of a group; those of one follow one another */
    char group_obstacle[512];
    char host[256];
    char at[128];       /* where this rank is, in messages; written by `at` only */
    const char *awaits; /* what the next operation on the main channel is for, in messages */
    int lanes, first_lane, lane_count;

    uint64_t *words;      /* [size], one of each rank */
    int *sizes, *offsets; /* [size], of the collective in progress on the main channel */
    double *scratch;      /* every lane's part in pd_comm_lane_sum; only grows */
    size_t scratch_count;

    const pd_reduction *reducing; /* the sum in flight */
};

/* pd_comm_library of the MPI transport. */
const char *pd_mpi_library(char *version, size_t size);

#endif
