/* Depthwise convolution: every channel has a kernel of its own and gives one channel.
 *
 * Layouts: x [samples][h][w][c], y and dy [samples][out_h][out_w][c], kernel [kernel_h][kernel_w]
 * [c], which in memory is Keras' [kernel_h][kernel_w][c][1]; samples are lanes * lane_samples, lane
 * by lane:
 *
 *   y[oy][ox][c] = sum over ky, kx of in(x[iy][ix][c]) * kernel[ky][kx][c]
 *   with iy = oy * stride - pad_top + ky, ix = ox * stride - pad_left + kx
 *
 * x, y and their gradients have the shape's precision; kernels are floats. in(x) = max(x, 0) with
 * `relu`, else x: a ReLU before the convolution costs neither a pass nor a copy. Every pass reads
 * and writes each array once; windows of three columns with stride 1 are the fast ones. Outputs are
 * overwritten and must not overlap the inputs. A sample's bits depend neither on the number of
 * threads nor on the other samples, a lane's gradient neither on the number of threads nor on the
 * other lanes. */
#ifndef PNEUMO_KERNELS_DEPTHWISE_H
#define PNEUMO_KERNELS_DEPTHWISE_H

#include "pneumo/kernels/precision.h"
#include "pneumo/kernels/window.h"

#include <stddef.h>

/* All sizes are at least 1, out_h and out_w of the window included. */
typedef struct pd_depthwise_shape {
    pd_window window;
    bool relu; /* on the input */
    int lanes;
    int lane_samples; /* of each lane */
    int threads;
    pd_precision precision;
} pd_depthwise_shape;

void pd_depthwise_forward(const pd_depthwise_shape *shape, const void *x, const float *kernel,
                          void *y);

/* dy, kernel -> dx. With `relu`, dx is 0 where x is not positive; without, x is not read and may be
 * NULL. */
void pd_depthwise_backward_input(const pd_depthwise_shape *shape, const void *x, const void *dy,
                                 const float *kernel, void *dx);

/* x, dy -> the kernel's gradient of each lane at dkernel + lane * stride, which is in floats.
 * `workspace` holds as many floats as the function below returns. */
void pd_depthwise_backward_kernel(const pd_depthwise_shape *shape, const void *x, const void *dy,
                                  float *dkernel, size_t stride, float *workspace);
size_t pd_depthwise_backward_kernel_workspace(const pd_depthwise_shape *shape);

#endif
