/* Convolution with a window of 1 x 1: a matrix product over the pixels. pd_conv_* pass such windows
 * to these functions, which take the same arrays and give the same guarantees
 * (pneumo/kernels/conv.h).
 *
 * Images are read and written in place; with stride s, only the pixels that the window visits are
 * copied, so every pass costs 1 / (s * s) of that with stride 1. */
#ifndef PNEUMO_KERNELS_POINTWISE_H
#define PNEUMO_KERNELS_POINTWISE_H

#include "pneumo/kernels/conv_shape.h"

#include <stddef.h>

/* Whether the window is 1 x 1. */
static inline bool pd_pointwise_fits(const pd_window *window)
{
    return window->kernel_h == 1 && window->kernel_w == 1;
}

size_t pd_pointwise_prepared_size(const pd_conv_shape *shape);
void pd_pointwise_prepare(const pd_conv_shape *shape, const float *kernel, float *prepared);

void pd_pointwise_forward(const pd_conv_shape *shape, const void *x, const float *prepared,
                          const float *bias, bool relu, void *y, float *workspace);
size_t pd_pointwise_forward_workspace(const pd_conv_shape *shape);

/* Without a mask. */
void pd_pointwise_backward_input(const pd_conv_shape *shape, const void *dy, const float *kernel,
                                 void *dx, float *workspace);
size_t pd_pointwise_backward_input_workspace(const pd_conv_shape *shape);

void pd_pointwise_backward_kernel(const pd_conv_shape *shape, const void *x, const void *dy,
                                  float *dkernel, float *dbias, size_t stride, float *workspace);
size_t pd_pointwise_backward_kernel_workspace(const pd_conv_shape *shape);

#endif
