/* Elementwise functions on n elements: activations, sums, dropout. Outputs are overwritten; an
 * output may be the same array as an input. Elements are floats, or of the precision that is
 * stated. */
#ifndef PNEUMO_KERNELS_ACTIVATION_H
#define PNEUMO_KERNELS_ACTIVATION_H

#include "pneumo/kernels/precision.h"

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
void pd_copy(pd_precision precision, size_t n, const void *x, void *y, int threads);

/* y = max(x, 0); NaN stays NaN. */
void pd_relu(pd_precision precision, size_t n, const void *x, void *y, int threads);

/* dx = dy where y > 0, else 0. */
void pd_relu_backward(pd_precision precision, size_t n, const void *y, const void *dy, void *dx,
                      int threads);

/* y = slope * x where x < 0, else min(x, limit); NaN stays NaN. */
void pd_rectify(size_t n, const float *x, float slope, float limit, float *y, int threads);

/* dx = slope * dy where x < 0, dy where 0 < x < limit, else 0. */
void pd_rectify_backward(size_t n, const float *x, const float *dy, float slope, float limit,
                         float *dx, int threads);

/* y = x where x > 0, else alpha * (exp(x) - 1). Clevert et al., arXiv:1511.07289. */
void pd_elu(size_t n, const float *x, float alpha, float *y, int threads);

/* dx = dy where y > 0, else dy * (y + alpha); alpha is not negative. */
void pd_elu_backward(size_t n, const float *y, const float *dy, float alpha, float *dx,
                     int threads);

/* y = 1 / (1 + exp(-x)). */
void pd_logistic(size_t n, const float *x, float *y, int threads);

/* dx = dy * y * (1 - y). */
void pd_logistic_backward(size_t n, const float *y, const float *dy, float *dx, int threads);

/* y = a + b, then ReLU if asked. */
void pd_add(pd_precision precision, size_t n, const void *a, const void *b, bool relu, void *y,
            int threads);

/* y [rows][c] += bias [c]. */
void pd_add_bias(pd_precision precision, size_t rows, size_t c, const float *bias, void *y,
                 int threads);

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
