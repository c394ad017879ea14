/* The weights that a training starts from, if the job names a file (model.from, model.weights). */
#ifndef PNEUMO_TRAIN_PRETRAINED_H
#define PNEUMO_TRAIN_PRETRAINED_H

#include "pneumo/comm/comm.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/job.h"

/* Copies the file's weights into the planned network, on all ranks, and logs for each layer whether
 * it got its weights, and why not. Layers of model.weights that do not fit are left as they are;
 * none that fits is an error. Images are then scaled as they were for these weights: sets that in
 * *input. Does nothing if the job names no file. Collective; all ranks return the same status. */
pd_status pd_pretrained_load(pd_network *network, pd_input *input, pd_comm *comm,
                             const pd_job *job);

#endif
