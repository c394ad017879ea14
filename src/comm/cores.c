#include "cores.h"

#include <string.h>

/* Sets the shares of the ranks of the host whose first rank is `leader`. */
static void divide_host(double *shares, const pd_rank_cores *ranks, size_t count, size_t leader)
{
    int users[CPU_SETSIZE] = {0};
    for (size_t rank = leader; rank < count; rank++)
        for (size_t core = 0; core < CPU_SETSIZE; core++)
            users[core] += CPU_ISSET(core, &ranks[rank].cores) &&
                           strcmp(ranks[rank].host, ranks[leader].host) == 0;
    for (size_t rank = leader; rank < count; rank++) {
        if (strcmp(ranks[rank].host, ranks[leader].host) != 0)
            continue;
        shares[rank] = 0;
        for (size_t core = 0; core < CPU_SETSIZE; core++)
            if (CPU_ISSET(core, &ranks[rank].cores))
                shares[rank] += 1.0 / users[core];
    }
}

void pd_cores_divide(double *shares, const pd_rank_cores *ranks, size_t count)
{
    for (size_t rank = 0; rank < count; rank++)
        shares[rank] = -1;
    for (size_t rank = 0; rank < count; rank++)
        if (shares[rank] < 0)
            divide_host(shares, ranks, count, rank);
}
