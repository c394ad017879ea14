/* Memory that ranks of one host share. Internal to the room `comm`. */
#ifndef PNEUMO_COMM_SHARE_H
#define PNEUMO_COMM_SHARE_H

#include "pneumo/comm/comm.h"

typedef struct pd_share pd_share;

/* Gives this rank a zeroed segment of `bytes` (they may differ from rank to rank), which the ranks
 * of its group (comm->group) see and may write, too. Alone in its group it gets memory of its own.
 * Fails, with the message of the lowest rank, where memory is short or cannot be shared; the caller
 * owns *out, and destroys it when nobody uses its segments any more. Collective. */
pd_status pd_share_create(pd_share **out, pd_comm *comm, size_t bytes);
void pd_share_destroy(pd_share **share);

/* The segment of a member of the group, 0 .. comm->group - 1; aligned to 64 bytes. */
void *pd_share_at(const pd_share *share, int member);

#endif
