/* The table of layer types. To add a type, write a file that defines pd_layer_<name>, and add a
 * line here. */
#ifndef PNEUMO_NN_REGISTRY_H
#define PNEUMO_NN_REGISTRY_H

#include "pneumo/nn/layer.h"

#define PD_LAYER_TYPES(X)                                                                          \
    X(add)                                                                                         \
    X(avgpool)                                                                                     \
    X(batchnorm)                                                                                   \
    X(concat)                                                                                      \
    X(conv)                                                                                        \
    X(dense)                                                                                       \
    X(depthwise)                                                                                   \
    X(dropout)                                                                                     \
    X(elu)                                                                                         \
    X(flatten)                                                                                     \
    X(globalmax)                                                                                   \
    X(globalpool)                                                                                  \
    X(maxpool)                                                                                     \
    X(rectifier)                                                                                   \
    X(relu)                                                                                        \
    X(separable)                                                                                   \
    X(sigmoid)                                                                                     \
    X(zeropad)

#define PD_LAYER_DECLARE(name) extern const pd_layer_type pd_layer_##name;
PD_LAYER_TYPES(PD_LAYER_DECLARE)
#undef PD_LAYER_DECLARE

/* The type of that name, or NULL. */
const pd_layer_type *pd_layer_type_find(const char *name);

#endif
