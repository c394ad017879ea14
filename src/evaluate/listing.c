#include "listing.h"

#include "pneumo/base/memory.h"

pd_status pd_listing_share(pd_comm *comm, pd_files *files)
{
    pd_status status = PD_OK;
    bool first = pd_comm_rank(comm) == 0;
    PD_TRY(pd_comm_broadcast(comm, &files->size, sizeof files->size, 0));
    if (!first)
        status = pd_alloc(&files->text, files->size, 1);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_comm_broadcast(comm, files->text, files->size, 0));
    if (!first)
        status = pd_files_index(files);
    PD_TRY(pd_comm_agree(comm, status));
cleanup:
    return status;
}
