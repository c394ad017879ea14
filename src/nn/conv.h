/* What the layers "conv" and "separable" share. */
#ifndef PNEUMO_NN_CONV_H
#define PNEUMO_NN_CONV_H

#include "pneumo/kernels/window.h"
#include "pneumo/nn/layer.h"

/* The window of the layer's kernel over its input. */
pd_window pd_conv_window(const pd_layer *layer);

/* Checks units, kernel and stride, and that the kernel fits into the input; turns stride 0 into 1.
 * Errors name the layer. */
pd_status pd_conv_check(pd_layer *layer);

#endif
