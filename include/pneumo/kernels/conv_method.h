/* The two ways to convolve, as tables of their functions. */
#ifndef PNEUMO_KERNELS_CONV_METHOD_H
#define PNEUMO_KERNELS_CONV_METHOD_H

#include "pneumo/kernels/conv_shape.h"

#include <stdbool.h>
#include <stddef.h>

/* The functions of pneumo/kernels/conv.h, which describes them, or winograd.h. */
typedef struct pd_conv_method {
    size_t (*prepared_size)(const pd_conv_shape *shape);
    void (*prepare)(const pd_conv_shape *shape, const float *kernel, float *prepared);
    void (*forward)(const pd_conv_shape *shape, const void *x, const float *prepared,
                    const float *bias, bool relu, void *y, float *workspace);
    size_t (*forward_workspace)(const pd_conv_shape *shape);
    void (*backward_input)(const pd_conv_shape *shape, const void *dy, const float *kernel,
                           const void *mask, void *dx, float *workspace);
    size_t (*backward_input_workspace)(const pd_conv_shape *shape);
    void (*backward_kernel)(const pd_conv_shape *shape, const void *x, const void *dy,
                            float *dkernel, float *dbias, size_t stride, float *workspace);
    size_t (*backward_kernel_workspace)(const pd_conv_shape *shape);
} pd_conv_method;

extern const pd_conv_method pd_conv_direct, pd_conv_winograd;

#endif
