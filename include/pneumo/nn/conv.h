/* The layer "conv": 2-D convolution with bias and, fused, ReLU.
 *
 * Reads spec.units (output channels), kernel_h, kernel_w, stride (0 means 1), padding, relu,
 * no_bias and init. Params: kernel [kernel_h][kernel_w][c][units], bias [units]. */
#ifndef PNEUMO_NN_CONV_H
#define PNEUMO_NN_CONV_H

#include "pneumo/kernels/window.h"
#include "pneumo/nn/layer.h"

extern const pd_layer_type pd_layer_conv;

/* What the layer "separable" has in common with it: the window of the layer's kernel over its input,
 * and the checks of units, kernel and stride (0 becomes 1) that a plan begins with. Errors name the
 * layer. */
pd_window pd_conv_window(const pd_layer *layer);
pd_status pd_conv_check(pd_layer *layer);

#endif
