#include "freeze.h"
#include "fuse.h"
#include "network_internal.h"
#include "network_slices.h"

#include "pneumo/base/memory.h"

#include <stddef.h>
#include <string.h>

/* --- Layers and passes --- */

/* The last convolution, or the normalisation or ReLU that alone reads it; -1: there is none. */
static int find_last_convolution(const pd_network *network)
{
    int last = -1;
    for (int i = 0; i < network->count; i++) {
        const pd_node *node = &network->nodes[i];
        const pd_layer_type *type = node->layer.type;
        if (type->convolves || (type->extends_convolution && last >= 0 &&
                                node->input[0] == last + 1 && network->nodes[last].consumers == 1))
            last = i;
    }
    return last;
}

static pd_shape shape_of(const pd_network *network, int index)
{
    return index == PD_NETWORK_INPUT ? network->input : network->nodes[index - 1].layer.out;
}

/* The output of the network is a float, and layers that cannot take bfloat16 get floats. */
static void choose_precision(pd_network *network, int i)
{
    pd_node *node = &network->nodes[i];
    bool last = i == network->count - 1;
    node->precision = last ? PD_FLOAT32 : network->precision;
    node->layer.precision = node->layer.type->takes_bf16 ? node->precision : PD_FLOAT32;
}

/* Plans every layer, and counts the weights. */
static pd_status plan_layers(pd_network *network)
{
    for (int i = 0; i < network->count; i++) {
        pd_node *node = &network->nodes[i];
        choose_precision(network, i);
        for (int j = 0; j < node->layer.type->inputs; j++)
            node->layer.in[j] = shape_of(network, node->input[j]);
        pd_status status = node->layer.type->plan(&node->layer, &network->plan);
        if (status != PD_OK)
            return status;
        node->trainable = pd_layer_trainable(&node->layer);
        node->first_weight = network->weight_count;
        network->tensor_count += node->layer.param_count;
        for (int j = 0; j < node->layer.param_count; j++) {
            const pd_param *param = &node->layer.params[j];
            *(param->trainable ? &network->weight_count : &network->state_count) +=
                pd_param_size(param);
        }
    }
    return PD_OK;
}

/* Marks the frozen layers, and takes from them what only training needs. */
static void freeze_layers(pd_network *network)
{
    network->gradient_count = network->weight_count - network->frozen.weights;
    for (int i = 0; i < network->frozen.layers; i++) {
        pd_node *node = &network->nodes[i];
        node->layer.frozen = true;
        node->layer.lane_sums = node->layer.lane_sum_numbers = 0;
        node->layer.saved_bytes = 0;
        node->trainable = pd_layer_trainable(&node->layer);
    }
}

/* Decides which layers run backward: in training those whose weights are trained, and those between
 * them and the loss; in inference those behind the last convolution. */
static void mark_backward(pd_network *network, bool training)
{
    int last = network->last_convolution;
    for (int i = 0; i < network->count; i++) {
        pd_node *node = &network->nodes[i];
        node->backward = training ? node->trainable > 0 : last >= 0 && i > last;
        for (int j = 0; training && j < node->layer.type->inputs; j++)
            if (node->input[j] != PD_NETWORK_INPUT)
                node->backward |= network->nodes[node->input[j] - 1].backward;
        node->has_gradient = node->backward || (last >= 0 && i == last);
    }
}

/* Undoes plan_layers and freeze_layers. */
static void reset_layers(pd_network *network)
{
    const size_t planned = offsetof(pd_layer, precision);
    network->weight_count = network->state_count = 0;
    network->tensor_count = 0;
    for (int i = 0; i < network->count; i++)
        memset((char *)&network->nodes[i].layer + planned, 0, sizeof(pd_layer) - planned);
}

/* Bytes of the input number `which` of layer i for one sample, as it is stored. */
static size_t input_bytes(const pd_network *network, int i, int which)
{
    int index = network->nodes[i].input[which];
    pd_precision stored =
        index == PD_NETWORK_INPUT ? network->precision : network->nodes[index - 1].precision;
    return pd_shape_size(shape_of(network, index)) * pd_precision_bytes(stored);
}

/* Bytes of activations for one sample: the outputs of all layers, but of frozen ones only the
 * largest input and output of a layer, which others reuse. */
static size_t sample_bytes(const pd_network *network)
{
    size_t kept = 0, reused = 0;
    for (int i = 0; i < network->count; i++) {
        const pd_node *node = &network->nodes[i];
        size_t out = pd_shape_size(node->layer.out) * pd_precision_bytes(node->precision);
        size_t both = out + input_bytes(network, i, 0);
        if (!node->layer.frozen)
            kept += out;
        else if (both > reused)
            reused = both;
    }
    return kept + reused;
}

/* Trainable floats of the layer that has most. */
static size_t largest_trainable(const pd_network *network)
{
    size_t largest = 0;
    for (int i = 0; i < network->count; i++)
        if (network->nodes[i].trainable > largest)
            largest = network->nodes[i].trainable;
    return largest;
}

/* Bytes above which saving memory is worth time: activations and gradients of lanes are then
 * computed in several passes, and outputs computed again. What layers prepare is shared by all
 * slices up to this size; above it each slice prepares its own. */
enum { MEMORY_WORTH_TIME = 128 << 20 };

static bool choose_recompute(const pd_network *network)
{
    size_t samples = (size_t)network->plan.lanes * (size_t)network->plan.lane_samples;
    bool much = samples * sample_bytes(network) > MEMORY_WORTH_TIME;
    return network->recompute == PD_RECOMPUTE_AUTO ? much : network->recompute == PD_RECOMPUTE_YES;
}

/* Only the activations and the lanes' gradients of one pass are in memory at a time. Several passes
 * pay where these take much memory. They cost no speed as long as each has work for every thread,
 * and enough samples to make good use of what a layer prepares for each call, such as a transformed
 * kernel. */
static int choose_pass_lanes(const pd_network *network)
{
    enum { SAMPLES = 4, SAMPLES_PER_THREAD = 2 };
    const pd_plan *plan = &network->plan;
    int least = plan->threads * SAMPLES_PER_THREAD;
    size_t bytes_per_lane = (size_t)plan->lane_samples * sample_bytes(network) +
                            largest_trainable(network) * sizeof(float);
    if (least < SAMPLES)
        least = SAMPLES;
    int lanes = plan->lanes;
    while (lanes > 1 && (size_t)lanes * bytes_per_lane > MEMORY_WORTH_TIME &&
           (lanes + 1) / 2 * plan->lane_samples >= least)
        lanes = (lanes + 1) / 2;
    return lanes;
}

/* Cuts the lanes into passes of at most `lanes` lanes (0: chosen here), and plans the layers for
 * the largest. */
static pd_status plan_passes(pd_network *network, int lanes, bool training)
{
    pd_status status = PD_OK;
    PD_TRY(plan_layers(network));
    PD_TRY(pd_freeze_resolve(&network->frozen, network, training ? network->freeze : NULL));
    freeze_layers(network);
    if (lanes == 0)
        lanes = choose_pass_lanes(network);
    for (int i = 0; i < network->count; i++) {
        if (network->nodes[i].layer.lane_sums > 0)
            lanes = network->plan.lanes;
    }
    PD_TRY(pd_passes_cut(&network->passes, network->subtrees, network->subtree_count, lanes));
    if (network->passes.largest < network->plan.lanes) {
        network->plan.lanes = network->passes.largest;
        reset_layers(network);
        PD_TRY(plan_layers(network));
        freeze_layers(network);
    }
    mark_backward(network, training);
    /* In inference, pd_network_activation goes back without computing anything again. */
    network->recomputes = training && choose_recompute(network);
cleanup:
    return status;
}

/* --- Weights --- */

/* Gives every tensor its position in the weight or state vector. */
static pd_status place_tensors(pd_network *network)
{
    size_t weight = 0, state = 0;
    pd_status status =
        pd_alloc(&network->tensors, (size_t)network->tensor_count, sizeof *network->tensors);
    if (status != PD_OK)
        return status;
    pd_tensor *tensor = network->tensors;
    for (int i = 0; i < network->count; i++) {
        pd_layer *layer = &network->nodes[i].layer;
        for (int j = 0; j < layer->param_count; j++) {
            pd_param *param = &layer->params[j];
            size_t size = pd_param_size(param);
            size_t *offset = param->trainable ? &weight : &state;
            param->value = (param->trainable ? network->weights : network->state) + *offset;
            *tensor++ =
                (pd_tensor){.layer = layer, .param = param, .offset = *offset, .size = size};
            *offset += size;
        }
    }
    return PD_OK;
}

static pd_status plan_weights(pd_network *network, bool training)
{
    pd_status status = PD_OK;
    PD_TRY(pd_alloc(&network->weights, network->weight_count, sizeof *network->weights));
    PD_TRY(pd_alloc(&network->state, network->state_count, sizeof *network->state));
    PD_TRY(place_tensors(network));
    if (training) {
        PD_TRY(pd_alloc(&network->pending, (size_t)network->passes.depth * network->gradient_count,
                        sizeof *network->pending));
        PD_TRY(pd_alloc(&network->lane_gradients,
                        (size_t)network->plan.lanes * largest_trainable(network),
                        sizeof *network->lane_gradients));
    }
cleanup:
    return status;
}

/* --- Buffers --- */

/* Layer i runs forward at time i, and backward at this time. */
static int backward_time(const pd_network *network, int i)
{
    return 2 * network->count - 1 - i;
}

/* The times over which a node's output and its gradient are in use. */
typedef struct lifetime {
    int output_end; /* the output is in use from its layer's forward on */
    int gradient_begin, gradient_end;
    int last_forward;            /* of the readers */
    int first_again, last_again; /* of the readers' backwards that use the output; 0: none */
} lifetime;

static lifetime find_lifetime(const pd_network *network, int i)
{
    int layers = network->count, backward = backward_time(network, i);
    lifetime life = {
        .output_end = i, .gradient_begin = backward, .gradient_end = backward, .last_forward = i};
    if (i == layers - 1) /* the caller reads the output and fills its gradient */
        life.output_end = layers;
    if (network->nodes[i].backward && network->nodes[i].layer.keeps_output)
        life.output_end = backward;
    if (i == network->last_convolution) /* the caller reads both at the end */
        life.output_end = life.gradient_end = 2 * layers;
    for (int j = i + 1; j < layers; j++) {
        const pd_node *reader = &network->nodes[j];
        for (int k = 0; k < reader->layer.type->inputs; k++) {
            if (reader->input[k] != i + 1)
                continue;
            bool again = reader->backward && reader->layer.keeps_input;
            int end = again ? backward_time(network, j) : j;
            if (end > life.output_end)
                life.output_end = end;
            life.last_forward = j;
            if (again) {
                life.first_again = end;
                life.last_again = life.last_again > end ? life.last_again : end;
            }
            if (backward_time(network, j) < life.gradient_begin)
                life.gradient_begin = backward_time(network, j);
        }
    }
    return life;
}

/* Whether the output of layer i is computed again for backward: from an input that is kept for the
 * layer's own backward, which comes later. */
static bool is_recomputed(const pd_network *network, int i, const lifetime *life)
{
    const pd_layer *layer = &network->nodes[i].layer;
    const pd_node *source = pd_network_source(network, i);
    bool from_kept = source != NULL && source->layer.type->recompute == NULL && layer->keeps_input;
    return network->recomputes && life->first_again > 0 && layer->type->recompute != NULL &&
           from_kept && network->nodes[i].backward && !layer->keeps_output && !layer->frozen &&
           layer->precision == network->precision;
}

/* Floats of all inputs and the output of layer i, for one sample: the copies of a layer that takes
 * no bfloat16 from a network that stores it; else 0. */
static size_t copied_floats(const pd_network *network, int i)
{
    const pd_layer *layer = &network->nodes[i].layer;
    size_t floats = pd_shape_size(layer->out);
    for (int j = 0; j < layer->type->inputs; j++)
        floats += pd_shape_size(layer->in[j]);
    return layer->precision == network->precision ? 0 : floats;
}

/* Adds the buffers of layer i to the arena. */
static pd_status add_layer_buffers(pd_network *network, int i)
{
    pd_status status = PD_OK;
    pd_node *node = &network->nodes[i];
    pd_arena *arena = network->arena;
    lifetime life = find_lifetime(network, i);
    int backward = backward_time(network, i);
    size_t samples = (size_t)network->plan.lanes * (size_t)network->plan.lane_samples;
    size_t bytes = samples * pd_shape_size(node->layer.out) * pd_precision_bytes(node->precision);
    size_t floats = samples * copied_floats(network, i) * sizeof(float);
    size_t workspace = node->layer.workspace_floats * sizeof(float);
    node->recomputed_for = 0;
    if (is_recomputed(network, i, &life)) {
        node->recomputed_for = backward_time(network, life.first_again);
        life.output_end = life.last_forward;
        PD_TRY(pd_arena_add(arena, bytes, life.first_again, life.last_again, &node->again));
        PD_TRY(pd_arena_add(arena, workspace, life.first_again, life.first_again,
                            &node->again_workspace));
    }
    PD_TRY(pd_arena_add(arena, bytes, i, life.output_end, &node->output));
    if (!network->is_given_prepared)
        PD_TRY(pd_arena_add(arena, node->layer.prepared_floats * sizeof(float), i, i,
                            &node->prepared));
    PD_TRY(pd_arena_add(arena, workspace, i, i, &node->workspace));
    PD_TRY(pd_arena_add(arena, floats, i, i, &node->floats));
    if (node->backward) {
        PD_TRY(pd_arena_add(arena, node->layer.backward_floats * sizeof(float), backward, backward,
                            &node->backward_workspace));
        PD_TRY(pd_arena_add(arena, 2 * floats, backward, backward, &node->backward_floats));
    }
    if (!node->has_gradient)
        goto cleanup;
    PD_TRY(pd_arena_add(arena, node->layer.saved_bytes, i, backward, &node->saved));
    if (i < network->count - 1) /* the caller owns the gradient of the last layer */
        PD_TRY(pd_arena_add(arena, bytes, life.gradient_begin, life.gradient_end, &node->gradient));
    if (node->consumers > 1)
        PD_TRY(pd_arena_add(arena, bytes, life.gradient_begin, backward, &node->second));
cleanup:
    return status;
}

/* Adds what a network in bfloat16 needs beside its layers' buffers. */
static pd_status add_copies(pd_network *network)
{
    pd_status status = PD_OK;
    size_t samples = (size_t)network->plan.lanes * (size_t)network->plan.lane_samples;
    int last = network->last_convolution, end = 2 * network->count;
    PD_TRY(pd_arena_add(network->arena, samples * pd_shape_size(network->input) * sizeof(pd_bf16),
                        0, end, &network->rounded_input));
    for (int i = 0; i < 2 && last >= 0; i++)
        PD_TRY(pd_arena_add(network->arena,
                            samples * pd_shape_size(network->nodes[last].layer.out) * sizeof(float),
                            end, end, &network->shown[i]));
cleanup:
    return status;
}

/* Lays out every buffer in one arena, with its lifetime. Validation while training uses slices only
 * if they fit there. */
static pd_status lay_out_buffers(pd_network *network, bool training)
{
    pd_status status = pd_arena_create(&network->arena);
    for (int i = 0; i < network->count && status == PD_OK; i++)
        status = add_layer_buffers(network, i);
    if (status == PD_OK && network->precision == PD_BF16)
        status = add_copies(network);
    if (status == PD_OK)
        status = pd_arena_lay_out(network->arena);
    if (status == PD_OK && training &&
        pd_slices_bytes(&network->slices) > pd_arena_bytes(network->arena))
        pd_slices_destroy(&network->slices);
    return status;
}

static void find_buffers(pd_network *network)
{
    for (int i = 0; i < network->count; i++) {
        pd_node *node = &network->nodes[i];
        node->y = pd_arena_at(network->arena, node->output);
        node->dy = node->has_gradient && i < network->count - 1
                       ? pd_arena_at(network->arena, node->gradient)
                       : NULL;
    }
}

/* --- The whole plan --- */

/* Samples of a forward in inference that slices do not take: fewer than threads, or one for
 * pd_network_activation. */
static int samples_together(const pd_plan *plan)
{
    int samples = plan->lanes * plan->lane_samples, fewer = plan->threads - 1;
    return samples < fewer ? samples : fewer > 1 ? fewer : 1;
}

/* Fixes shapes and passes; allocates nothing large. */
static pd_status plan_shapes(pd_network *network, const pd_plan *plan, int first_lane,
                             bool training, int pass_lanes)
{
    if (network->planned)
        return pd_fail("the network is already planned");
    if (network->error[0] != '\0')
        return pd_fail("%s", network->error);
    if (network->count == 0)
        return pd_fail("the network has no layers");
    network->planned = true;
    network->plan = *plan;
    if (!network->is_slice) {
        pd_status status = pd_slices_plan(network, plan);
        if (status != PD_OK)
            return status;
    }
    if (!training && network->slices.count > 0)
        network->plan.lane_samples = samples_together(plan);
    network->subtree_count =
        pd_tree_subtrees(plan->total_lanes, first_lane, plan->lanes, network->subtrees);
    network->last_convolution = training || network->is_slice ? -1 : find_last_convolution(network);
    pd_fuse_relus(network, network->last_convolution);
    return plan_passes(network, training ? pass_lanes : plan->lanes, training);
}

static pd_status plan_network(pd_network *network, const pd_plan *plan, int first_lane,
                              bool training, int pass_lanes)
{
    pd_status status = PD_OK;
    PD_TRY(plan_shapes(network, plan, first_lane, training, pass_lanes));
    PD_TRY(plan_weights(network, training));
    PD_TRY(lay_out_buffers(network, training));
    PD_TRY(pd_arena_place(network->arena, pd_slices_bytes(&network->slices)));
    find_buffers(network);
    status = pd_slices_place(network);
cleanup:
    return status;
}

pd_status pd_network_plan(pd_network *network, const pd_plan *plan, int first_lane, bool training)
{
    return plan_network(network, plan, first_lane, training, 0);
}

pd_status pd_network_plan_passes(pd_network *network, const pd_plan *plan, int first_lane,
                                 int pass_lanes)
{
    return plan_network(network, plan, first_lane, true, pass_lanes);
}

pd_status pd_network_measure(pd_network *network, const pd_plan *plan, int first_lane,
                             size_t *bytes)
{
    pd_status status = PD_OK;
    PD_TRY(plan_shapes(network, plan, first_lane, true, 0));
    PD_TRY(lay_out_buffers(network, true));
    size_t floats = network->weight_count + network->state_count +
                    (size_t)network->passes.depth * network->gradient_count +
                    (size_t)network->plan.lanes * largest_trainable(network);
    *bytes = floats * sizeof(float) + pd_arena_bytes(network->arena);
cleanup:
    return status;
}

pd_status pd_network_plan_slice(pd_network *slice, const pd_plan *plan)
{
    slice->is_slice = true;
    pd_status status = plan_shapes(slice, plan, 0, false, 0);
    slice->is_given_prepared = pd_slices_shared_floats(slice) * sizeof(float) <= MEMORY_WORTH_TIME;
    return status == PD_OK ? lay_out_buffers(slice, false) : status;
}

pd_status pd_network_place_slice(pd_network *slice, const pd_network *network, size_t offset)
{
    slice->weights = network->weights;
    slice->state = network->state;
    pd_arena_place_in(slice->arena, network->arena, offset);
    find_buffers(slice);
    return place_tensors(slice);
}
