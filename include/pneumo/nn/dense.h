/* The layer "dense": every output from every input, with bias and, fused, ReLU.
 *
 * The input is taken as one vector of h * w * c features. Reads spec.units, relu, no_bias and init.
 * Params: kernel [inputs][units], bias [units]. */
#ifndef PNEUMO_NN_DENSE_H
#define PNEUMO_NN_DENSE_H

#include "pneumo/nn/layer.h"

extern const pd_layer_type pd_layer_dense;

#endif
