#ifndef PNEUMO_NN_RELU_H
#define PNEUMO_NN_RELU_H

#include "pneumo/nn/layer.h"

/* y = max(x, 0). Keeps the output. */
extern const pd_layer_type pd_layer_relu;

#endif
