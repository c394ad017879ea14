/* What follows from a job and its data set: network input, folds, network. */
#ifndef PNEUMO_TRAIN_SETUP_H
#define PNEUMO_TRAIN_SETUP_H

#include "pneumo/data/view.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/io/dataset.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/job.h"

/* How packed images become network input, unless the job names a file that says how. */
pd_input pd_setup_input(const pd_job *job, const pd_dataset_info *info);

/* Opens the job's data set with the folds that the job selects: those of the file, or those of one
 * part of a cross-validation. The caller owns *out. */
pd_status pd_setup_dataset(pd_dataset **out, const pd_job *job);

/* The job's network for that data set, built but not planned, and how images become its input. With
 * job->base the network is that of pd_base_network_build. The caller owns *out. */
pd_status pd_setup_network(pd_network **out, pd_input *input, const pd_job *job,
                           const pd_dataset_info *info);

/* Plans a network for this rank's lanes in training, with what the job freezes in that stage
 * (pd_schedule_stage): with bytes == NULL like pd_network_plan, else like pd_network_measure. After
 * pd_comm_set_lanes. */
pd_status pd_setup_plan(pd_network *network, const pd_comm *comm, const pd_job *job, int stage,
                        int threads, size_t *bytes);

/* What of a planned or measured network is frozen: "13 of 16 layers with weights, 14,714,688
 * parameters"; "" if nothing is. Returns `text`. */
enum { PD_SETUP_FROZEN = 96 };
char *pd_setup_frozen(char text[PD_SETUP_FROZEN], const pd_network *network);

/* The same for the last step before a checkpoint. */
pd_status pd_setup_frozen_checkpoint(char text[PD_SETUP_FROZEN], const pd_checkpoint *checkpoint);

/* The model's name in checkpoints of imported models, and of jobs that name a file as their
 * network: the network is that of model_config. */
#define PD_SETUP_IMPORTED "imported"

/* The model's name in the job's checkpoints. */
const char *pd_setup_model_name(const pd_job *job);

/* Fails unless the checkpoint has exactly the weights of its network: weights that are missing,
 * superfluous or of another shape are an error that names them. Takes no memory for them: a few
 * words in a job or in model_config ask for any amount. `job` is the checkpoint's. Messages do not
 * name the file. */
pd_status pd_setup_check(const pd_job *job, const pd_checkpoint *checkpoint);

/* Builds the network of a checkpoint, after pd_setup_check, and stores how images become its input.
 * The caller owns *network. */
pd_status pd_setup_checkpoint(pd_network **network, pd_input *input, const pd_job *job,
                              const pd_checkpoint *checkpoint);

/* Floats of a slice of a reduction bucket below which its latency exceeds its transfer time. */
enum { PD_SLICE_LEAST = 1024 };

/* Floats of a reduction bucket: run.bucket_kib, or more if the slices of so many ranks would be
 * shorter than PD_SLICE_LEAST. */
size_t pd_setup_bucket(const pd_job *job, int ranks);

/* Copies the checkpoint's weights and state into its planned network, after pd_setup_check. */
pd_status pd_setup_load_weights(pd_network *network, const pd_checkpoint *checkpoint);

#endif
