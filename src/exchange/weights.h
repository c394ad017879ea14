/* The weights of a network as named arrays. */
#ifndef PNEUMO_EXCHANGE_WEIGHTS_H
#define PNEUMO_EXCHANGE_WEIGHTS_H

#include "pneumo/io/array.h"
#include "pneumo/nn/network.h"

/* A view of param number `param` of a layer of a planned network. */
pd_array pd_weights_view(const pd_layer *layer, int param);

#endif
