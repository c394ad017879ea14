/* Memory that the ranks of a group share. */
#ifndef PNEUMO_COMM_SHARE_H
#define PNEUMO_COMM_SHARE_H

#include "pneumo/comm/comm.h"

typedef struct pd_share pd_share;

/* Gives this rank a zeroed segment of `bytes` (which may differ between ranks) that all ranks of
 * its group (comm->group_size) can read and write. A group of one rank gets private memory. Fails
 * on all ranks, with the message of the lowest one, if memory is short or cannot be shared.
 * Collective. The caller owns *out and destroys it once no rank uses its segments. */
pd_status pd_share_create(pd_share **out, pd_comm *comm, size_t bytes);
void pd_share_destroy(pd_share **share);

/* The segment of group member `member`, 0 .. comm->group_size - 1; aligned to 64 bytes. */
void *pd_share_segment(const pd_share *share, int member);

#endif
