#include "pneumo/nn/layer.h"

#include "pneumo/nn/add.h"
#include "pneumo/nn/batchnorm.h"
#include "pneumo/nn/conv.h"
#include "pneumo/nn/dense.h"
#include "pneumo/nn/dropout.h"
#include "pneumo/nn/flatten.h"
#include "pneumo/nn/pool.h"
#include "pneumo/nn/relu.h"
#include "pneumo/nn/separable.h"

#include <string.h>

size_t pd_layer_trainable(const pd_layer *layer)
{
    size_t count = 0;
    for (int i = 0; i < layer->param_count; i++)
        if (layer->params[i].trainable)
            count += pd_param_size(&layer->params[i]);
    return count;
}

pd_param *pd_layer_add_param(pd_layer *layer, const char *name, int rank, const int *dims,
                             bool trainable, pd_init init)
{
    pd_param *param = &layer->params[layer->param_count++];
    *param = (pd_param){.name = name, .rank = rank, .trainable = trainable, .init = init};
    memcpy(param->dims, dims, sizeof(*dims) * (size_t)rank);
    return param;
}

static const pd_layer_type *const types[] = {
    &pd_layer_conv,       &pd_layer_dense,     &pd_layer_maxpool,   &pd_layer_avgpool,
    &pd_layer_globalpool, &pd_layer_batchnorm, &pd_layer_dropout,   &pd_layer_relu,
    &pd_layer_flatten,    &pd_layer_add,       &pd_layer_separable,
};

const pd_layer_type *pd_layer_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}
