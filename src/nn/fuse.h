/* Fusing: rewrites of neighbouring layers that save memory and time and do not change the network's
 * function. What a layer type supports is said by its fields. */
#ifndef PNEUMO_NN_FUSE_H
#define PNEUMO_NN_FUSE_H

#include "pneumo/nn/network.h"

/* Moves ReLUs behind the pooling that reads them, except that of layer `shown` (-1: none), whose
 * output is shown after its ReLU; and leaves the gradients of ReLUs to the convolutions that read
 * them. Before the layers are planned. */
void pd_fuse_relus(pd_network *network, int shown);

#endif
