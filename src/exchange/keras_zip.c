/* Keras 3's own formats: ".keras", a ZIP of metadata.json, config.json and model.weights.h5; and
 * ".weights.h5", the weights alone. */
#include "archive.h"
#include "export_internal.h"
#include "keras_graph.h"
#include "keras_name.h"
#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"
#include "pneumo/io/keras_weights.h"
#include "weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keras reads no more of it than that it is there. No date: it would change from export to export.
 */
static const char METADATA[] = "{\"keras_version\": \"3.8.0\"}";

enum { GROUP_NAME = 64 };

/* The arrays of the layers with weights, in Keras' order. */
typedef struct groups {
    int count;
    pd_keras_vars *vars;       /* [count] */
    char (*names)[GROUP_NAME]; /* [count] */
    pd_array *arrays;          /* [all arrays] */
} groups;

static void free_groups(groups *g)
{
    free(g->vars);
    free(g->names);
    free(g->arrays);
}

/* How many groups so far belong to that class: Keras counts the layers of a class. */
static int count_class(const pd_keras_graph *graph, int node)
{
    int count = 0;
    for (int i = 0; i < node; i++)
        count += strcmp(graph->nodes[i].class_name, graph->nodes[node].class_name) == 0;
    return count;
}

static pd_status make_groups(groups *g, const pd_keras_graph *graph, const pd_network *network)
{
    pd_status status = PD_OK;
    int used = 0;
    size_t nodes = (size_t)graph->count;
    PD_TRY(pd_alloc(&g->vars, nodes, sizeof *g->vars));
    PD_TRY(pd_alloc(&g->names, nodes, sizeof *g->names));
    PD_TRY(pd_alloc(&g->arrays, (size_t)pd_network_tensor_count(network), sizeof *g->arrays));
    for (int i = 0; i < graph->count; i++) {
        if (graph->nodes[i].layer < 0)
            continue;
        const pd_layer *layer = pd_network_layer(network, graph->nodes[i].layer);
        if (layer->param_count == 0)
            continue;
        char *name = g->names[g->count];
        int number = count_class(graph, i);
        pd_keras_name_group(name, GROUP_NAME, graph->nodes[i].class_name);
        if (number > 0)
            snprintf(name + strlen(name), GROUP_NAME - strlen(name), "_%d", number);
        g->vars[g->count++] = (pd_keras_vars){.group = name,
                                              .layer = layer->name,
                                              .count = layer->param_count,
                                              .arrays = g->arrays + used};
        for (int j = 0; j < layer->param_count; j++)
            g->arrays[used++] = pd_weights_view(layer, j);
    }

cleanup:
    return status;
}

static pd_status make_weights(void **bytes, size_t *size, const char *path,
                              const pd_keras_graph *graph, const pd_network *network)
{
    groups g = {0};
    *bytes = NULL;
    pd_status status = make_groups(&g, graph, network);
    if (status == PD_OK)
        status = pd_keras_weights_make(bytes, size, path, g.vars, g.count);
    free_groups(&g);
    return status;
}

static pd_status write_weights(const char *path, const pd_exchange_model *model,
                               const pd_export_options *options)
{
    pd_status status = PD_OK;
    pd_keras_graph graph;
    void *bytes = NULL;
    size_t size = 0;
    (void)options;
    PD_TRY(pd_keras_graph_make(&graph, model));
    PD_TRY(make_weights(&bytes, &size, path, &graph, model->network));
    PD_TRY(pd_file_write(path, bytes, size));

cleanup:
    free(bytes);
    pd_keras_graph_free(&graph);
    return status;
}

static pd_status write_model(const char *path, const pd_exchange_model *model,
                             const pd_export_options *options)
{
    pd_status status = PD_OK;
    pd_keras_graph graph;
    char *config = NULL;
    void *weights = NULL, *bytes = NULL;
    size_t weights_size = 0, size = 0;
    (void)options;
    PD_TRY(pd_keras_graph_make(&graph, model));
    PD_TRY(pd_keras_graph_print(&config, &graph, model->name, PD_KERAS_STYLE_ZIP));
    PD_TRY(make_weights(&weights, &weights_size, path, &graph, model->network));
    const pd_archive_member members[] = {{"metadata.json", METADATA, strlen(METADATA)},
                                         {"config.json", config, strlen(config)},
                                         {"model.weights.h5", weights, weights_size}};
    PD_TRY(pd_archive_make(&bytes, &size, path, members, sizeof members / sizeof *members));
    PD_TRY(pd_file_write(path, bytes, size));

cleanup:
    free(config);
    free(weights);
    free(bytes);
    pd_keras_graph_free(&graph);
    return status;
}

const pd_export_format pd_export_keras = {
    .extension = ".keras", .about = "Keras 3: layers and weights", .write = write_model};

const pd_export_format pd_export_keras_weights = {
    .extension = ".weights.h5", .about = "Keras 3: weights alone", .write = write_weights};
