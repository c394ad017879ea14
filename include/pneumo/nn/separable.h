/* The layer "separable": a depthwise convolution, then a pointwise one, with nothing in between
 * (Chollet, arXiv:1610.02357; Keras' SeparableConv2D).
 *
 * Reads spec.units (output channels), kernel_h, kernel_w, stride (0 means 1), padding, relu,
 * relu_first, no_bias and init. Params: depthwise_kernel [kernel_h][kernel_w][c][1],
 * pointwise_kernel [1][1][c][units], bias [units]. Keeps its input, but not what passes between the
 * two convolutions: backward computes that anew, a few samples at a time. */
#ifndef PNEUMO_NN_SEPARABLE_H
#define PNEUMO_NN_SEPARABLE_H

#include "pneumo/nn/layer.h"

extern const pd_layer_type pd_layer_separable;

#endif
