/* The model zoo: networks by name. Each model is a short list of layers in src/nn/model.c. */
#ifndef PNEUMO_NN_MODEL_H
#define PNEUMO_NN_MODEL_H

#include "pneumo/nn/network.h"

/* What a job may say of any model; a model reads what concerns it. */
typedef struct pd_model_spec {
    const char *name;        /* "dense1", "mlp2", "cnn", "cnn-deep" */
    pd_shape input;          /* one sample */
    int outputs;             /* 1: a logit; 3: one logit per cause */
    int hidden;              /* mlp2: units of the hidden layer */
    float width;             /* factor on the channels of convolutional models */
    float dropout;           /* rate before the last layer (dense1: on the pixels) */
    pd_norm_scope norm_scope;
    float norm_momentum;     /* of the moving statistics */
    pd_init init;
} pd_model_spec;

/* All names, NULL at the end. */
const char *const *pd_model_names(void);

/* Builds (but does not plan) the network. The caller owns *out. An unknown name is an error that
 * lists the known ones. */
pd_status pd_model_build(pd_network **out, const pd_model_spec *spec);

#endif
