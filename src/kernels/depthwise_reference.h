/* Depthwise convolution by plain loops: what pd_depthwise_* are tested against. The arguments are
 * those of pneumo/kernels/depthwise.h. */
#ifndef PNEUMO_KERNELS_DEPTHWISE_REFERENCE_H
#define PNEUMO_KERNELS_DEPTHWISE_REFERENCE_H

#include "pneumo/kernels/depthwise.h"

void pd_depthwise_reference_forward(const pd_depthwise_shape *shape, const float *x,
                                    const float *kernel, float *y);
void pd_depthwise_reference_backward_input(const pd_depthwise_shape *shape, const float *x,
                                           const float *dy, const float *kernel, float *dx);
void pd_depthwise_reference_backward_kernel(const pd_depthwise_shape *shape, const float *x,
                                            const float *dy, float *dkernel, size_t stride);

#endif
