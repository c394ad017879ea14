#ifndef PNEUMO_NN_DROPOUT_H
#define PNEUMO_NN_DROPOUT_H

#include "pneumo/nn/layer.h"

/* Dropout (Srivastava et al., JMLR 15, 2014), inverted: in training sets each element to 0 with
 * probability spec.rate and scales the others by 1 / (1 - rate); else passes x on. The mask is a
 * function of (seed, step, layer->index, place of the sample in the global batch, element),
 * computed anew in backward. Keeps neither input nor output, saves nothing. */
extern const pd_layer_type pd_layer_dropout;

#endif
