#include "pneumo/nn/layer.h"

#include <string.h>

size_t pd_layer_trainable(const pd_layer *layer)
{
    size_t count = 0;
    for (int i = 0; i < layer->param_count && !layer->frozen; i++)
        if (layer->params[i].trainable)
            count += pd_param_size(&layer->params[i]);
    return count;
}

pd_param *pd_layer_add_param(pd_layer *layer, const char *name, int rank, const int *dims,
                             bool trainable, pd_init init)
{
    pd_param *param = &layer->params[layer->param_count++];
    *param = (pd_param){.name = name, .rank = rank, .trainable = trainable, .init = init};
    memcpy(param->dims, dims, (size_t)rank * sizeof *dims);
    return param;
}
