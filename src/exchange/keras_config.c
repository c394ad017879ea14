#include "pneumo/exchange/keras_config.h"

#include "keras_graph.h"
#include "pneumo/base/memory.h"

pd_status pd_keras_config_write(char **json, const pd_exchange_model *model)
{
    pd_status status = PD_OK;
    pd_keras_graph graph;
    *json = NULL;
    PD_TRY(pd_keras_graph_make(&graph, model));
    PD_TRY(pd_keras_graph_print(json, &graph, model->name, PD_KERAS_STYLE_HDF5));

cleanup:
    pd_keras_graph_free(&graph);
    return status;
}

pd_status pd_keras_config_order(int **layers, int *count, const pd_exchange_model *model)
{
    pd_status status = PD_OK;
    pd_keras_graph graph;
    *layers = NULL;
    *count = 0;
    PD_TRY(pd_keras_graph_make(&graph, model));
    PD_TRY(pd_alloc(layers, (size_t)graph.count, sizeof **layers));
    for (int i = 0; i < graph.count; i++) {
        int layer = graph.nodes[i].layer;
        if (layer >= 0 && pd_network_layer(model->network, layer)->param_count > 0)
            (*layers)[(*count)++] = layer;
    }

cleanup:
    pd_keras_graph_free(&graph);
    return status;
}
