/* A network as Keras' layers: those of the network, the activations that it fuses, and what
 * surrounds it (model.h). */
#ifndef PNEUMO_EXCHANGE_KERAS_GRAPH_H
#define PNEUMO_EXCHANGE_KERAS_GRAPH_H

#include "pneumo/exchange/model.h"

#include <cjson/cJSON.h>

enum { PD_KERAS_INPUTS = 2 };

typedef struct pd_keras_node {
    const char *class_name;                   /* "Conv2D"; static */
    char *name;                               /* owned */
    cJSON *config;                            /* owned */
    int inputs[PD_KERAS_INPUTS], input_count; /* nodes */
    int repeats; /* how often the layer reads its only input (Concatenate); else 1 */
    int layer;   /* the layer of the network that it stands for; -1: none */
} pd_keras_node;

typedef struct pd_keras_graph {
    int count;
    size_t capacity;
    pd_keras_node *nodes; /* [count], in the order of Keras' model.layers: nodes[0] is the input,
                             the last one the output */
} pd_keras_graph;

/* How the JSON is written. */
typedef enum pd_keras_style {
    PD_KERAS_STYLE_HDF5, /* the attribute model_config of Keras 2 and 3 */
    PD_KERAS_STYLE_ZIP   /* config.json of Keras 3: classes have modules */
} pd_keras_style;

/* Fills *graph; release it with pd_keras_graph_free, also after a failure. */
pd_status pd_keras_graph_make(pd_keras_graph *graph, const pd_exchange_model *model);
void pd_keras_graph_free(pd_keras_graph *graph);

/* Stores the model as JSON at *json; free(). `name` is the model's. */
pd_status pd_keras_graph_print(char **json, const pd_keras_graph *graph, const char *name,
                               pd_keras_style style);

#endif
