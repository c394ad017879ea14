#include "pneumo/nn/network.h"

#include "network_internal.h"
#include "registry.h"

#include "pneumo/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

pd_status pd_network_create(pd_network **out, pd_shape input)
{
    pd_status status = pd_alloc(out, 1, sizeof **out);
    if (status != PD_OK)
        return status;
    pd_network *network = *out;
    network->input = input;
    if (input.h < 1 || input.w < 1 || input.c < 1)
        snprintf(network->error, sizeof network->error, "the input %dx%dx%d is empty", input.h,
                 input.w, input.c);
    return PD_OK;
}

void pd_network_destroy(pd_network **network)
{
    if (*network == NULL)
        return;
    for (int i = 0; i < (*network)->count; i++)
        free((*network)->nodes[i].layer.name);
    pd_slices_destroy(&(*network)->slices);
    pd_arena_destroy(&(*network)->arena);
    free((*network)->freeze);
    free((*network)->nodes);
    free((*network)->tensors);
    if (!(*network)->is_slice) {
        free((*network)->weights);
        free((*network)->state);
    }
    free((*network)->pending);
    pd_passes_release(&(*network)->passes);
    free((*network)->lane_gradients);
    free(*network);
    *network = NULL;
}

/* Keeps the first error for pd_network_plan. Returns a node number that exists. */
static int record_error(pd_network *network, const char *name, const char *what)
{
    if (network->error[0] == '\0')
        snprintf(network->error, sizeof network->error, "layer '%s': %s", name, what);
    return PD_NETWORK_INPUT;
}

/* What is wrong with a new layer, or NULL. */
static const char *find_error(const pd_network *network, const pd_layer_type *type,
                              const char *name, int inputs, const int input[])
{
    if (type == NULL)
        return "unknown layer type";
    if (type->inputs != inputs)
        return "wrong number of inputs";
    for (int i = 0; i < inputs; i++)
        if (input[i] < 0 || input[i] > network->count)
            return "its input does not exist";
    return pd_network_find_layer(network, name) != NULL ? "duplicate name" : NULL;
}

static int add_layer(pd_network *network, const char *type_name, const char *name, int inputs,
                     const int input[], pd_layer_spec spec)
{
    const pd_layer_type *type = pd_layer_type_find(type_name);
    const char *error = find_error(network, type, name, inputs, input);
    if (error != NULL)
        return record_error(network, name, error);
    if (pd_grow(&network->nodes, &network->capacity, (size_t)network->count + 1,
                sizeof *network->nodes) != PD_OK)
        return record_error(network, name, "out of memory");
    pd_node *node = &network->nodes[network->count];
    *node = (pd_node){.layer = {.type = type, .index = network->count, .spec = spec}};
    if (pd_strdup(&node->layer.name, name) != PD_OK)
        return record_error(network, name, "out of memory");
    for (int i = 0; i < inputs; i++) {
        node->input[i] = input[i];
        if (input[i] != PD_NETWORK_INPUT)
            network->nodes[input[i] - 1].consumers++;
    }
    return ++network->count;
}

int pd_network_add(pd_network *network, const char *type, const char *name, int input,
                   pd_layer_spec spec)
{
    return add_layer(network, type, name, 1, &input, spec);
}

int pd_network_add2(pd_network *network, const char *type, const char *name, int input, int other,
                    pd_layer_spec spec)
{
    return add_layer(network, type, name, 2, (const int[]){input, other}, spec);
}

pd_status pd_network_freeze(pd_network *network, const char *upto)
{
    free(network->freeze);
    return pd_strdup(&network->freeze, upto);
}

pd_frozen pd_network_frozen(const pd_network *network)
{
    return network->frozen;
}

/* Marks the nodes from which `node` is computed, itself included, with 1 in number[count + 1]. */
static void mark_sources(const pd_network *network, int node, int *number)
{
    number[node] = 1;
    for (int i = node; i > 0; i--)
        for (int j = 0; j < network->nodes[i - 1].layer.type->inputs && number[i] == 1; j++)
            number[network->nodes[i - 1].input[j]] = 1;
}

pd_status pd_network_cut(pd_network *network, int node)
{
    int *number, kept = 0;
    pd_status status = pd_alloc(&number, (size_t)network->count + 1, sizeof *number);
    if (status != PD_OK)
        return status;
    mark_sources(network, node, number);
    number[PD_NETWORK_INPUT] = PD_NETWORK_INPUT;
    for (int i = 0; i < network->count; i++) {
        pd_node moved = network->nodes[i];
        if (number[i + 1] == 0) {
            free(moved.layer.name);
            continue;
        }
        moved.layer.index = kept;
        moved.consumers = 0;
        for (int j = 0; j < moved.layer.type->inputs; j++) {
            moved.input[j] = number[moved.input[j]];
            if (moved.input[j] != PD_NETWORK_INPUT)
                network->nodes[moved.input[j] - 1].consumers++;
        }
        network->nodes[kept] = moved;
        number[i + 1] = ++kept;
    }
    network->count = kept;
    free(number);
    return PD_OK;
}

pd_status pd_network_copy(pd_network **out, const pd_network *network)
{
    pd_status status = pd_network_create(out, network->input);
    if (status != PD_OK)
        return status;
    (*out)->precision = network->precision;
    (*out)->recompute = network->recompute;
    for (int i = 0; i < network->count; i++) {
        const pd_node *node = &network->nodes[i];
        pd_layer_spec spec = node->layer.spec;
        spec.relu = pd_layer_built_relu(&node->layer);
        add_layer(*out, node->layer.type->name, node->layer.name, node->layer.type->inputs,
                  node->input, spec);
    }
    return PD_OK;
}

void pd_network_set_precision(pd_network *network, pd_precision precision)
{
    network->precision = precision;
}

const char *const pd_recompute_names[PD_RECOMPUTES] = {"auto", "no", "yes"};

void pd_network_set_recompute(pd_network *network, pd_recompute recompute)
{
    network->recompute = recompute;
}

void pd_network_set_norm(pd_network *network, pd_norm_scope scope, float momentum)
{
    for (int i = 0; i < network->count; i++) {
        network->nodes[i].layer.spec.scope = scope;
        network->nodes[i].layer.spec.momentum = momentum;
    }
}

int pd_network_pass_count(const pd_network *network)
{
    return network->passes.pass_count;
}

void pd_network_pass(const pd_network *network, int pass, int *first_lane, int *lanes)
{
    *first_lane = network->passes.passes[pass].first_lane;
    *lanes = network->passes.passes[pass].lanes;
}

int pd_network_last_convolution(const pd_network *network)
{
    return network->last_convolution;
}

float *pd_network_weights(pd_network *network, size_t *count)
{
    *count = network->weight_count;
    return network->weights;
}

float *pd_network_state(pd_network *network, size_t *count)
{
    *count = network->state_count;
    return network->state;
}

size_t pd_network_gradient_count(const pd_network *network)
{
    return network->gradient_count;
}

void pd_network_use_gradient(pd_network *network, float *vectors)
{
    network->gradient = vectors;
}

int pd_network_layer_count(const pd_network *network)
{
    return network->count;
}

const pd_layer *pd_network_layer(const pd_network *network, int index)
{
    return &network->nodes[index].layer;
}

const pd_layer *pd_network_find_layer(const pd_network *network, const char *name)
{
    for (int i = 0; i < network->count; i++)
        if (strcmp(network->nodes[i].layer.name, name) == 0)
            return &network->nodes[i].layer;
    return NULL;
}

int pd_network_layer_input(const pd_network *network, int index, int which)
{
    return network->nodes[index].input[which];
}

pd_shape pd_network_input(const pd_network *network)
{
    return network->input;
}

int pd_network_tensor_count(const pd_network *network)
{
    return network->tensor_count;
}

const pd_tensor *pd_network_tensor(const pd_network *network, int index)
{
    return &network->tensors[index];
}

pd_shape pd_network_output(const pd_network *network)
{
    return network->nodes[network->count - 1].layer.out;
}

void pd_network_check_finite(pd_network *network, bool on)
{
    network->checks_finite = on;
    network->bad_output = -1;
    network->bad_gradient = -1;
}

int pd_network_not_finite(const pd_network *network, bool *in_gradient)
{
    *in_gradient = network->bad_output < 0;
    return network->bad_output >= 0 ? network->bad_output : network->bad_gradient;
}

void pd_network_profile(pd_network *network, pd_layer_times *times)
{
    network->times = times;
}

/* Whether backward computes the gradient of the layer's input number `which`. */
static bool has_input_gradient(const pd_network *network, const pd_node *node, int which)
{
    int input = node->input[which];
    return input != PD_NETWORK_INPUT && network->nodes[input - 1].has_gradient;
}

void pd_network_flops(const pd_network *network, int index, double *forward, double *backward)
{
    const pd_node *node = &network->nodes[index];
    int gradients = node->trainable > 0;
    for (int i = 0; i < node->layer.type->inputs; i++)
        gradients += has_input_gradient(network, node, i);
    *forward = node->layer.flops;
    *backward = gradients * node->layer.flops;
}

void pd_network_bytes(const pd_network *network, int index, double samples, double lanes,
                      double *forward, double *backward)
{
    const pd_node *node = &network->nodes[index];
    const pd_layer *layer = &node->layer;
    const double trainable = (double)node->trainable * sizeof(float);
    double element = samples * (double)pd_precision_bytes(layer->precision);
    double out = element * (double)pd_shape_size(layer->out), weights = 0;
    *forward = out;
    *backward = out + (layer->keeps_output ? out : 0) + lanes * trainable;
    for (int i = 0; i < layer->param_count; i++)
        weights += (double)(pd_param_size(&layer->params[i]) * sizeof(float));
    bool passes_on = false;
    for (int i = 0; i < layer->type->inputs; i++) {
        double in = element * (double)pd_shape_size(layer->in[i]);
        bool gradient = has_input_gradient(network, node, i);
        *forward += in;
        *backward += (layer->keeps_input ? in : 0) + (gradient ? in : 0);
        passes_on |= gradient;
    }
    *forward += weights;
    *backward = node->backward ? *backward + (passes_on ? weights : 0) : 0;
}
