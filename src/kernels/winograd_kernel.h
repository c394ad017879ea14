/* The transformed kernel of a Winograd convolution. */
#ifndef PNEUMO_KERNELS_WINOGRAD_KERNEL_H
#define PNEUMO_KERNELS_WINOGRAD_KERNEL_H

#include "winograd_plan.h"

/* Transforms kernel[3][3][c][k] to transformed[position][panel][c][columns of panel]; positions are
 * pd_winograd_plan_kernel_step floats apart. If `turned`, kernel is [3][3][k][c], and is turned by
 * 180 degrees and transposed. The values of columns past the last one are unspecified. */
void pd_winograd_kernel_transform(const pd_winograd_plan *plan, const float *kernel, bool turned,
                                  float *transformed);

#endif
