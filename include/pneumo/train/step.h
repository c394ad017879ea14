/* One optimisation step: what training repeats, and what the command `bench` times. */
#ifndef PNEUMO_TRAIN_STEP_H
#define PNEUMO_TRAIN_STEP_H

#include "pneumo/comm/comm.h"
#include "pneumo/comm/reduction.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/io/dataset.h"
#include "pneumo/nn/network.h"
#include "pneumo/train/job.h"
#include "pneumo/train/optimizer.h"

/* The parts of a step, by which this rank's time is measured. */
typedef enum pd_step_part {
    PD_STEP_FORWARD, /* with the loss */
    PD_STEP_BACKWARD,
    PD_STEP_REDUCTION,  /* starting, folding and progressing the lane sum of the gradient */
    PD_STEP_WAITING,    /* blocked until that sum, or the use of the one before, is complete */
    PD_STEP_STATISTICS, /* the lane sums of batch statistics and of the loss, with waiting */
    PD_STEP_UPDATE,     /* the optimiser and the moving average */
    PD_STEP_PARTS
} pd_step_part;

/* The state of a step. Callers fill the batch and may read all fields. */
typedef struct pd_step {
    const pd_job *job; /* borrowed */
    pd_comm *comm;     /* borrowed */
    int threads;
    int stage; /* 0, or 1 after pd_step_unfreeze */
    const pd_task *task;
    int lane_samples; /* of one lane in one step */
    int samples;      /* held by this rank in one step, lane by lane */
    pd_network *network;
    pd_optimizer *optimizer;
    pd_reduction *reduction;

    /* This rank's slice of the batch, to be filled before a step. */
    pd_input input;           /* how images become x */
    size_t sample_floats;     /* size * size * channels */
    float *x;                 /* [samples][size][size][channels] */
    float *targets, *weights; /* [samples] */
    int32_t *labels;          /* [samples] */

    float *dlogits;      /* [samples][outputs], of one pass at a time */
    double *lane_losses; /* [lanes held here] */

    double seconds[PD_STEP_PARTS]; /* of this rank, in the last step; their sum is the whole step */
    pd_step_part part;             /* current, since clock time `since` */
    double since;
} pd_step;

/* Creates the job's network for images such as those of `info`, initialised by the job's seed, its
 * optimiser, and the buffers of a step. Sets the lanes (pd_comm_set_lanes). Release *step with
 * pd_step_tear_down, also after a failure. Collective; all ranks return the same status. */
pd_status pd_step_set_up(pd_step *step, pd_comm *comm, const pd_job *job,
                         const pd_dataset_info *info, int threads);

/* The same for a run. With `resumed`, the checkpoint from which the run continues, the network is
 * that of the checkpoint; without (NULL), the job's file gives the weights (model.from). */
pd_status pd_step_set_up_run(pd_step *step, pd_comm *comm, const pd_job *job,
                             const pd_dataset_info *info, int threads,
                             const pd_checkpoint *resumed);
void pd_step_tear_down(pd_step *step);

/* Trains all layers from now on: plans the network again, without frozen layers, with the same
 * weights, and prepares the optimiser (pd_optimizer_unfreeze) and the reduction for it. `number` is
 * that of the next step, counted over the whole run. After a failure the step is unusable.
 * Collective; all ranks return the same status. */
pd_status pd_step_unfreeze(pd_step *step, int64_t number);

/* Loss and gradient of the whole batch, the same on every rank. Of the network only the moving
 * statistics of batch normalisation change. `number` counts steps over the whole run, from 0. The
 * gradient [pd_network_gradient_count] is valid until the next step. An error on this rank alone
 * ends all ranks. Collective. */
pd_status pd_step_gradient(pd_step *step, int64_t number, double *loss, const float **gradient);

/* The whole step: pd_step_gradient, then the optimiser's update at `learning_rate`. *norm is the
 * gradient's. If the loss or the norm is not finite, the optimiser updates nothing. Collective. */
pd_status pd_step_take(pd_step *step, int64_t number, double learning_rate, double *loss,
                       double *norm);

/* Ends all ranks after an error in the middle of a step that occurred on this rank alone, such as a
 * lost connection: the others wait in a collective that this rank will not join. With one rank
 * returns `status`. */
pd_status pd_step_abort_all(const pd_step *step, pd_status status);

#endif
