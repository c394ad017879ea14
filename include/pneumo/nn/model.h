/* The model zoo: networks by name. Each model is a short list of layers in src/nn/model.c. */
#ifndef PNEUMO_NN_MODEL_H
#define PNEUMO_NN_MODEL_H

#include "pneumo/nn/network.h"

/* The layers between the convolutions of VGG and its last layer: the global mean of every channel,
 * or the two published dense layers of 4096 units. */
typedef enum pd_head { PD_HEAD_POOL = 0, PD_HEAD_DENSE = 1 } pd_head;

/* The settings of all models; a model reads those that it has a use for. A job sets all but `input`
 * and `outputs`, which follow from its data set and task. */
typedef struct pd_model_spec {
    char name[32];  /* one of pd_model_names */
    pd_shape input; /* one sample */
    int outputs;    /* logits per sample */
    int hidden;     /* mlp2, cnn: units of the hidden layer */
    double width;   /* factor on the channels of convolutions, and on VGG's 4096 units */
    double dropout; /* rate before the last layer (dense1: on the pixels; dense head: after
                       both its layers) */
    pd_head head;   /* vgg16, vgg19 */
    bool normalise; /* vgg16, vgg19: batch normalisation after every convolution, which then
                       has no bias */
    pd_norm_scope norm_scope;
    double norm_momentum; /* of the moving statistics */
    pd_init init;         /* of all layers but the last */
} pd_model_spec;

/* All names, NULL at the end. */
const char *const *pd_model_names(void);

/* How keras.applications scales images for its model of that name (exchange/scaling.h); NULL if it
 * has none. */
const char *pd_model_scaling(const char *name);

/* Builds the network, without planning it. The caller owns *out. An unknown name is an error that
 * lists the known ones. */
pd_status pd_model_build(pd_network **out, const pd_model_spec *spec);

#endif
