/* A network of another program, or of a checkpoint, as the architecture of a job: its base is kept
 * and gets a head for the job's task (the job's model.from, from_layer and scaling). */
#ifndef PNEUMO_TRAIN_BASE_NETWORK_H
#define PNEUMO_TRAIN_BASE_NETWORK_H

#include "pneumo/io/input.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/job.h"

/* Builds the network, without planning it: the layers of job->base.file up to job->base.layer, and
 * a head of global average pooling if they end in an image, dropout and a dense layer. An empty
 * layer stands for the one before the last dense layer, "output" for all; then there is no new
 * head, and the outputs must be those of the task. *input has the size that the images get; its
 * channels and scaling become those of the file. The caller owns *out. */
pd_status pd_base_network_build(pd_network **out, pd_input *input, const pd_job *job);

#endif
