/* 2-D convolution, forward and backward.
 *
 * Layouts: x [samples][h][w][c], y and dy [samples][out_h][out_w][k], kernel [kernel_h][kernel_w]
 * [c][k], bias [k]; sizes from the window (pneumo/kernels/window.h), out_h and out_w at least 1,
 * samples and threads at least 1. As everywhere in this field the kernel is not flipped:
 *
 *   y[oy][ox][k] = bias[k] + sum over ky, kx, c of x[iy][ix][c] * kernel[ky][kx][c][k]
 *   with iy = oy * stride - pad_top + ky, ix = ox * stride - pad_left + kx
 *
 * Direct convolution with register tiles (pneumo/kernels/tile.h) on zero-padded copies of bands of
 * the input that stay in the second-level cache; windows of 1 x 1 are matrix products
 * (pneumo/kernels/pointwise.h). Work is shared out by outputs, never within a sum:
 * the bits of a sample's result depend neither on the threads nor on the other samples, and those
 * of a lane's gradient neither on the threads nor on the other lanes.
 *
 * `workspace` holds as many floats as the function of the same name + _workspace says; what it says
 * for some number of samples is enough for fewer, with the same threads. */
#ifndef PNEUMO_KERNELS_CONV_H
#define PNEUMO_KERNELS_CONV_H

#include "pneumo/kernels/window.h"

#include <stddef.h>

/* x, kernel, bias (may be NULL) -> y; with `relu`, negative sums become 0 (and NaN stays NaN). */
void pd_conv_forward(const pd_window *window, int samples, int k, const float *x,
                     const float *kernel, const float *bias, bool relu, float *y, float *workspace,
                     int threads);
size_t pd_conv_forward_workspace(const pd_window *window, int samples, int k, int threads);

/* dy, kernel -> dx (overwritten). With stride 1 it costs as much as forward; with stride s, s * s
 * times as much, because it runs over a copy of dy with zeros in between, unless the window is
 * 1 x 1. */
void pd_conv_backward_input(const pd_window *window, int samples, int k, const float *dy,
                            const float *kernel, float *dx, float *workspace, int threads);
size_t pd_conv_backward_input_workspace(const pd_window *window, int samples, int k, int threads);

/* x, dy of lanes * lane_samples samples, lane by lane -> the gradient of each lane: of the kernel
 * at dkernel + lane * stride, of the bias at dbias + lane * stride (dbias may be NULL). Both are
 * overwritten. `stride` is in floats. */
void pd_conv_backward_kernel(const pd_window *window, int lanes, int lane_samples, int k,
                             const float *x, const float *dy, float *dkernel, float *dbias,
                             size_t stride, float *workspace, int threads);
size_t pd_conv_backward_kernel_workspace(const pd_window *window, int lane_samples, int k,
                                         int threads);

/* The same by plain loops: what the functions above are tested against. */
void pd_conv_reference_forward(const pd_window *window, int samples, int k, const float *x,
                               const float *kernel, const float *bias, bool relu, float *y);
void pd_conv_reference_backward_input(const pd_window *window, int samples, int k, const float *dy,
                                      const float *kernel, float *dx);
void pd_conv_reference_backward_kernel(const pd_window *window, int lanes, int lane_samples, int k,
                                       const float *x, const float *dy, float *dkernel,
                                       float *dbias, size_t stride);

#endif
