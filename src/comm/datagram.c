#include "datagram.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* As on the wire; all hosts of a job have the same byte order. */
typedef struct packet {
    uint64_t key;
    uint32_t rank, completed, waiting, ending;
} packet;

enum { BYTES_QUEUED = 4096 }; /* that the kernel counts for a few datagrams */

/* The addresses of this host. Loopback is included: a host without a network has no other. */
static void find_addresses(pd_datagram_hub *hub)
{
    struct ifaddrs *interfaces = NULL;
    if (getifaddrs(&interfaces) != 0)
        return;
    for (const struct ifaddrs *i = interfaces; i != NULL && hub->count < PD_DATAGRAM_ADDRESSES;
         i = i->ifa_next)
        if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET && i->ifa_flags & IFF_UP)
            hub->addresses[hub->count++] = ((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr;
    freeifaddrs(interfaces);
}

pd_status pd_datagram_open(pd_datagram *datagram, int rank, int size)
{
    pd_status status = PD_OK;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t length = sizeof address;
    *datagram = (pd_datagram){.rank = rank, .size = size, .socket = -1};
    PD_TRY(pd_alloc(&datagram->peers, (size_t)size, sizeof *datagram->peers));
    datagram->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(datagram->socket, (struct sockaddr *)&address, length) != 0 ||
        getsockname(datagram->socket, (struct sockaddr *)&address, &length) != 0 ||
        getrandom(&datagram->hub.key, sizeof datagram->hub.key, 0) < 0)
        goto cleanup;
    datagram->hub.port = address.sin_port;
    find_addresses(&datagram->hub);
    /* For what arrives at rank 0 within a period; the system limits it. */
    int bytes = pd_min_int(size, 1 << 16) * BYTES_QUEUED;
    if (rank == 0)
        setsockopt(datagram->socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);

cleanup:
    return status;
}

void pd_datagram_close(pd_datagram *datagram)
{
    if (datagram->peers == NULL)
        return;
    if (datagram->socket >= 0)
        close(datagram->socket);
    free(datagram->peers);
    *datagram = (pd_datagram){.socket = -1};
}

static void send_to(const pd_datagram *datagram, pd_beat beat, const struct sockaddr_in *to)
{
    packet out = {datagram->hub.key, (uint32_t)datagram->rank, beat.completed, beat.waiting,
                  beat.ending};
    /* A datagram may be lost anyway. */
    (void)!sendto(datagram->socket, &out, sizeof out, 0, (const struct sockaddr *)to, sizeof *to);
}

void pd_datagram_send(const pd_datagram *datagram, pd_beat beat)
{
    const struct sockaddr_in *peers = datagram->peers;
    if (datagram->socket < 0 || datagram->hub.count == 0)
        return;
    for (int i = 0; i < datagram->size; i++)
        if ((i == 0) != (datagram->rank == 0) && peers[i].sin_port != 0)
            send_to(datagram, beat, &peers[i]);
    if (datagram->rank == 0 || peers[0].sin_port != 0)
        return;
    /* Rank 0's answer shows which of its addresses is reachable. */
    for (uint32_t i = 0; i < datagram->hub.count; i++) {
        struct sockaddr_in hub = {.sin_family = AF_INET,
                                  .sin_port = datagram->hub.port,
                                  .sin_addr.s_addr = datagram->hub.addresses[i]};
        send_to(datagram, beat, &hub);
    }
}

bool pd_datagram_receive(pd_datagram *datagram, int *rank, pd_beat *beat)
{
    packet in;
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t size;
    while (datagram->socket >= 0 && datagram->hub.count > 0 &&
           (size = recvfrom(datagram->socket, &in, sizeof in, MSG_TRUNC, (struct sockaddr *)&from,
                            &length)) >= 0) {
        if (size != sizeof in || in.key != datagram->hub.key ||
            in.rank >= (uint32_t)datagram->size || (in.rank == 0) == (datagram->rank == 0))
            continue;
        datagram->peers[in.rank] = from;
        *rank = (int)in.rank;
        *beat = (pd_beat){in.completed, in.waiting != 0, in.ending != 0};
        return true;
    }
    return false;
}
