/* Elementwise functions on n floats: ReLU, sums, dropout. Outputs are overwritten; an output may be
 * the same array as an input. */
#ifndef PNEUMO_KERNELS_ACTIVATION_H
#define PNEUMO_KERNELS_ACTIVATION_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 1 / (1 + exp(-x)) without overflow for any x. */
static inline double pd_sigmoid(double x)
{
    double e = exp(-fabs(x));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/* y = x. */
void pd_copy(size_t n, const float *x, float *y, int threads);

/* y = max(x, 0); NaN stays NaN. */
void pd_relu(size_t n, const float *x, float *y, int threads);

/* dx = dy where y > 0, else 0. */
void pd_relu_backward(size_t n, const float *y, const float *dy, float *dx, int threads);

/* y = a + b, then ReLU if asked. */
void pd_add(size_t n, const float *a, const float *b, bool relu, float *y, int threads);

/* Identifies the random numbers of one dropout layer in one step. */
typedef struct pd_dropout {
    uint64_t seed;
    uint32_t step;
    uint32_t layer;        /* the layer's number in its network, below 2^24 */
    uint64_t first_sample; /* index of the first sample in the global batch, below 2^40 */
    float rate;            /* fraction of elements set to 0, in [0, 1) */
} pd_dropout;

/* x [samples][size] -> y: each element is set to 0 with probability `rate`, else scaled by
 * 1 / (1 - rate). Whether an element is kept depends only on *dropout, the sample's index in the
 * global batch and the element's index in the sample. The backward pass is the same function, on
 * dy. */
void pd_dropout_apply(const pd_dropout *dropout, size_t samples, size_t size, const float *x,
                      float *y, int threads);

#endif
