#include "base_network.h"

#include "pneumo/exchange/keras_model.h"
#include "pneumo/exchange/scaling.h"

#include <string.h>

/* The value of from_layer that keeps the whole network. */
static const char *const WHOLE = "output";

/* A plan that is just enough to know shapes, or to hold weights. */
static const pd_plan one_sample = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};

/* --- The file --- */

/* Opens the file and reads its network for images of that size. */
static pd_status read_model(pd_keras_file **file, pd_keras_model *model, const char *path, int size)
{
    pd_status status = pd_keras_file_open(file, path);
    if (status != PD_OK)
        return status;
    const char *config = pd_keras_file_config(*file);
    if (config == NULL || !pd_keras_file_has_weights(*file))
        return pd_fail("%s: has no %s: model.from needs a whole model", path,
                       config == NULL ? "description of its network" : "weights");
    model->input.size = size;
    model->resize = true;
    return pd_keras_model_read(model, path, config, *file);
}

static pd_status set_scaling(pd_input *input, const pd_keras_model *model, const pd_base *base)
{
    bool given = base->scaling[0] != '\0';
    input->channels = model->input.channels;
    input->scaling = PD_GREY_FIXED;
    memcpy(input->means, model->input.means, sizeof input->means);
    memcpy(input->deviations, model->input.deviations, sizeof input->deviations);
    if (model->scaled && given)
        return pd_fail("%s: the model scales its images itself: omit model.scaling", base->file);
    if (!model->scaled && !given)
        return pd_fail("%s: the model does not say how its images are scaled: set model.scaling to "
                       "0..1, 0..255, tf, caffe, torch or MEAN,DEVIATION as in its training",
                       base->file);
    return model->scaled ? PD_OK : pd_scaling_parse(input, base->scaling);
}

/* --- Where the base ends --- */

static const pd_layer *layer_of(const pd_network *network, int node)
{
    return node == PD_NETWORK_INPUT ? NULL : pd_network_layer(network, node - 1);
}

static int before(const pd_network *network, int node)
{
    return pd_network_layer_input(network, node - 1, 0);
}

static bool is_dense(const pd_layer *layer)
{
    return layer != NULL && layer->type->fully_connected;
}

/* The node before the last dense layer, and before others that lead to it without a ReLU, which
 * with it are one linear map; without dropout. The last node if there is no dense layer. */
static int find_base(const pd_network *network)
{
    int last = pd_network_layer_count(network), node = last;
    while (node > 0 && !is_dense(layer_of(network, node)))
        node--;
    if (node == 0)
        return last;
    node = before(network, node);
    while (is_dense(layer_of(network, node)) && !layer_of(network, node)->spec.relu)
        node = before(network, node);
    while (node > 0 && layer_of(network, node)->type->only_in_training)
        node = before(network, node);
    return node;
}

static pd_status find_end(int *node, const pd_network *network, const pd_base *base)
{
    *node = pd_network_layer_count(network);
    if (base->layer[0] == '\0')
        *node = find_base(network);
    if (base->layer[0] == '\0' || strcmp(base->layer, WHOLE) == 0)
        return PD_OK;
    const pd_layer *layer = pd_network_find_layer(network, base->layer);
    if (layer == NULL)
        return pd_fail("%s: has no layer '%s' (model.from_layer): 'pneumo-dist inspect' lists the "
                       "layers of what 'import' makes of it",
                       base->file, base->layer);
    *node = 1 + layer->index;
    return PD_OK;
}

/* Finds the base's last node and its shape. Fails if the file asks for more memory than it can have
 * a use for. */
static pd_status measure(int *node, pd_shape *shape, const pd_base *base, int size)
{
    pd_status status = PD_OK;
    pd_keras_file *file = NULL;
    pd_keras_model model = {.network = NULL};
    size_t bytes;
    PD_TRY(read_model(&file, &model, base->file, size));
    PD_TRY(find_end(node, model.network, base));
    status = pd_network_measure(model.network, &one_sample, 0, &bytes);
    if (status != PD_OK) {
        pd_error_prefix(status, "%s", base->file);
        goto cleanup;
    }
    PD_TRY(pd_keras_model_check(&model, file));
    *shape = *node == PD_NETWORK_INPUT ? pd_network_input(model.network)
                                       : layer_of(model.network, *node)->out;

cleanup:
    pd_keras_model_free(&model);
    pd_keras_file_close(&file);
    return status;
}

/* --- The head --- */

/* Adds a layer under that name, with underscores behind it until no layer has that name. */
static int add(pd_network *network, const char *type, const char *name, int node,
               pd_layer_spec spec)
{
    char unique[64];
    size_t length = strlen(name);
    memcpy(unique, name, length + 1);
    while (pd_network_find_layer(network, unique) != NULL && length + 1 < sizeof unique) {
        unique[length++] = '_';
        unique[length] = '\0';
    }
    return pd_network_add(network, type, unique, node, spec);
}

/* Whether the node has no height and width. An image of 1 x 1 has, for Keras, whose Dense does not
 * make a vector of it. */
static bool is_vector(const pd_network *network, int node)
{
    while (node > 0 && !layer_of(network, node)->type->makes_vector)
        node = before(network, node);
    return node > 0 && !layer_of(network, node)->spec.keepdims;
}

/* Adds the head behind `node` and returns the last node. The file has no layers of these names,
 * from which they would take weights. */
static int add_head(pd_network *network, int node, const pd_job *job)
{
    if (!is_vector(network, node))
        node = add(network, "globalpool", "head_pool", node, (pd_layer_spec){0});
    if (job->model.dropout > 0)
        node = add(network, "dropout", "head_dropout", node,
                   (pd_layer_spec){.rate = (float)job->model.dropout});
    return add(network, "dense", "head", node,
               (pd_layer_spec){.units = pd_tasks[job->task].outputs});
}

static pd_status check_outputs(pd_shape shape, const pd_job *job)
{
    const pd_task *task = &pd_tasks[job->task];
    if (shape.h * shape.w == 1 && shape.c == task->outputs)
        return PD_OK;
    return pd_fail("%s: the model has %d outputs, but data.task = %s needs %d: set "
                   "model.from_layer to a layer before the output, or leave it empty",
                   job->base.file, shape.c, task->name, task->outputs);
}

pd_status pd_base_network_build(pd_network **out, pd_input *input, const pd_job *job)
{
    pd_status status = PD_OK;
    const pd_base *base = &job->base;
    bool whole = strcmp(base->layer, WHOLE) == 0;
    pd_keras_file *file = NULL;
    pd_keras_model model = {.network = NULL};
    pd_shape shape = {0, 0, 0};
    int node = 0;
    *out = NULL;
    PD_TRY(measure(&node, &shape, base, input->size));
    PD_TRY(read_model(&file, &model, base->file, input->size));
    PD_TRY(set_scaling(input, &model, base));
    if (whole)
        PD_TRY(check_outputs(shape, job));
    else
        node = add_head(model.network, node, job);
    PD_TRY(pd_network_cut(model.network, node));
    *out = model.network;
    model.network = NULL;

cleanup:
    pd_keras_model_free(&model);
    pd_keras_file_close(&file);
    return status;
}
