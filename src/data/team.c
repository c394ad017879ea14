#include "team.h"

#include "pneumo/base/memory.h"

#include <stdint.h>
#include <stdlib.h>

pd_status pd_team_agree(const pd_team *team, pd_status status)
{
    return team->size == 1 ? status : team->agree(team->comm, status);
}

pd_status pd_team_follow(const pd_team *team, pd_status status)
{
    uint64_t outcome = (uint64_t)status;
    if (team->size == 1)
        return status;
    pd_status sent = team->broadcast(team->comm, &outcome, sizeof outcome, 0);
    if (sent != PD_OK)
        return sent;
    if (team->rank != 0 && outcome != PD_OK)
        pd_fail("rank 0 has failed and says why");
    return (pd_status)outcome;
}

pd_status pd_team_broadcast(const pd_team *team, pd_bytes *bytes)
{
    pd_status status = PD_OK;
    uint64_t size = bytes->size;
    if (team->size == 1)
        return PD_OK;
    PD_TRY(team->broadcast(team->comm, &size, sizeof size, 0));
    if (team->rank != 0) {
        pd_bytes_free(bytes);
        status = pd_alloc(&bytes->bytes, size, 1);
        bytes->size = bytes->capacity = status == PD_OK ? size : 0;
    }
    PD_TRY(pd_team_agree(team, status));
    PD_TRY(team->broadcast(team->comm, bytes->bytes, size, 0));

cleanup:
    return status;
}

pd_status pd_team_gather(const pd_team *team, pd_bytes *bytes)
{
    void *all;
    size_t total;
    if (team->size == 1)
        return PD_OK;
    pd_status status = team->gather(team->comm, bytes->bytes, bytes->size, &all, &total);
    if (status == PD_OK && team->rank == 0) {
        free(bytes->bytes);
        *bytes = (pd_bytes){.bytes = all, .size = total, .capacity = total};
    }
    return status;
}
