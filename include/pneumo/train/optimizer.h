/* Optimisers: one update of a weight vector from its gradient, the same on every rank.
 *
 * SGD with (Nesterov) momentum as in Keras; Adam (arXiv:1412.6980); AdamW (arXiv:1711.05101,
 * decoupled decay times the learning rate); RMSprop (Hinton's lecture 6e). */
#ifndef PNEUMO_TRAIN_OPTIMIZER_H
#define PNEUMO_TRAIN_OPTIMIZER_H

#include "pneumo/nn/network.h"
#include "pneumo/train/job.h"

typedef struct pd_optimizer pd_optimizer;

/* For the network's trainable weights and, if job->ema > 0, the moving average of weights and
 * state. `network` is borrowed and must be planned and initialised. The caller owns *out. */
pd_status pd_optimizer_create(pd_optimizer **out, const pd_job *job, pd_network *network);

/* Floats of the vectors that pd_optimizer_create makes for that many weights and state. */
size_t pd_optimizer_floats(const pd_job *job, size_t weights, size_t state);

void pd_optimizer_destroy(pd_optimizer **optimizer);

/* One step: adds the L1 and L2 gradients, clips the global norm, updates the weights at
 * `learning_rate` and the moving average. gradient [trainable] is left as it is. *norm gets the
 * gradient's norm before clipping (may be not finite: then nothing is updated). `step` counts from
 * 0. Deterministic for any number of threads: sums are taken over blocks of fixed size. */
void pd_optimizer_step(pd_optimizer *optimizer, const float *gradient, double learning_rate,
                       int64_t step, double *norm);

/* The slots to be kept in a checkpoint: *names and *vectors of pd_optimizer_slots() entries, each
 * vector laid out like the network's trainable weights (or state, where of_state is set). Owned by
 * the optimiser; a resume fills the vectors. */
typedef struct pd_optimizer_slot {
    const char *name; /* "momentum", "mean", "variance", "average", "average_state" */
    float *vector;
    bool of_state;
} pd_optimizer_slot;
int pd_optimizer_slots(pd_optimizer *optimizer, pd_optimizer_slot slots[4]);

/* Swaps the network's weights and state with their moving average (for evaluation, and back).
 * In between, the slots hold the network's own weights and must not be saved. Nothing happens when
 * job->ema is 0. The average is bias-corrected by a warm-up of its decay:
 * min(ema, (1 + step) / (10 + step)). */
void pd_optimizer_swap_average(pd_optimizer *optimizer);

#endif
