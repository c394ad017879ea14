#ifndef PNEUMO_NN_FLATTEN_H
#define PNEUMO_NN_FLATTEN_H

#include "pneumo/nn/layer.h"

/* [h][w][c] -> [h * w * c], the same numbers in the same order. Keeps nothing. */
extern const pd_layer_type pd_layer_flatten;

#endif
