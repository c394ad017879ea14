/* Convolution by plain loops: what pd_conv_* and pd_winograd_* are tested against. The arguments
 * are those of pneumo/kernels/conv.h. */
#ifndef PNEUMO_KERNELS_CONV_REFERENCE_H
#define PNEUMO_KERNELS_CONV_REFERENCE_H

#include "pneumo/kernels/conv_shape.h"

#include <stdbool.h>
#include <stddef.h>

void pd_conv_reference_forward(const pd_conv_shape *shape, const float *x, const float *kernel,
                               const float *bias, bool relu, float *y);
void pd_conv_reference_backward_input(const pd_conv_shape *shape, const float *dy,
                                      const float *kernel, float *dx);
void pd_conv_reference_backward_kernel(const pd_conv_shape *shape, const float *x, const float *dy,
                                       float *dkernel, float *dbias, size_t stride);

#endif
