#include "keras_graph.h"

#include "json.h"
#include "pneumo/base/memory.h"

#include <stdlib.h>
#include <string.h>

/* A graph under construction. */
typedef struct builder {
    pd_keras_graph *graph;
    const pd_exchange_model *model;
    pd_status status; /* of the first failure */
    bool ok;          /* of JSON */
} builder;

/* --- Nodes --- */

static bool is_taken(const builder *b, const char *name)
{
    for (int i = 0; i < b->graph->count; i++)
        if (strcmp(b->graph->nodes[i].name, name) == 0)
            return true;
    return pd_network_find_layer(b->model->network, name) != NULL;
}

/* Stores "<name><suffix>" at *out (free()), with underscores behind it until no other layer has
 * that name. */
static pd_status name_node(builder *b, char **out, const char *name, const char *suffix)
{
    pd_status status = pd_format(out, "%s%s", name, suffix);
    while (status == PD_OK && is_taken(b, *out)) {
        char *longer;
        status = pd_format(&longer, "%s_", *out);
        if (status != PD_OK)
            break;
        free(*out);
        *out = longer;
    }
    return status;
}

/* Appends a node, which owns `name`, and returns its number. Its config has the name; the caller
 * adds the rest. After a failure returns 0. */
static int append(builder *b, const char *class_name, char *name, int input)
{
    pd_keras_graph *graph = b->graph;
    if (b->status == PD_OK)
        b->status = pd_grow(&graph->nodes, &graph->capacity, (size_t)graph->count + 1,
                            sizeof *graph->nodes);
    if (b->status != PD_OK) {
        free(name);
        return 0;
    }
    pd_keras_node *node = &graph->nodes[graph->count];
    *node = (pd_keras_node){.class_name = class_name,
                            .name = name,
                            .config = cJSON_CreateObject(),
                            .inputs = {input},
                            .input_count = input < 0 ? 0 : 1,
                            .repeats = 1,
                            .layer = -1};
    pd_json_text(&b->ok, node->config, "name", name);
    pd_json_flag(&b->ok, node->config, "trainable", true);
    pd_json_text(&b->ok, node->config, "dtype", "float32");
    return graph->count++;
}

/* Appends a node that stands for no layer of the network. */
static int add_extra(builder *b, const char *class_name, const char *name, const char *suffix,
                     int input)
{
    char *own = NULL;
    if (b->status == PD_OK)
        b->status = name_node(b, &own, name, suffix);
    return append(b, class_name, own, input);
}

static int add_extra2(builder *b, const char *class_name, const char *name, int input, int other)
{
    int node = add_extra(b, class_name, name, "", input);
    if (b->status == PD_OK) {
        b->graph->nodes[node].inputs[1] = other;
        b->graph->nodes[node].input_count = 2;
    }
    return node;
}

static cJSON *config_of(const builder *b, int node)
{
    return b->status == PD_OK ? b->graph->nodes[node].config : NULL;
}

static int add_activation(builder *b, const char *name, const char *suffix, const char *function,
                          int input)
{
    int node = add_extra(b, "Activation", name, suffix, input);
    pd_json_text(&b->ok, config_of(b, node), "activation", function);
    return node;
}

/* --- Scaling the image --- */

static int add_image_input(builder *b)
{
    pd_shape shape = pd_network_input(b->model->network);
    int node = add_extra(b, "InputLayer", "image", "", -1);
    cJSON *config = config_of(b, node);
    cJSON_DeleteItemFromObject(config, "trainable"); /* InputLayer has none */
    cJSON *dims = pd_json_array(&b->ok, config, "batch_input_shape");
    pd_json_null(&b->ok, dims, NULL);
    pd_json_integer(&b->ok, dims, NULL, shape.h);
    pd_json_integer(&b->ok, dims, NULL, shape.w);
    pd_json_integer(&b->ok, dims, NULL, 1);
    pd_json_flag(&b->ok, config, "sparse", false);
    return node;
}

/* (grey - mean) / deviation */
static int add_rescaling(builder *b, int x)
{
    const pd_input *input = b->model->input;
    double scale = (double)(1.0f / input->deviation);
    x = add_extra(b, "Rescaling", "grey_scaled", "", x);
    pd_json_double(&b->ok, config_of(b, x), "scale", scale);
    pd_json_double(&b->ok, config_of(b, x), "offset", -(double)input->mean * scale);
    return x;
}

/* (grey - mean) / deviation with numbers of each channel. */
static int add_fixed_rescaling(builder *b, int x)
{
    const pd_input *input = b->model->input;
    x = add_extra(b, "Rescaling", "grey_scaled", "", x);
    cJSON *scales = pd_json_array(&b->ok, config_of(b, x), "scale");
    cJSON *offsets = pd_json_array(&b->ok, config_of(b, x), "offset");
    for (int c = 0; c < input->channels; c++) {
        double scale = 1 / (double)input->deviations[c];
        pd_json_double(&b->ok, scales, NULL, scale);
        pd_json_double(&b->ok, offsets, NULL, -(double)input->means[c] * scale);
    }
    return x;
}

/* The mean over the whole image. */
static int add_image_mean(builder *b, const char *name, int x)
{
    pd_shape shape = pd_network_input(b->model->network);
    x = add_extra(b, "AveragePooling2D", name, "", x);
    pd_json_pair(&b->ok, config_of(b, x), "pool_size", shape.h, shape.w);
    pd_json_pair(&b->ok, config_of(b, x), "strides", shape.h, shape.w);
    pd_json_text(&b->ok, config_of(b, x), "padding", "valid");
    pd_json_text(&b->ok, config_of(b, x), "data_format", "channels_last");
    return x;
}

static int add_reshape(builder *b, const char *name, int h, int w, int c, int x)
{
    const int target[] = {h, w, c};
    x = add_extra(b, "Reshape", name, "", x);
    cJSON *shape = pd_json_array(&b->ok, config_of(b, x), "target_shape");
    for (int i = 0; i < 3; i++)
        pd_json_integer(&b->ok, shape, NULL, target[i]);
    return x;
}

/* x / sqrt(variance of x), of x with mean 0, with a term against division by 0. Over a single axis:
 * Keras 3 forgets a list of axes when it reads HDF5. */
static int add_image_normalisation(builder *b, const char *name, int x)
{
    pd_shape shape = pd_network_input(b->model->network);
    x = add_reshape(b, "grey_row", 1, 1, shape.h * shape.w, x);
    x = add_extra(b, "LayerNormalization", name, "", x);
    pd_json_integer(&b->ok, config_of(b, x), "axis", -1);
    pd_json_double(&b->ok, config_of(b, x), "epsilon", 1e-9);
    pd_json_flag(&b->ok, config_of(b, x), "center", false);
    pd_json_flag(&b->ok, config_of(b, x), "scale", false);
    return add_reshape(b, "grey_square", shape.h, shape.w, 1, x);
}

/* min(x, 1) of x >= 0 */
static int add_cap(builder *b, const char *name, int x)
{
    x = add_extra(b, "ReLU", name, "", x);
    pd_json_double(&b->ok, config_of(b, x), "max_value", 1);
    return x;
}

/* (grey - mean) / max(deviation, 1) with the image's own mean and deviation. Keras has no layer for
 * the maximum with a number, nor for the deviation. But the mean of (grey - mean) times
 * (grey - mean) / deviation is the deviation, and (grey - mean) / deviation times min(deviation, 1)
 * is what is needed. */
static int add_own_scaling(builder *b, int x)
{
    int mean = add_image_mean(b, "grey_mean", x);
    int centred = add_extra2(b, "Subtract", "grey_centred", x, mean);
    int normalised = add_image_normalisation(b, "grey_normalised", centred);
    int products = add_extra2(b, "Multiply", "grey_products", normalised, centred);
    int deviation = add_image_mean(b, "grey_deviation", products);
    int capped = add_cap(b, "grey_deviation_capped", deviation);
    return add_extra2(b, "Multiply", "grey_scaled", normalised, capped);
}

/* The same grey in every channel of the network. */
static int add_channels(builder *b, int x)
{
    int channels = pd_network_input(b->model->network).c;
    if (channels == 1)
        return x;
    x = add_extra(b, "Concatenate", "grey_planes", "", x);
    pd_json_integer(&b->ok, config_of(b, x), "axis", -1);
    if (b->status == PD_OK)
        b->graph->nodes[x].repeats = channels;
    return x;
}

static int add_input(builder *b)
{
    int x = add_image_input(b);
    if (b->model->input->scaling == PD_GREY_FIXED)
        return add_fixed_rescaling(b, add_channels(b, x));
    x = b->model->input->scaling == PD_GREY_IMAGE ? add_own_scaling(b, x) : add_rescaling(b, x);
    return add_channels(b, x);
}

/* --- Layers --- */

static void put_window(bool *ok, cJSON *config, const char *size_key, const pd_layer_spec *spec)
{
    pd_json_pair(ok, config, size_key, spec->kernel_h, spec->kernel_w);
    pd_json_text(ok, config, "padding", spec->padding == PD_SAME ? "same" : "valid");
    pd_json_text(ok, config, "data_format", "channels_last");
}

static void put_convolution(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    int stride = spec->stride > 0 ? spec->stride : 1;
    pd_json_integer(ok, config, "filters", spec->units);
    put_window(ok, config, "kernel_size", spec);
    pd_json_pair(ok, config, "strides", stride, stride);
    pd_json_pair(ok, config, "dilation_rate", 1, 1);
    pd_json_flag(ok, config, "use_bias", !spec->no_bias);
}

static void put_separable(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    put_convolution(ok, config, spec);
    pd_json_integer(ok, config, "depth_multiplier", 1);
}

static void put_pooling(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    put_window(ok, config, "pool_size", spec);
    if (spec->stride > 0)
        pd_json_pair(ok, config, "strides", spec->stride, spec->stride);
    else
        pd_json_pair(ok, config, "strides", spec->kernel_h, spec->kernel_w);
}

static void put_global(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    if (spec->keepdims)
        pd_json_flag(ok, config, "keepdims", true);
}

static void put_dense(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    pd_json_integer(ok, config, "units", spec->units);
    pd_json_flag(ok, config, "use_bias", !spec->no_bias);
}

static void put_batchnorm(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    pd_json_integer(ok, config, "axis", -1);
    pd_json_float(ok, config, "momentum", spec->momentum > 0 ? spec->momentum : 0.99f);
    pd_json_float(ok, config, "epsilon", spec->epsilon > 0 ? spec->epsilon : 1e-3f);
    pd_json_flag(ok, config, "center", true);
    pd_json_flag(ok, config, "scale", true);
}

static void put_dropout(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    pd_json_float(ok, config, "rate", spec->rate);
}

static void put_relu(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    (void)spec;
    pd_json_text(ok, config, "activation", "relu");
}

static void put_nothing(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    (void)ok;
    (void)config;
    (void)spec;
}

static void put_concat(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    (void)spec;
    pd_json_integer(ok, config, "axis", -1);
}

static void put_depthwise(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    int stride = spec->stride > 0 ? spec->stride : 1;
    put_window(ok, config, "kernel_size", spec);
    pd_json_pair(ok, config, "strides", stride, stride);
    pd_json_pair(ok, config, "dilation_rate", 1, 1);
    pd_json_integer(ok, config, "depth_multiplier", 1);
    pd_json_flag(ok, config, "use_bias", !spec->no_bias);
}

static void put_elu(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    pd_json_float(ok, config, "alpha", spec->alpha);
}

static void put_rectifier(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    if (spec->limit > 0)
        pd_json_float(ok, config, "max_value", spec->limit);
    else
        pd_json_null(ok, config, "max_value");
    pd_json_float(ok, config, "negative_slope", spec->slope);
    pd_json_float(ok, config, "threshold", 0);
}

static void put_sigmoid(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    (void)spec;
    pd_json_text(ok, config, "activation", "sigmoid");
}

static void put_zeropad(bool *ok, cJSON *config, const pd_layer_spec *spec)
{
    cJSON *padding = pd_json_array(ok, config, "padding");
    pd_json_pair(ok, padding, NULL, spec->pad[0], spec->pad[1]);
    pd_json_pair(ok, padding, NULL, spec->pad[2], spec->pad[3]);
    pd_json_text(ok, config, "data_format", "channels_last");
}

/* Keras' class for a layer type. */
typedef struct keras_class {
    const char *type;
    const char *class_name;
    bool activates; /* its config has an activation */
    void (*put)(bool *ok, cJSON *config, const pd_layer_spec *spec);
} keras_class;

static const keras_class classes[] = {
    {"add", "Add", false, put_nothing},
    {"avgpool", "AveragePooling2D", false, put_pooling},
    {"batchnorm", "BatchNormalization", false, put_batchnorm},
    {"concat", "Concatenate", false, put_concat},
    {"conv", "Conv2D", true, put_convolution},
    {"dense", "Dense", true, put_dense},
    {"depthwise", "DepthwiseConv2D", true, put_depthwise},
    {"dropout", "Dropout", false, put_dropout},
    {"elu", "ELU", false, put_elu},
    {"flatten", "Flatten", false, put_nothing},
    {"globalmax", "GlobalMaxPooling2D", false, put_global},
    {"globalpool", "GlobalAveragePooling2D", false, put_global},
    {"maxpool", "MaxPooling2D", false, put_pooling},
    {"rectifier", "ReLU", false, put_rectifier},
    {"relu", "Activation", false, put_relu},
    {"separable", "SeparableConv2D", true, put_separable},
    {"sigmoid", "Activation", false, put_sigmoid},
    {"zeropad", "ZeroPadding2D", false, put_zeropad},
};

static const keras_class *find_class(const pd_layer *layer)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i].type, layer->type->name) == 0)
            return &classes[i];
    return NULL;
}

/* Appends the node of layer `index` alone. `nodes` maps the network's nodes to the graph's. */
static int add_layer(builder *b, const keras_class *class, int index, const int *nodes)
{
    const pd_layer *layer = pd_network_layer(b->model->network, index);
    int x = nodes[pd_network_layer_input(b->model->network, index, 0)];
    char *name = NULL;
    if (layer->spec.relu_first)
        x = add_activation(b, layer->name, "_act", "relu", x);
    if (b->status == PD_OK)
        b->status = pd_strdup(&name, layer->name);
    int added = append(b, class->class_name, name, x);
    if (b->status != PD_OK)
        return 0;
    pd_keras_node *node = &b->graph->nodes[added];
    node->layer = index;
    node->input_count = layer->type->inputs;
    for (int i = 1; i < node->input_count; i++)
        node->inputs[i] = nodes[pd_network_layer_input(b->model->network, index, i)];
    class->put(&b->ok, node->config, &layer->spec);
    return added;
}

/* Appends layer `index` and the activations before and after it; the last layer ends in the model's
 * activation. */
static int add_layer_with_activations(builder *b, int index, const int *nodes)
{
    const pd_layer *layer = pd_network_layer(b->model->network, index);
    const keras_class *class = find_class(layer);
    bool relu = pd_layer_built_relu(layer);
    bool last = index == pd_network_layer_count(b->model->network) - 1;
    if (class == NULL) {
        b->status = pd_fail("layer '%s': Keras has no layer of the type '%s'", layer->name,
                            layer->type->name);
        return 0;
    }
    int x = add_layer(b, class, index, nodes);
    bool joins = last && class->activates && !relu;
    if (class->activates)
        pd_json_text(&b->ok, config_of(b, x), "activation",
                     relu    ? "relu"
                     : joins ? b->model->activation
                             : "linear");
    else if (relu)
        x = add_activation(b, layer->name, "_relu", "relu", x);
    if (last && !joins)
        x = add_activation(b, "probability", "", b->model->activation, x);
    return x;
}

static pd_status build(builder *b)
{
    pd_status status = PD_OK;
    int count = pd_network_layer_count(b->model->network), *nodes = NULL;
    PD_TRY(pd_alloc(&nodes, (size_t)count + 1, sizeof *nodes));
    nodes[PD_NETWORK_INPUT] = add_input(b);
    for (int i = 0; i < count && b->status == PD_OK; i++)
        nodes[i + 1] = add_layer_with_activations(b, i, nodes);
    status = b->status;
    if (status == PD_OK && !b->ok)
        status = pd_fail("out of memory for JSON");

cleanup:
    free(nodes);
    return status;
}

/* --- Keras' order: keras/src/ops/function.py, map_graph --- */

/* The place of a node in Keras' order: decreasing distance from the output, then the order in which
 * a walk from the output first comes to it. */
typedef struct place {
    int node, depth, walk;
} place;

static int compare_places(const void *a, const void *b)
{
    const place *left = a, *right = b;
    if (left->depth != right->depth)
        return left->depth > right->depth ? -1 : 1;
    return left->walk < right->walk ? -1 : 1;
}

/* Numbers the nodes in the order of a depth-first walk from the last one to its inputs. `stack` has
 * room for all edges and one more. */
static void walk_graph(const pd_keras_graph *graph, place *places, int *stack)
{
    int visited = 0, depth = 0;
    stack[depth++] = graph->count - 1;
    while (depth > 0) {
        int i = stack[--depth];
        if (places[i].walk >= 0)
            continue;
        places[i].walk = visited++;
        for (int j = graph->nodes[i].input_count; j-- > 0;)
            stack[depth++] = graph->nodes[i].inputs[j];
    }
}

/* Nodes are in topological order. */
static void measure_depths(const pd_keras_graph *graph, place *places)
{
    for (int i = graph->count; i-- > 0;)
        for (int j = 0; j < graph->nodes[i].input_count; j++) {
            place *input = &places[graph->nodes[i].inputs[j]];
            if (input->depth <= places[i].depth)
                input->depth = places[i].depth + 1;
        }
}

static pd_status sort(pd_keras_graph *graph)
{
    pd_status status = PD_OK;
    size_t count = (size_t)graph->count;
    place *places = NULL;
    pd_keras_node *sorted = NULL;
    int *scratch = NULL;
    PD_TRY(pd_alloc(&places, count, sizeof *places));
    PD_TRY(pd_alloc(&sorted, count, sizeof *sorted));
    PD_TRY(pd_alloc(&scratch, PD_KERAS_INPUTS * count + 1, sizeof *scratch));
    for (int i = 0; i < graph->count; i++)
        places[i] = (place){.node = i, .walk = -1};
    measure_depths(graph, places);
    walk_graph(graph, places, scratch);
    qsort(places, count, sizeof *places, compare_places);
    for (int i = 0; i < graph->count; i++)
        scratch[places[i].node] = i;
    for (int i = 0; i < graph->count; i++) {
        sorted[i] = graph->nodes[places[i].node];
        for (int j = 0; j < sorted[i].input_count; j++)
            sorted[i].inputs[j] = scratch[sorted[i].inputs[j]];
    }
    memcpy(graph->nodes, sorted, count * sizeof *sorted);

cleanup:
    free(places);
    free(sorted);
    free(scratch);
    return status;
}

pd_status pd_keras_graph_make(pd_keras_graph *graph, const pd_exchange_model *model)
{
    builder b = {.graph = graph, .model = model, .ok = true};
    *graph = (pd_keras_graph){0};
    pd_status status = build(&b);
    return status == PD_OK ? sort(graph) : status;
}

void pd_keras_graph_free(pd_keras_graph *graph)
{
    for (int i = 0; i < graph->count; i++) {
        free(graph->nodes[i].name);
        cJSON_Delete(graph->nodes[i].config);
    }
    free(graph->nodes);
    *graph = (pd_keras_graph){0};
}

/* --- JSON --- */

/* Fills the array `tensor`: the first output of a layer's first call. */
static void put_tensor(bool *ok, cJSON *tensor, const pd_keras_node *node)
{
    pd_json_text(ok, tensor, NULL, node->name);
    pd_json_integer(ok, tensor, NULL, 0);
    pd_json_integer(ok, tensor, NULL, 0);
}

/* The model's only input or output. Keras 2 reads a list of tensors; Keras 3 writes the tensor
 * itself where there is one, and calls the model with a list where there is a list. */
static void put_end(bool *ok, cJSON *config, const char *key, const pd_keras_node *node,
                    pd_keras_style style)
{
    cJSON *end = pd_json_array(ok, config, key);
    put_tensor(ok, style == PD_KERAS_STYLE_ZIP ? end : pd_json_array(ok, end, NULL), node);
}

static void put_class(bool *ok, cJSON *parent, const char *module, const char *name,
                      pd_keras_style style)
{
    if (style == PD_KERAS_STYLE_ZIP)
        pd_json_text(ok, parent, "module", module);
    pd_json_text(ok, parent, "class_name", name);
    if (style == PD_KERAS_STYLE_ZIP)
        pd_json_null(ok, parent, "registered_name");
}

static void put_node(bool *ok, cJSON *layers, const pd_keras_graph *graph,
                     const pd_keras_node *node, pd_keras_style style)
{
    cJSON *layer = pd_json_object(ok, layers, NULL);
    put_class(ok, layer, "keras.layers", node->class_name, style);
    pd_json_put(ok, layer, "config", cJSON_Duplicate(node->config, true));
    pd_json_text(ok, layer, "name", node->name);
    cJSON *calls = pd_json_array(ok, layer, "inbound_nodes");
    if (node->input_count == 0)
        return;
    cJSON *tensors = pd_json_array(ok, calls, NULL);
    for (int i = 0; i < node->input_count; i++)
        for (int repeat = 0; repeat < node->repeats; repeat++) {
            cJSON *tensor = pd_json_array(ok, tensors, NULL);
            put_tensor(ok, tensor, &graph->nodes[node->inputs[i]]);
            pd_json_object(ok, tensor, NULL); /* no arguments */
        }
}

pd_status pd_keras_graph_print(char **json, const pd_keras_graph *graph, const char *name,
                               pd_keras_style style)
{
    bool ok = true;
    cJSON *root = cJSON_CreateObject();
    put_class(&ok, root, "keras.src.models.functional", "Functional", style);
    cJSON *config = pd_json_object(&ok, root, "config");
    pd_json_text(&ok, config, "name", name);
    pd_json_flag(&ok, config, "trainable", true);
    cJSON *layers = pd_json_array(&ok, config, "layers");
    for (int i = 0; i < graph->count; i++)
        put_node(&ok, layers, graph, &graph->nodes[i], style);
    put_end(&ok, config, "input_layers", &graph->nodes[0], style);
    put_end(&ok, config, "output_layers", &graph->nodes[graph->count - 1], style);
    pd_status status = pd_json_print(json, root, ok);
    cJSON_Delete(root);
    return status;
}
