#ifndef PNEUMO_NN_POOL_H
#define PNEUMO_NN_POOL_H

#include "pneumo/nn/layer.h"

/* Pooling over windows of spec.kernel_h x spec.kernel_w, spec.stride (0: the window, which must
 * then be square), spec.padding. None of the pooling layers keeps its input or its output. */

/* The largest element of each window; among equals the first gets the gradient, as in PyTorch. At
 * most PD_POOL_MAX_PLACES elements in a window. Saves a byte per output element. */
extern const pd_layer_type pd_layer_maxpool;

/* The mean of each window; padding is not counted. Saves nothing. */
extern const pd_layer_type pd_layer_avgpool;

/* The mean over all of h x w: -> {1, 1, c}. Saves nothing. */
extern const pd_layer_type pd_layer_globalpool;

#endif
