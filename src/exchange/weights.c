#include "weights.h"

#include <string.h>

pd_array pd_weights_view(const pd_layer *layer, int param)
{
    const pd_param *from = &layer->params[param];
    pd_array array = {
        .layer = layer->name, .weight = from->name, .rank = from->rank, .data = from->value};
    memcpy(array.dims, from->dims, sizeof array.dims);
    return array;
}
