/* Depthwise convolution: every channel has a window of its own and gives one channel.
 *
 * Layouts: x [samples][h][w][c], y and dy [samples][out_h][out_w][c], kernel [kernel_h][kernel_w]
 * [c], which in memory is Keras' [kernel_h][kernel_w][c][1]; sizes from the window
 * (pneumo/kernels/window.h), out_h and out_w at least 1, samples and threads at least 1:
 *
 *   y[oy][ox][c] = sum over ky, kx of in(x[iy][ix][c]) * kernel[ky][kx][c]
 *   with iy = oy * stride - pad_top + ky, ix = ox * stride - pad_left + kx
 *
 * and in(x) = max(x, 0) with `relu`, else x: a ReLU before the convolution costs neither a pass nor
 * a copy. Every pass reads and writes each array once; windows of three columns with stride 1 are
 * the fast ones. Outputs are overwritten and must not overlap the inputs. A sample's bits depend
 * neither on the threads nor on the other samples, a lane's neither on the threads nor on the other
 * lanes. */
#ifndef PNEUMO_KERNELS_DEPTHWISE_H
#define PNEUMO_KERNELS_DEPTHWISE_H

#include "pneumo/kernels/window.h"

#include <stddef.h>

void pd_depthwise_forward(const pd_window *window, int samples, bool relu, const float *x,
                          const float *kernel, float *y, int threads);

/* dy, kernel -> dx. x is read only with `relu`, and may be NULL without: dx is 0 where x is not
 * positive. */
void pd_depthwise_backward_input(const pd_window *window, int samples, bool relu, const float *x,
                                 const float *dy, const float *kernel, float *dx, int threads);

/* x, dy of lanes * lane_samples samples -> the kernel's gradient of each lane at
 * dkernel + lane * stride, which is in floats. */
void pd_depthwise_backward_kernel(const pd_window *window, int lanes, int lane_samples, bool relu,
                                  const float *x, const float *dy, float *dkernel, size_t stride,
                                  float *workspace, int threads);

/* Floats of that workspace. */
size_t pd_depthwise_backward_kernel_workspace(const pd_window *window, int threads);

/* The same by plain loops: what the functions above are tested against. */
void pd_depthwise_reference_forward(const pd_window *window, int samples, bool relu, const float *x,
                                    const float *kernel, float *y);
void pd_depthwise_reference_backward_input(const pd_window *window, int samples, bool relu,
                                           const float *x, const float *dy, const float *kernel,
                                           float *dx);
void pd_depthwise_reference_backward_kernel(const pd_window *window, int lanes, int lane_samples,
                                            bool relu, const float *x, const float *dy,
                                            float *dkernel, size_t stride);

#endif
