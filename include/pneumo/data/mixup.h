/* Mixup: training on weighted means of pairs of images and of their labels (Zhang et al.,
 * arXiv:1710.09412). */
#ifndef PNEUMO_DATA_MIXUP_H
#define PNEUMO_DATA_MIXUP_H

#include <stdint.h>

/* Two elements of a lane's batch. Image a becomes share * a + (1 - share) * b, and b the reverse.
 */
typedef struct pd_mixup_pair {
    int a, b;
    float share; /* 0.5 to 1 */
} pd_mixup_pair;

/* Pairs the `count` samples of `lane` in optimisation step `step` at random; with an odd count,
 * one is left unmixed. The shares are drawn from Beta(alpha, alpha), 0 < alpha <= 1. A pure
 * function of its arguments. `order` has room for `count` numbers; pairs gets count / 2 entries. */
void pd_mixup_draw(pd_mixup_pair *pairs, int64_t *order, int count, double alpha, uint64_t seed,
                   int64_t step, int lane);

/* Mixes a and b, each [size], in place. */
void pd_mixup_blend(float *a, float *b, int64_t size, float share);

/* The target of a sample and its weight in the loss. */
typedef struct pd_mixup_target {
    float *target, *weight;
} pd_mixup_target;

/* Mixes targets and weights in place so that the loss, which is linear in the target, becomes the
 * same mean of the weighted losses of both samples. Weights are positive. */
void pd_mixup_blend_targets(pd_mixup_target a, pd_mixup_target b, float share);

#endif
