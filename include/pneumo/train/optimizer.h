/* Optimisers: one update of a weight vector from its gradient, the same on every rank.
 *
 * SGD with (Nesterov) momentum as in Keras; Adam (arXiv:1412.6980); AdamW (arXiv:1711.05101,
 * decoupled decay times the learning rate); RMSprop (Hinton's lecture 6e). */
#ifndef PNEUMO_TRAIN_OPTIMIZER_H
#define PNEUMO_TRAIN_OPTIMIZER_H

#include "pneumo/nn/network.h"

typedef enum pd_optimizer_kind {
    PD_SGD = 0,
    PD_ADAM = 1,
    PD_ADAMW = 2,
    PD_RMSPROP = 3,
    PD_OPTIMIZERS
} pd_optimizer_kind;

typedef struct pd_optimizer_spec {
    pd_optimizer_kind kind;
    double momentum;              /* sgd; rmsprop */
    bool nesterov;                /* sgd */
    double beta1, beta2, epsilon; /* adam, adamw; beta2 is rmsprop's rho */
    double l1,
        l2;       /* on kernels: adds the gradient of l1 |w| + l2 w^2; reported losses exclude it */
    double l2_sp; /* on kernels below the head: adds the gradient of l2_sp (w - start)^2 (Li,
                     Grandvalet and Davoine, arXiv:1802.01483) */
    double weight_decay; /* adamw: decoupled, on kernels */
    double rate_decay; /* factor on the learning rate from each group of layers (pd_network_groups)
                          to the next one below */
    double ema;        /* decay of the weights' moving average (ema) per step; 0: off */
    double clip_norm;  /* largest norm of the gradient; 0: any */
} pd_optimizer_spec;

struct pd_optimizer_update; /* one block of weights; see src/train/optimizer_update.h */

typedef struct pd_optimizer_type {
    const char *name;     /* in job files */
    bool momentum;        /* has a momentum slot, if spec->momentum > 0 */
    bool mean, variance;  /* has slots of the gradient's moving mean, and mean square */
    bool decouples_decay; /* applies weight_decay */
    void (*update)(const struct pd_optimizer_update *update);
} pd_optimizer_type;

extern const pd_optimizer_type pd_optimizer_types[PD_OPTIMIZERS];

typedef struct pd_optimizer pd_optimizer;

/* For the network's weights that are not frozen and, if spec->ema > 0, the moving average of these
 * weights and their layers' state. `network` is borrowed, must be planned and hold the weights to
 * start from, which L2-SP keeps. The caller owns *out. */
pd_status pd_optimizer_create(pd_optimizer **out, const pd_optimizer_spec *spec,
                              pd_network *network);

/* Replaces *optimizer, whose network may be gone, by one for `network`, which is the same with the
 * same weights but fewer frozen layers. Slots of weights that were trained before are taken over.
 * Those of the others, their moving average and their count of steps begin as in a new run, at step
 * `step`. After a failure *optimizer is unchanged. */
pd_status pd_optimizer_unfreeze(pd_optimizer **optimizer, pd_network *network, int64_t step);

/* Floats of the slots that pd_optimizer_create allocates for a network, planned or measured. */
size_t pd_optimizer_floats(const pd_optimizer_spec *spec, pd_network *network);

void pd_optimizer_destroy(pd_optimizer **optimizer);

/* One step: adds the L1 and L2 gradients, clips the global norm, updates the weights at
 * `learning_rate` and the moving average. gradient [pd_network_gradient_count] is not modified.
 * *norm receives the gradient's norm before clipping; if it is not finite, nothing is updated.
 * `step` counts from 0. Deterministic for any number of threads: sums are taken over blocks of
 * fixed size. */
void pd_optimizer_step(pd_optimizer *optimizer, const float *gradient, double learning_rate,
                       int64_t step, double *norm);

/* A vector to be kept in a checkpoint: element i belongs to element first + i of the network's
 * weights (or of its state if of_state is set). Owned by the optimiser; resuming fills it. */
typedef struct pd_optimizer_slot {
    const char *name; /* "momentum", "mean", "variance", "average", "average_state", "start" */
    float *vector;    /* [count] */
    size_t first, count;
    bool of_state;
} pd_optimizer_slot;

/* The tensor's elements of the slot; NULL if the slot has none. */
float *pd_optimizer_slot_at(const pd_optimizer_slot *slot, const pd_tensor *tensor);

/* No optimiser has more: momentum, or mean and variance, or momentum and variance; with a moving
 * average two more, with L2-SP one more. */
enum { PD_OPTIMIZER_SLOTS_MAX = 5 };

/* Fills slots[] and returns their number. */
int pd_optimizer_slots(pd_optimizer *optimizer, pd_optimizer_slot slots[PD_OPTIMIZER_SLOTS_MAX]);

/* Swaps the network's weights and state with their moving average (for evaluation, and back). In
 * between, the slots hold the network's own weights and must not be saved under their own names.
 * Does nothing when spec->ema is 0. The average is bias-corrected by a warm-up of its decay:
 * min(ema, (1 + step) / (10 + step)). */
void pd_optimizer_swap_ema(pd_optimizer *optimizer);

#endif
