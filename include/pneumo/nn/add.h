#ifndef PNEUMO_NN_ADD_H
#define PNEUMO_NN_ADD_H

#include "pneumo/nn/layer.h"

/* y = x[0] + x[1], of one shape; spec.relu: then ReLU. Keeps the output with ReLU, else nothing. */
extern const pd_layer_type pd_layer_add;

#endif
