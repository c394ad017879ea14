/* The memory that a rank needs to train a job, computed without allocating it. */
#ifndef PNEUMO_TRAIN_FOOTPRINT_H
#define PNEUMO_TRAIN_FOOTPRINT_H

#include "pneumo/comm/comm.h"
#include "pneumo/io/dataset.h"
#include "pneumo/train/job.h"

#include <stdbool.h>

/* Bytes, of one rank. */
typedef struct pd_footprint {
    double network;    /* weights, activations, gradients of lanes */
    double optimizer;  /* its slots, with the moving average */
    double reduction;  /* gradients of subtrees, local and in transfer */
    double batch;      /* network input of a step, and of a chunk of the validation fold */
    double images;     /* of this rank's lanes and its slice of the validation fold; 0 if they
                          are streamed */
    double checkpoint; /* a checkpoint in memory before it is written, on rank 0 */
    double total;
    double file; /* bytes of a checkpoint on disk, on every rank */
} pd_footprint;

/* The memory for training `job` on images such as those of `info` on this rank, with `threads`
 * threads, in the stage that takes more. After pd_comm_set_lanes and pd_comm_set_group_size. Not
 * collective. */
pd_status pd_footprint_plan(pd_footprint *out, const pd_comm *comm, const pd_job *job,
                            const pd_dataset_info *info, int threads);

/* The bytes by which training takes more once all layers are trained than in the first stage; 0
 * with one stage. `network` is the job's. */
pd_status pd_footprint_growth(double *bytes, const pd_comm *comm, const pd_job *job,
                              const pd_network *network, int threads);

/* --- Whether images are held in memory or streamed from the data set. --- */

/* The percentage of the free memory that images may occupy. The rest is for checkpoints, the
 * system's cache and other programs. */
enum { PD_IMAGES_PERCENT = 50 };

/* Bytes of the images that this rank would hold. After pd_comm_set_lanes. */
double pd_footprint_image_bytes(const pd_comm *comm, const pd_job *job,
                                const pd_dataset_info *info);

/* `bytes` as a percentage of this rank's equal share of the memory that its host has free now. */
double pd_footprint_image_percent(const pd_comm *comm, double bytes);

/* Whether images that occupy that percentage of their rank's memory are streamed. In training all
 * ranks use the largest percentage. */
bool pd_footprint_streams(const pd_job *job, double percent);

#endif
