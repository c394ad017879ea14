/* What the ranks that pack together tell each other. All functions are collective. */
#ifndef PNEUMO_DATA_TEAM_MESSAGES_H
#define PNEUMO_DATA_TEAM_MESSAGES_H

#include "bytes.h"
#include "pneumo/data/team.h"

/* Replaces the bytes of the other ranks by those of rank 0. */
pd_status pd_team_broadcast(const pd_team *team, pd_bytes *bytes);

/* Replaces the bytes of rank 0 by those of all ranks, in rank order; the others' are unchanged. */
pd_status pd_team_gather(const pd_team *team, pd_bytes *bytes);

/* The outcome of a step of every rank (pd_comm_agree). */
pd_status pd_team_agree(const pd_team *team, pd_status status);

/* The outcome of a step of rank 0, whose message does not change. The status of other ranks is
 * ignored. */
pd_status pd_team_follow(const pd_team *team, pd_status status);

#endif
