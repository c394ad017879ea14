/* One list of files for all ranks. */
#ifndef PNEUMO_EVALUATE_LISTING_H
#define PNEUMO_EVALUATE_LISTING_H

#include "pneumo/comm/comm.h"
#include "pneumo/data/files.h"

/* Copies rank 0's list to the other ranks, whose *files is empty before. Each rank frees its copy.
 * Collective; all ranks return the same status. */
pd_status pd_listing_share(pd_comm *comm, pd_files *files);

#endif
