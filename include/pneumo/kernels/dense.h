/* The dense layer's products, forward and backward.
 *
 * Layouts: x [samples][inputs], weights [inputs][units], bias [units], y and dy [samples][units];
 * samples are lanes * lane_samples, lane by lane.
 *
 * With thousands of inputs and few samples, reading the weights takes most of the time, so threads
 * divide the inputs, and every weight is read once for all samples. Sums over the inputs are cut
 * into chunks of fixed size and folded in order: a sample's bits depend neither on the number of
 * threads nor on the other samples.
 *
 * `workspace` holds as many floats as the function of the same name + _workspace returns. What it
 * returns for a number of samples and threads is enough for fewer. */
#ifndef PNEUMO_KERNELS_DENSE_H
#define PNEUMO_KERNELS_DENSE_H

#include <stdbool.h>
#include <stddef.h>

/* All are at least 1. */
typedef struct pd_dense_shape {
    int lanes;
    int lane_samples; /* of each lane */
    int inputs, units;
    int threads;
} pd_dense_shape;

/* y = x weights + bias (may be NULL); with `relu`, negative sums become 0 (and NaN stays NaN). */
void pd_dense_forward(const pd_dense_shape *shape, const float *x, const float *weights,
                      const float *bias, bool relu, float *y, float *workspace);
size_t pd_dense_forward_workspace(const pd_dense_shape *shape);

/* dx = dy weights^T, overwritten. Unlike elsewhere, the bits of a sample may depend on
 * lane_samples.
 */
void pd_dense_backward_input(const pd_dense_shape *shape, const float *dy, const float *weights,
                             float *dx);

/* The gradient of each lane: of the weights at dweights + lane * stride (x^T dy over the lane's
 * samples), of the bias at dbias + lane * stride (dbias may be NULL). Both are overwritten.
 * `stride` is in floats. */
void pd_dense_backward_weights(const pd_dense_shape *shape, const float *x, const float *dy,
                               float *dweights, float *dbias, size_t stride, float *workspace);
size_t pd_dense_backward_weights_workspace(const pd_dense_shape *shape);

#endif
