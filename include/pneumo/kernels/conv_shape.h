/* The sizes of one call of a convolution. */
#ifndef PNEUMO_KERNELS_CONV_SHAPE_H
#define PNEUMO_KERNELS_CONV_SHAPE_H

#include "pneumo/kernels/precision.h"
#include "pneumo/kernels/window.h"

/* Everything is at least 1, out_h and out_w of the window included. Without lanes, as for
 * inference, lanes is 1. */
typedef struct pd_conv_shape {
    pd_window window;
    int k; /* output channels */
    int lanes;
    int lane_samples; /* of each lane */
    int threads;
    pd_precision precision; /* of x, y, masks and their gradients; kernels and biases are floats */
} pd_conv_shape;

static inline int pd_conv_samples(const pd_conv_shape *shape)
{
    return shape->lanes * shape->lane_samples;
}

#endif
