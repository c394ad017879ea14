/* 3 x 3 convolution with stride 1 by Winograd's minimal filtering F(4 x 4, 3 x 3): Lavin and Gray,
 * arXiv:1509.09308.
 *
 * Outputs are cut into tiles of 4 x 4. A tile's 6 x 6 inputs, per channel, and the 3 x 3 kernel,
 * per pair of channels, are transformed to 36 positions; at each position a convolution is a plain
 * product over channels. That takes 36 multiply-adds where the definition takes 144.
 *
 * Layouts, signatures and workspace are those of pneumo/kernels/conv.h, and so is the guarantee on
 * what the bits depend on. The window is 3 x 3 with stride 1. The bits differ from those of
 * pd_conv_*: the largest error is about 5e-6 of the largest output, mostly rounding in the
 * transforms. Non-finite values spread differently, too: one infinite input makes its whole tile
 * NaN. */
#ifndef PNEUMO_KERNELS_WINOGRAD_H
#define PNEUMO_KERNELS_WINOGRAD_H

#include "pneumo/kernels/conv_shape.h"

#include <stdbool.h>
#include <stddef.h>

/* Whether these functions can compute the convolution, and are faster than those of
 * pneumo/kernels/conv.h. Depends only on the arguments, so all ranks choose the same. */
bool pd_winograd_suits(const pd_window *window, int k);

size_t pd_winograd_prepared_size(const pd_conv_shape *shape);
void pd_winograd_prepare(const pd_conv_shape *shape, const float *kernel, float *prepared);

void pd_winograd_forward(const pd_conv_shape *shape, const void *x, const float *prepared,
                         const float *bias, bool relu, void *y, float *workspace);
size_t pd_winograd_forward_workspace(const pd_conv_shape *shape);

void pd_winograd_backward_input(const pd_conv_shape *shape, const void *dy, const float *kernel,
                                const void *mask, void *dx, float *workspace);
size_t pd_winograd_backward_input_workspace(const pd_conv_shape *shape);

void pd_winograd_backward_kernel(const pd_conv_shape *shape, const void *x, const void *dy,
                                 float *dkernel, float *dbias, size_t stride, float *workspace);
size_t pd_winograd_backward_kernel_workspace(const pd_conv_shape *shape);

#endif
