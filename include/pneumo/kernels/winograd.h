/* 3 x 3 convolution with stride 1 by Winograd's minimal filtering F(4 x 4, 3 x 3): Lavin and Gray,
 * arXiv:1509.09308.
 *
 * Outputs are cut into tiles of 4 x 4. A tile's 6 x 6 inputs, per channel, and the 3 x 3 kernel,
 * per pair of channels, are transformed to 36 positions; at each position a convolution is a plain
 * product over channels. That takes 36 multiply-adds where the definition takes 144.
 *
 * Layouts, signatures and workspace are those of pneumo/kernels/conv.h; so is the promise that the
 * bits of a sample's result and of a lane's gradient depend on nothing else. The window is 3 x 3
 * with stride 1, and the bits are not those of pd_conv_*: the largest error is about 5e-6 of the
 * largest output, mostly rounding in the transforms. Which numbers are not finite differs, too: one
 * infinite input makes its whole tile NaN. */
#ifndef PNEUMO_KERNELS_WINOGRAD_H
#define PNEUMO_KERNELS_WINOGRAD_H

#include "pneumo/kernels/window.h"

#include <stddef.h>

/* Whether these functions are faster than those of pneumo/kernels/conv.h, and possible at all. A
 * function of its arguments alone, so that the choice is the same on all ranks. */
bool pd_winograd_suits(const pd_window *window, int k);

void pd_winograd_forward(const pd_window *window, int samples, int k, const float *x,
                         const float *kernel, const float *bias, bool relu, float *y,
                         float *workspace, int threads);
size_t pd_winograd_forward_workspace(const pd_window *window, int samples, int k, int threads);

/* With a mask (x's shape; may be NULL), dx is 0 where the mask is not positive: the gradient of a
 * ReLU that x has come out of. */
void pd_winograd_backward_input(const pd_window *window, int samples, int k, const float *dy,
                                const float *kernel, const float *mask, float *dx, float *workspace,
                                int threads);
size_t pd_winograd_backward_input_workspace(const pd_window *window, int samples, int k,
                                            int threads);

void pd_winograd_backward_kernel(const pd_window *window, int lanes, int lane_samples, int k,
                                 const float *x, const float *dy, float *dkernel, float *dbias,
                                 size_t stride, float *workspace, int threads);
size_t pd_winograd_backward_kernel_workspace(const pd_window *window, int lane_samples, int k,
                                             int threads);

#endif
