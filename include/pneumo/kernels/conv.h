/* 2-D convolution, forward and backward.
 *
 * Layouts: x [samples][h][w][c], y and dy [samples][out_h][out_w][k], kernel [kernel_h][kernel_w]
 * [c][k], bias [k]; samples are lanes * lane_samples, lane by lane. As usual in this field the
 * kernel is not flipped:
 *
 *   y[oy][ox][k] = bias[k] + sum over ky, kx, c of x[iy][ix][c] * kernel[ky][kx][c][k]
 *   with iy = oy * stride - pad_top + ky, ix = ox * stride - pad_left + kx
 *
 * Direct convolution with register tiles on zero-padded copies of bands of the input that stay in
 * the second-level cache; windows of 1 x 1 are matrix products. Threads divide outputs, never a
 * sum: a sample's bits depend neither on the number of threads nor on the other samples, and a
 * lane's gradient neither on the number of threads nor on the other lanes.
 *
 * `workspace` holds as many floats as the function of the same name + _workspace returns. What it
 * returns for a number of lanes and samples is enough for fewer, with the same threads. */
#ifndef PNEUMO_KERNELS_CONV_H
#define PNEUMO_KERNELS_CONV_H

#include "pneumo/kernels/conv_shape.h"

#include <stdbool.h>
#include <stddef.h>

/* kernel -> prepared[pd_conv_prepared_size]: the kernel as forward reads it. It does not depend on
 * the samples, so that calls for several of them can share it. */
size_t pd_conv_prepared_size(const pd_conv_shape *shape);
void pd_conv_prepare(const pd_conv_shape *shape, const float *kernel, float *prepared);

/* x, prepared, bias (may be NULL) -> y; with `relu`, negative sums become 0 (and NaN stays NaN). */
void pd_conv_forward(const pd_conv_shape *shape, const void *x, const float *prepared,
                     const float *bias, bool relu, void *y, float *workspace);
size_t pd_conv_forward_workspace(const pd_conv_shape *shape);

/* dy, kernel -> dx (overwritten). With a mask (x's shape; may be NULL), dx is 0 where the mask is
 * not positive: the gradient of a ReLU whose output is x. With stride 1 it costs as much as
 * forward; with stride s, s * s times as much, because it runs over a copy of dy with zeros in
 * between, unless the window is 1 x 1. */
void pd_conv_backward_input(const pd_conv_shape *shape, const void *dy, const float *kernel,
                            const void *mask, void *dx, float *workspace);
size_t pd_conv_backward_input_workspace(const pd_conv_shape *shape);

/* x, dy -> the gradient of each lane: of the kernel at dkernel + lane * stride, of the bias at
 * dbias + lane * stride (dbias may be NULL). Both are overwritten. `stride` is in floats. The
 * workspace does not grow with the lanes. */
void pd_conv_backward_kernel(const pd_conv_shape *shape, const void *x, const void *dy,
                             float *dkernel, float *dbias, size_t stride, float *workspace);
size_t pd_conv_backward_kernel_workspace(const pd_conv_shape *shape);

#endif
