/* Losses on logits, and the probabilities that logits stand for. All arithmetic is in double. */
#ifndef PNEUMO_NN_LOSS_H
#define PNEUMO_NN_LOSS_H

#include <stdint.h>

/* Weighted binary cross-entropy of lanes * lane_samples logits, stable for logits of any size.
 *
 * logit, target (0 or 1) and weight are [lanes][lane_samples]; weight NULL means 1. Label smoothing
 * makes the target target * (1 - smoothing) + smoothing / 2. With `scale` usually 1 / batch:
 * dlogit (may be NULL) = scale * weight * (sigmoid(logit) - target), and lane_loss[lane] = scale *
 * sum of weight * loss, in the order of the samples. */
void pd_loss_binary(const float *logit, const float *target, const float *weight, int lanes,
                    int lane_samples, double smoothing, double scale, float *dlogit,
                    double *lane_loss);

/* The same for softmax cross-entropy: logit and dlogit are [lanes][lane_samples][classes], label is
 * [lanes][lane_samples] in [0, classes). Smoothing makes the target onehot * (1 - smoothing) +
 * smoothing / classes. The label of a sample of weight 0 is not looked at, so it may be unknown. */
void pd_loss_softmax(const float *logit, const int32_t *label, const float *weight, int classes,
                     int lanes, int lane_samples, double smoothing, double scale, float *dlogit,
                     double *lane_loss);

/* The probability of the positive class: the sigmoid of a logit. */
double pd_loss_probability(double logit);

/* The softmax of one row of logits: probability [classes]. */
void pd_loss_probabilities(const float *logit, int classes, double *probability);

#endif
