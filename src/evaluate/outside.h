/* Counting the images of a fold that are unlike the training images. */
#ifndef PNEUMO_EVALUATE_OUTSIDE_H
#define PNEUMO_EVALUATE_OUTSIDE_H

#include "pneumo/comm/comm.h"
#include "pneumo/evaluate/results.h"
#include "pneumo/io/checkpoint.h"

/* Checks the images of ids[count] of `dataset` against the profile of `checkpoint`, at the size of
 * the training's packed images; each rank checks a slice. On rank 0 *out has the counts of all;
 * elsewhere it is undefined. Without a profile nothing is read, and out->checked is false. Errors
 * are those of pd_dataset_read. Collective; all ranks return the same status. */
pd_status pd_outside_count(pd_outside *out, pd_comm *comm, const pd_checkpoint *checkpoint,
                           const pd_dataset *dataset, const int64_t *ids, size_t count,
                           int threads);

#endif
