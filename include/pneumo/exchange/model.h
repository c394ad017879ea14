/* A network with what surrounds it in a file of another program: scaling before it, and the
 * activation that makes probabilities of its logits. */
#ifndef PNEUMO_EXCHANGE_MODEL_H
#define PNEUMO_EXCHANGE_MODEL_H

#include "pneumo/io/input.h"
#include "pneumo/nn/network.h"

/* All borrowed. */
typedef struct pd_exchange_model {
    const char *name;       /* of the model */
    pd_network *network;    /* planned */
    const pd_input *input;  /* the size is that of the network */
    const char *activation; /* Keras' name of the function: "sigmoid" or "softmax" */
} pd_exchange_model;

#endif
