/* Losses on logits. All arithmetic is in double. */
#ifndef PNEUMO_NN_LOSS_H
#define PNEUMO_NN_LOSS_H

#include <stdint.h>

/* The samples of one call, lane by lane, and where the results go. All arrays are borrowed. */
typedef struct pd_loss_batch {
    int lanes, lane_samples;
    int outputs;           /* logits per sample */
    const float *logits;   /* [lanes][lane_samples][outputs] */
    const float *targets;  /* binary: [lanes][lane_samples], in [0, 1] */
    const int32_t *labels; /* softmax: [lanes][lane_samples], in [0, outputs) */
    const float *weights;  /* [lanes][lane_samples]; NULL means 1 */
    double smoothing;      /* label smoothing, in [0, 1) */
    double scale;          /* factor on losses and gradients, usually 1 / batch */
    float *dlogits;        /* out: the gradient, of the shape of logits; may be NULL */
    double *lane_losses;   /* out: [lanes] */
} pd_loss_batch;

/* lane_losses[lane] = scale * sum of weight * loss over the lane's samples, in their order, and
 * dlogits = scale * weight * d loss / d logits. A logit that is NaN makes both NaN. */
typedef void (*pd_loss_function)(const pd_loss_batch *batch);

/* Binary cross-entropy of one logit per sample, stable for logits of any size. Label smoothing
 * makes the target target * (1 - smoothing) + smoothing / 2. */
void pd_loss_binary(const pd_loss_batch *batch);

/* Softmax cross-entropy. Label smoothing makes the target
 * onehot * (1 - smoothing) + smoothing / outputs. The label of a sample of weight 0 is not read, so
 * it may be unknown. */
void pd_loss_softmax(const pd_loss_batch *batch);

/* The probability of the positive class: the sigmoid of a logit. */
double pd_loss_probability(double logit);

#endif
