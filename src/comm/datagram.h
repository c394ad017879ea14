/* Heartbeats as UDP datagrams over IPv4. They get through while an MPI call blocks, as Open MPI's
 * do over TCP when a peer has died, so that a rank can still tell which others are alive.
 *
 * As over MPI, all ranks send to rank 0, which sends to all others. Where the network does not pass
 * datagrams none arrive, and only heartbeats over MPI count. */
#ifndef PNEUMO_COMM_DATAGRAM_H
#define PNEUMO_COMM_DATAGRAM_H

#include "watchdog.h"

#include <netinet/in.h>

enum { PD_DATAGRAM_ADDRESSES = 8 };

/* Where rank 0 receives. Plain bytes, to be sent over MPI. */
typedef struct pd_datagram_hub {
    uint64_t key; /* of this job: datagrams without it are ignored */
    uint32_t count;
    in_addr_t addresses[PD_DATAGRAM_ADDRESSES]; /* [count], in network byte order */
    in_port_t port;                             /* in network byte order */
} pd_datagram_hub;

typedef struct pd_datagram {
    int socket; /* -1: none; sends and receives nothing */
    int rank, size;
    pd_datagram_hub hub;
    struct sockaddr_in *peers; /* [size], from which each rank sends; all 0: unknown */
} pd_datagram;

/* Opens the socket of `rank` of `size`. datagram->hub is where it receives; the other ranks set
 * theirs to that of rank 0. If the system has no socket or address for it, datagram->socket is -1
 * or hub.count is 0, and nothing is sent or received. pd_datagram_close must follow, after a
 * failure too. */
pd_status pd_datagram_open(pd_datagram *datagram, int rank, int size);

/* Closing what is zero or closed does nothing. */
void pd_datagram_close(pd_datagram *datagram);

/* Sends to rank 0, or on rank 0 to all others that it has heard from. */
void pd_datagram_send(const pd_datagram *datagram, pd_beat beat);

/* Takes the next heartbeat that has arrived; false: there is none. */
bool pd_datagram_receive(pd_datagram *datagram, int *rank, pd_beat *beat);

#endif
