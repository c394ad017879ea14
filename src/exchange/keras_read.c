/* Reading Keras' description of a model: its layers one after the other, and models in models. */
#include "keras_builder.h"

#include "keras_name.h"
#include "pneumo/base/memory.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS_MAX = 4096, SIDE_MAX = 4096 };

/* A model, the outermost one or one nested in it. */
typedef struct container {
    const cJSON *layers; /* array */
    const cJSON *config; /* what else is in its config; NULL in Keras 1 */
    const char *name;
    bool sequential;
    const char *path; /* in the layout of Keras 3, up to "/layers/" */
    bool outermost;
} container;

/* A layer's output in a functional model. */
typedef struct output {
    const char *name;
    pd_keras_value value;
} output;

static void build_container(pd_keras_builder *b, const container *c, const pd_keras_value *input,
                            pd_keras_value *out);

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* --- Layers --- */

/* Makes the layer the current one. */
static void start_layer(pd_keras_builder *b, const cJSON *layer)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(layer, "config");
    const char *class_name = text_of(layer, "class_name"), *name = text_of(config, "name");
    b->config = config;
    b->class_name = class_name != NULL ? class_name : "of no class";
    b->name = name != NULL ? name : text_of(layer, "name");
    if (b->name == NULL)
        b->name = "";
    if (class_name == NULL || config == NULL)
        pd_keras_refuse(b, "its description is incomplete");
    else if (b->name[0] == '\0')
        pd_keras_refuse(b, "has no name");
}

static bool is_class(const cJSON *layer, const char *name)
{
    const char *class_name = text_of(layer, "class_name");
    return class_name != NULL && strcmp(class_name, name) == 0;
}

static bool is_model(const cJSON *layer)
{
    return is_class(layer, "Sequential") || is_class(layer, "Functional") ||
           is_class(layer, "Model");
}

/* Stores the path of layer `index` at *out (free()): the class in snake case and, from the second
 * of a class on, its number. */
static void make_path(pd_keras_builder *b, char **out, const container *c, const cJSON *layer)
{
    char snake[128], other[128];
    int before = 0;
    const cJSON *item;
    pd_keras_name_group(snake, sizeof snake, b->class_name);
    for (item = c->layers->child; item != NULL; item = item->next) {
        const char *class_name = text_of(item, "class_name");
        if (item == layer)
            break;
        pd_keras_name_group(other, sizeof other, class_name != NULL ? class_name : "");
        before += strcmp(snake, other) == 0;
    }
    if (b->status == PD_OK)
        b->status = before == 0 ? pd_format(out, "%slayers/%s/", c->path, snake)
                                : pd_format(out, "%slayers/%s_%d/", c->path, snake, before);
}

/* Appends an entry for the current layer, whose leaves are those from `first` on. */
static void add_entry(pd_keras_builder *b, int first, bool nested)
{
    pd_keras_model *model = b->model;
    if (b->status != PD_OK || model->leaf_count == first)
        return;
    b->status = pd_grow(&model->entries, &b->entry_capacity, (size_t)model->entry_count + 1,
                        sizeof *model->entries);
    if (b->status != PD_OK)
        return;
    pd_keras_entry *entry = &model->entries[model->entry_count++];
    *entry = (pd_keras_entry){.first = first, .count = model->leaf_count - first, .nested = nested};
    b->status = pd_strdup(&entry->name, b->name);
}

static void open_container(pd_keras_builder *b, container *c, const cJSON *model)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(model, "config");
    c->sequential = is_class(model, "Sequential");
    c->config = cJSON_IsArray(config) ? NULL : config;
    c->layers = cJSON_IsArray(config) ? config : cJSON_GetObjectItemCaseSensitive(config, "layers");
    c->name = text_of(config, "name");
    if (!cJSON_IsArray(c->layers) || cJSON_GetArraySize(c->layers) == 0)
        pd_keras_refuse(b, "has no layers");
    else if (cJSON_GetArraySize(c->layers) > LAYERS_MAX)
        pd_keras_refuse(b, "has more than %d layers", LAYERS_MAX);
}

static void build_nested(pd_keras_builder *b, const cJSON *layer, const pd_keras_value *inputs,
                         int count, pd_keras_value *out)
{
    const pd_keras_builder outer = *b;
    container inner = {.path = b->path};
    if (count != 1)
        pd_keras_refuse(b, "has %d inputs; 1 is supported", count);
    open_container(b, &inner, layer);
    b->frozen = b->frozen || !pd_keras_flag(b, "trainable", NULL, true);
    if (b->status == PD_OK)
        build_container(b, &inner, inputs, out);
    b->name = outer.name;
    b->class_name = outer.class_name;
    b->config = outer.config;
    b->path = outer.path;
    b->frozen = outer.frozen;
}

/* Builds a layer or a nested model. */
static void build_one(pd_keras_builder *b, const container *c, const cJSON *layer,
                      const pd_keras_value *inputs, int count, pd_keras_value *out)
{
    char *folder = NULL, *vars = NULL;
    int first = b->model->leaf_count;
    const char *before = b->path;
    bool nested = is_model(layer);
    start_layer(b, layer);
    make_path(b, &folder, c, layer);
    if (b->status == PD_OK)
        b->status = pd_format(&vars, "%svars", folder);
    b->path = nested ? folder : vars;
    if (b->status == PD_OK) {
        if (nested)
            build_nested(b, layer, inputs, count, out);
        else
            pd_keras_build_layer(b, inputs, count, out);
    }
    if (c->outermost)
        add_entry(b, first, nested);
    b->path = before;
    free(folder);
    free(vars);
}

/* --- The input --- */

/* Sets the model's input from the shape [null, h, w, c]. */
static void set_input(pd_keras_builder *b, const cJSON *shape, pd_keras_value *out)
{
    int dims[3] = {0};
    bool image = cJSON_IsArray(shape) && cJSON_GetArraySize(shape) == 4;
    for (int i = 0; i < 3 && image; i++) {
        const cJSON *dim = cJSON_GetArrayItem(shape, i + 1);
        dims[i] = cJSON_IsNumber(dim) ? dim->valueint : 0;
    }
    int size = b->model->input.size;
    bool any = dims[0] == 0 && dims[1] == 0;
    if (size > 0 && image && (any || b->model->resize)) /* the caller chose one */
        dims[0] = dims[1] = size;
    if (!image)
        pd_keras_refuse(b, "the model's input is not an image of height, width and channels");
    else if (dims[0] == 0 && dims[1] == 0)
        pd_keras_refuse(b, "the model's input has no size; choose one");
    else if (dims[0] != dims[1] || dims[0] < 1 || dims[0] > SIDE_MAX)
        pd_keras_refuse(b, "the model's input is %d x %d; squares up to %d are supported", dims[0],
                        dims[1], SIDE_MAX);
    else if (dims[2] < 1 || dims[2] > PD_INPUT_CHANNELS)
        pd_keras_refuse(b, "the model's input has %d channels; 1 to %d are supported", dims[2],
                        PD_INPUT_CHANNELS);
    *out = (pd_keras_value){.image = true, .channels = dims[2]};
    for (int i = 0; i < PD_INPUT_CHANNELS; i++)
        out->scale[i] = 1;
    b->model->input.size = dims[0];
}

/* The shape of a layer's input in its config, or NULL. */
static const cJSON *input_shape(const cJSON *config)
{
    static const char *const keys[] = {"batch_shape", "batch_input_shape", "build_input_shape"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const cJSON *shape = cJSON_GetObjectItemCaseSensitive(config, keys[i]);
        if (cJSON_IsArray(shape))
            return shape;
    }
    return NULL;
}

/* --- Sequential --- */

static void build_sequential(pd_keras_builder *b, const container *c, const pd_keras_value *input,
                             pd_keras_value *out)
{
    const cJSON *layer = c->layers->child;
    const cJSON *shape = input_shape(cJSON_GetObjectItemCaseSensitive(layer, "config"));
    start_layer(b, layer);
    if (input != NULL)
        *out = *input;
    else
        set_input(b, shape != NULL ? shape : input_shape(c->config), out);
    if (is_class(layer, "InputLayer"))
        layer = layer->next;
    for (; layer != NULL && b->status == PD_OK; layer = layer->next) {
        const pd_keras_value before = *out;
        build_one(b, c, layer, &before, 1, out);
    }
}

/* --- Functional --- */

static const pd_keras_value *find_output(const output *outputs, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(outputs[i].name, name) == 0)
            return &outputs[i].value;
    return NULL;
}

/* The layers' inputs as they are collected from inbound_nodes. */
typedef struct inputs {
    const output *outputs;
    int output_count;
    pd_keras_value *values; /* [capacity] */
    int count, capacity;
} inputs;

/* Adds the output of the layer `name`. Which of its uses is read needs no check, since build_node
 * refuses layers that are used twice: Keras 1 and 2 count those of a nested model from 1. */
static void add_input(pd_keras_builder *b, inputs *in, const cJSON *name, const cJSON *tensor)
{
    const pd_keras_value *value = find_output(in->outputs, in->output_count, name->valuestring);
    if (tensor->valueint != 0)
        pd_keras_refuse(b, "reads a second output of '%s', which is not supported",
                        name->valuestring);
    else if (value == NULL)
        pd_keras_refuse(b, "reads '%s', which is not a layer before it", name->valuestring);
    else if (in->count == in->capacity)
        pd_keras_refuse(b, "has more than %d inputs", in->capacity);
    else
        in->values[in->count++] = *value;
}

/* Whether the item is a tensor: ["layer", node, tensor, ...]. */
static bool is_tensor(const cJSON *item)
{
    return cJSON_IsArray(item) && cJSON_GetArraySize(item) >= 3 && cJSON_IsString(item->child) &&
           cJSON_IsNumber(item->child->next) && cJSON_IsNumber(item->child->next->next);
}

/* Collects the tensors in `item`, at any depth. Keras 3 wraps each in an object. */
static void collect(pd_keras_builder *b, inputs *in, const cJSON *item)
{
    const cJSON *child;
    if (is_class(item, "__keras_tensor__"))
        item = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(item, "config"),
                                                "keras_history");
    if (is_tensor(item)) {
        add_input(b, in, item->child, item->child->next->next);
        return;
    }
    if (cJSON_IsArray(item) || cJSON_IsObject(item))
        for (child = item->child; child != NULL; child = child->next)
            collect(b, in, child);
}

/* The single tensor in config[key]: its layer's name. */
static const char *single_tensor(pd_keras_builder *b, const container *c, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->config, key);
    while (cJSON_IsArray(item) && !is_tensor(item) && cJSON_GetArraySize(item) == 1)
        item = item->child;
    if (is_tensor(item))
        return item->child->valuestring;
    b->name = c->name != NULL ? c->name : "model";
    b->class_name = "Functional";
    pd_keras_refuse(b, "'%s' is not one tensor; models of one input and one output are supported",
                    key);
    return "";
}

static void build_node(pd_keras_builder *b, const container *c, const cJSON *layer, inputs *in,
                       pd_keras_value *out)
{
    const cJSON *calls = cJSON_GetObjectItemCaseSensitive(layer, "inbound_nodes");
    in->count = 0;
    if (cJSON_GetArraySize(calls) != 1)
        pd_keras_refuse(b, "is used %d times; layers that are used once are supported",
                        cJSON_GetArraySize(calls));
    collect(b, in, calls);
    if (b->status == PD_OK && in->count == 0)
        pd_keras_refuse(b, "has no inputs");
    if (b->status == PD_OK)
        build_one(b, c, layer, in->values, in->count, out);
}

static void build_functional(pd_keras_builder *b, const container *c, const pd_keras_value *input,
                             pd_keras_value *out)
{
    enum { INPUTS_MAX = 64 };
    pd_keras_value values[INPUTS_MAX];
    output *outputs = NULL;
    const char *first = single_tensor(b, c, "input_layers");
    const char *last = single_tensor(b, c, "output_layers");
    const cJSON *layer;
    inputs in = {.values = values, .capacity = INPUTS_MAX};
    if (b->status == PD_OK)
        b->status = pd_alloc(&outputs, (size_t)cJSON_GetArraySize(c->layers), sizeof *outputs);
    in.outputs = outputs;
    for (layer = c->layers->child; layer != NULL; layer = layer->next) {
        if (b->status != PD_OK)
            break;
        start_layer(b, layer);
        pd_keras_value *value = &outputs[in.output_count].value;
        const char *name = text_of(layer, "name");
        outputs[in.output_count].name = name != NULL ? name : b->name;
        if (strcmp(b->name, first) != 0)
            build_node(b, c, layer, &in, value);
        else if (input != NULL)
            *value = *input;
        else
            set_input(b, input_shape(b->config), value);
        in.output_count++;
    }
    const pd_keras_value *found =
        b->status == PD_OK ? find_output(outputs, in.output_count, last) : NULL;
    if (found != NULL)
        *out = *found;
    else
        pd_keras_refuse(b, "the output layer '%s' does not exist", last);
    free(outputs);
}

static void build_container(pd_keras_builder *b, const container *c, const pd_keras_value *input,
                            pd_keras_value *out)
{
    if (c->sequential)
        build_sequential(b, c, input, out);
    else
        build_functional(b, c, input, out);
}

/* --- The whole model --- */

/* Checks the model's output, and stores its activation. */
static void finish(pd_keras_builder *b, const pd_keras_value *out)
{
    pd_keras_model *model = b->model;
    if (b->status != PD_OK)
        return;
    model->activation = out->pending != NULL ? out->pending : "linear";
    if (out->image || model->network == NULL)
        pd_keras_refuse(b, "the model has no layers that compute");
    else if (!out->vector)
        pd_keras_refuse(b, "the model's output is an image, not a vector");
    else if (out->node != pd_network_layer_count(model->network))
        pd_keras_refuse(b, "does not lead to the model's output");
}

static pd_status parse(cJSON **out, const char *origin, const char *config)
{
    *out = cJSON_Parse(config);
    if (*out == NULL)
        return pd_fail("%s: the model's description is not valid JSON, or is nested too deeply",
                       origin);
    if (is_model(*out))
        return PD_OK;
    const char *class_name = text_of(*out, "class_name");
    return pd_fail("%s: the model is of class '%s'; Sequential and functional models are supported",
                   origin, class_name != NULL ? class_name : "none");
}

pd_status pd_keras_model_read(pd_keras_model *out, const char *origin, const char *config,
                              pd_keras_file *weights)
{
    pd_status status = PD_OK;
    cJSON *root = NULL;
    int size = out->input.size;
    *out =
        (pd_keras_model){.input = {.size = size, .scaling = PD_GREY_FIXED}, .resize = out->resize};
    pd_keras_builder b = {.model = out, .origin = origin, .weights = weights, .path = ""};
    pd_keras_value value = {0};
    container outermost = {.path = "", .outermost = true};
    PD_TRY(parse(&root, origin, config));
    b.name = "model";
    b.class_name = is_class(root, "Sequential") ? "Sequential" : "Functional";
    open_container(&b, &outermost, root);
    if (b.status == PD_OK)
        build_container(&b, &outermost, NULL, &value);
    finish(&b, &value);
    out->input.height = out->input.width = out->input.size;
    status = b.status;

cleanup:
    cJSON_Delete(root);
    return status;
}

void pd_keras_model_free(pd_keras_model *model)
{
    pd_network_destroy(&model->network);
    for (int i = 0; i < model->leaf_count; i++) {
        free(model->leaves[i].layer);
        free(model->leaves[i].name);
        free(model->leaves[i].path);
    }
    for (int i = 0; i < model->entry_count; i++)
        free(model->entries[i].name);
    free(model->leaves);
    free(model->entries);
    *model = (pd_keras_model){0};
}
