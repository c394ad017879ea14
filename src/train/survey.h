/* The profile of a train fold, from all ranks. Internal to the room `train`. */
#ifndef PNEUMO_TRAIN_SURVEY_H
#define PNEUMO_TRAIN_SURVEY_H

#include "pneumo/comm/comm.h"
#include "pneumo/data/images.h"
#include "pneumo/data/lanes.h"
#include "pneumo/data/profile.h"

/* Looks once at every image of `lanes`, each rank at those of its own lanes, of which `images`
 * fetches `most` at a time. On rank 0 *out is their profile, the same bits for any number of ranks
 * and threads; elsewhere it is undefined. Shows progress. Collective; all ranks return the same
 * status. */
pd_status pd_survey(pd_profile *out, pd_comm *comm, const pd_dataset *dataset,
                    const pd_lanes *lanes, pd_images *images, size_t most, int threads);

#endif
