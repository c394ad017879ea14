/* One optimisation step: what training repeats, and what the command `bench` times. */
#ifndef PNEUMO_TRAIN_STEP_H
#define PNEUMO_TRAIN_STEP_H

#include "pneumo/comm/comm.h"
#include "pneumo/io/dataset.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/job.h"
#include "pneumo/train/optimizer.h"
#include "pneumo/comm/reduction.h"

/* What this rank spends the time of a step on. */
typedef enum pd_step_part {
    PD_STEP_FORWARD, /* the loss included */
    PD_STEP_BACKWARD,
    PD_STEP_REDUCTION,  /* starting, folding and moving on the lane sum of the gradient */
    PD_STEP_WAITING,    /* blocked until that sum is there */
    PD_STEP_STATISTICS, /* the lane sums of batch statistics and of the loss, waiting included */
    PD_STEP_UPDATE,     /* the optimiser and the moving average */
    PD_STEP_PARTS
} pd_step_part;

/* Everything that a step works on. The fields may be read, and the batch is filled, from outside.
 */
typedef struct pd_step {
    const pd_job *job; /* borrowed */
    pd_comm *comm;     /* borrowed */
    int threads;
    const pd_task *task;
    int lane_samples; /* of one lane in one step */
    int samples; /* held by this rank in one step, lane by lane */
    pd_network *network;
    pd_optimizer *optimizer;
    pd_reduction *reduction;

    /* This rank's part of the batch, to be filled before a step. */
    size_t sample_floats;     /* size * size * channels */
    float *x;                 /* [samples][size][size][channels] */
    float *targets, *weights; /* [samples] */
    int32_t *labels;          /* [samples] */

    float *dlogits;      /* [samples][outputs], of one pass at a time */
    double *lane_losses; /* [lanes held here] */

    double seconds[PD_STEP_PARTS]; /* of this rank, in the last step; they cover all of it */
    pd_step_part part;             /* being worked on, since `since` */
    double since;
} pd_step;

/* Makes the job's network for images such as those of `info`, initialised by the job's seed, its
 * optimiser, and the buffers of a step. Cuts the lanes (pd_comm_set_lanes). Release *step with
 * pd_step_tear_down, also after a failure. Collective; all ranks return the same status. */
pd_status pd_step_set_up(pd_step *step, pd_comm *comm, const pd_job *job,
                         const pd_dataset_info *info, int threads);
void pd_step_tear_down(pd_step *step);

/* Loss and gradient of the whole batch, the same on every rank; nothing is updated. `number` counts
 * steps over the whole run, from 0. The gradient [weights] is valid until the next step. An error
 * that other ranks cannot know of ends all ranks. Collective. */
pd_status pd_step_gradient(pd_step *step, int64_t number, double *loss, const float **gradient);

/* The whole step: pd_step_gradient, then the optimiser's update at `learning_rate`. *norm is the
 * gradient's. Where the loss or the norm is not finite nothing is updated. Collective. */
pd_status pd_step_take(pd_step *step, int64_t number, double learning_rate, double *loss,
                       double *norm);

/* After an error in the middle of a step that this rank alone knows of, such as a lost connection.
 * The others wait for it in a collective that it will not join, so it ends them. Without others
 * returns `status`. */
pd_status pd_step_abort_all(const pd_step *step, pd_status status);

#endif
