/* The dense layer's products, forward and backward.
 *
 * Layouts: x [samples][inputs], weights [inputs][units], bias [units], y and dy [samples][units].
 * All sizes and threads are at least 1.
 *
 * With thousands of inputs and few samples the time goes into reading the weights, so threads share
 * out the inputs and every weight is read once for all samples. Sums over the inputs are cut into
 * chunks of fixed size and folded in order: a sample's bits depend neither on the threads nor on
 * the other samples.
 *
 * `workspace` holds as many floats as the function of the same name + _workspace says; what it says
 * for some number of samples and threads is enough for fewer. */
#ifndef PNEUMO_KERNELS_DENSE_H
#define PNEUMO_KERNELS_DENSE_H

#include <stdbool.h>
#include <stddef.h>

/* y = x weights + bias (may be NULL); with `relu`, negative sums become 0 (and NaN stays NaN). */
void pd_dense_forward(int samples, int inputs, int units, const float *x, const float *weights,
                      const float *bias, bool relu, float *y, float *workspace, int threads);
size_t pd_dense_forward_workspace(int samples, int inputs, int units, int threads);

/* dx = dy weights^T, overwritten, for lanes * lane_samples samples. Here the bits of a sample may
 * depend on lane_samples. */
void pd_dense_backward_input(int lanes, int lane_samples, int inputs, int units, const float *dy,
                             const float *weights, float *dx, int threads);

/* The gradient of each lane: of the weights at dweights + lane * stride (x^T dy over the lane's
 * samples), of the bias at dbias + lane * stride (dbias may be NULL). Both are overwritten. */
void pd_dense_backward_weights(int lanes, int lane_samples, int inputs, int units, const float *x,
                               const float *dy, float *dweights, float *dbias, size_t stride,
                               float *workspace, int threads);
size_t pd_dense_backward_weights_workspace(int lanes, int lane_samples, int units);

#endif
