/* Groups: ranks of one host that share memory. */
#ifndef PNEUMO_COMM_GROUP_H
#define PNEUMO_COMM_GROUP_H

#include "pneumo/comm/comm.h"

/* Forms groups of consecutive ranks that sum large vectors in shared memory, so that only one copy
 * of a sum travels between groups. The group size is the largest divisor of the number of ranks per
 * host that is at most `limit` (0: no limit). It is 1 if hosts have different numbers of ranks, if
 * the ranks of a host are not consecutive, or if they cannot share memory. Results do not depend on
 * the groups. Collective; before pd_reduction_create. */
pd_status pd_comm_set_group_size(pd_comm *comm, int limit);
int pd_comm_group_size(const pd_comm *comm);

/* Why groups are smaller than requested; "" if they are not. */
const char *pd_comm_group_obstacle(const pd_comm *comm);

#endif
