/* The profile of a train fold, from all ranks. */
#ifndef PNEUMO_TRAIN_SURVEY_H
#define PNEUMO_TRAIN_SURVEY_H

#include "pneumo/comm/comm.h"
#include "pneumo/data/images.h"
#include "pneumo/data/lanes.h"
#include "pneumo/data/profile.h"

/* Reads every image of `lanes` once, each rank those of its own lanes, through `images` in chunks
 * of `most`. On rank 0 *out is their profile, the same bits for any number of ranks and threads;
 * elsewhere it is undefined. Shows progress. Collective; all ranks return the same status. */
pd_status pd_survey(pd_profile *out, pd_comm *comm, const pd_dataset *dataset,
                    const pd_lanes *lanes, pd_images *images, size_t most, int threads);

#endif
