/* The layer "conv": 2-D convolution with bias and, fused, ReLU.
 *
 * Reads spec.units (output channels), kernel_h, kernel_w, stride (0 means 1), padding, relu,
 * no_bias and init. Params: kernel [kernel_h][kernel_w][c][units], bias [units]. */
#ifndef PNEUMO_NN_CONV_H
#define PNEUMO_NN_CONV_H

#include "pneumo/nn/layer.h"

extern const pd_layer_type pd_layer_conv;

#endif
