#include "pneumo/nn/network.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"
#include "pneumo/nn/arena.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Node i + 1 is the output of layer i; node 0 is the input. */
typedef struct node {
    pd_layer layer;
    int input[PD_LAYER_INPUTS];
    int consumers;
    size_t first_weight; /* offset of the layer's trainable floats */
    size_t trainable;
    /* Places in the arena: the output, its gradient, what the layer saves, and a second gradient
     * for a node that several layers read. */
    int output, gradient, saved, second;
    float *y, *dy;
} node;

struct pd_network {
    pd_shape input;
    int count, capacity;
    node *nodes; /* nodes[i] is layer i */
    char error[256];

    bool planned;
    int last_convolution; /* as the function of that name says */
    pd_plan plan;
    int subtree_count;
    pd_subtree subtrees[PD_SUBTREES_MAX];
    pd_passes passes;

    int tensor_count;
    pd_tensor *tensors;
    size_t weight_count, state_count;
    float *weights, *state;
    float *gradient;       /* [subtrees][weight_count] */
    float *own_gradient;   /* the same, or NULL where it is borrowed */
    float *waiting;        /* [passes.depth][weight_count]: sums that wait for later pieces */
    float *lane_gradients; /* [lanes of a pass][largest layer]: before they are folded */
    pd_arena *arena;
    int workspace;

    bool watching;
    int bad_output, bad_gradient;

    pd_layer_times *times; /* [layers], borrowed; NULL: not measured */
};

pd_status pd_network_create(pd_network **out, pd_shape input)
{
    pd_status status = pd_alloc(out, 1, sizeof **out);
    if (status != PD_OK)
        return status;
    (*out)->input = input;
    if (input.h < 1 || input.w < 1 || input.c < 1)
        snprintf((*out)->error, sizeof(*out)->error, "the input %dx%dx%d is empty", input.h,
                 input.w, input.c);
    return PD_OK;
}

void pd_network_destroy(pd_network **network)
{
    if (*network == NULL)
        return;
    for (int i = 0; i < (*network)->count; i++)
        free((*network)->nodes[i].layer.name);
    pd_arena_destroy(&(*network)->arena);
    free((*network)->nodes);
    free((*network)->tensors);
    free((*network)->weights);
    free((*network)->state);
    free((*network)->own_gradient);
    free((*network)->waiting);
    pd_passes_release(&(*network)->passes);
    free((*network)->lane_gradients);
    free(*network);
    *network = NULL;
}

/* Remembers the first mistake. */
static int mistake(pd_network *network, const char *name, const char *what)
{
    if (network->error[0] == '\0')
        snprintf(network->error, sizeof network->error, "layer '%s': %s", name, what);
    return PD_NETWORK_INPUT;
}

static int add(pd_network *network, const char *type_name, const char *name, int inputs,
               const int input[], pd_layer_spec spec)
{
    const pd_layer_type *type = pd_layer_type_find(type_name);
    if (type == NULL)
        return mistake(network, name, "its type is unknown");
    if (type->inputs != inputs)
        return mistake(network, name, "it has the wrong number of inputs");
    for (int i = 0; i < inputs; i++)
        if (input[i] < 0 || input[i] > network->count)
            return mistake(network, name, "it reads a node that does not exist");
    for (int i = 0; i < network->count; i++)
        if (strcmp(network->nodes[i].layer.name, name) == 0)
            return mistake(network, name, "the name is taken");

    if (network->count == network->capacity) {
        int capacity = network->capacity == 0 ? 32 : 2 * network->capacity;
        node *nodes = realloc(network->nodes, (size_t)capacity * sizeof *nodes);
        if (nodes == NULL)
            return mistake(network, name, "out of memory");
        network->nodes = nodes;
        network->capacity = capacity;
    }
    node *added = &network->nodes[network->count];
    *added = (node){.layer = {.type = type, .index = network->count, .spec = spec}};
    if (pd_strdup(&added->layer.name, name) != PD_OK)
        return mistake(network, name, "out of memory");
    for (int i = 0; i < inputs; i++) {
        added->input[i] = input[i];
        if (input[i] != PD_NETWORK_INPUT)
            network->nodes[input[i] - 1].consumers++;
    }
    return ++network->count;
}

int pd_network_add(pd_network *network, const char *type, const char *name, int input,
                   pd_layer_spec spec)
{
    return add(network, type, name, 1, &input, spec);
}

int pd_network_add2(pd_network *network, const char *type, const char *name, int input, int other,
                    pd_layer_spec spec)
{
    return add(network, type, name, 2, (const int[]){input, other}, spec);
}

static pd_shape shape_of(const pd_network *network, int index)
{
    return index == PD_NETWORK_INPUT ? network->input : network->nodes[index - 1].layer.out;
}

/* The last convolution, or the normalisation or ReLU that alone reads it; -1: there is none. */
static int find_last_convolution(const pd_network *network)
{
    int last = -1;
    for (int i = 0; i < network->count; i++) {
        const node *at = &network->nodes[i];
        const char *type = at->layer.type->name;
        bool convolves = strcmp(type, "conv") == 0 || strcmp(type, "separable") == 0;
        bool completes = strcmp(type, "batchnorm") == 0 || strcmp(type, "relu") == 0;
        if (convolves || (completes && last >= 0 && at->input[0] == last + 1 &&
                          network->nodes[last].consumers == 1))
            last = i;
    }
    return last;
}

/* The largest element after ReLU is ReLU of the largest element, so a ReLU between a convolution
 * and the max pooling that alone reads it may follow the pooling: it is shorter there, and the
 * output of the convolution, the largest array of most networks, need not be kept for its gradient.
 * The last convolution's stays where pd_network_activation is to show it. */
static void move_relus_behind_pooling(pd_network *network)
{
    for (int i = 0; i < network->count; i++) {
        pd_layer *pool = &network->nodes[i].layer;
        if (strcmp(pool->type->name, "maxpool") != 0 ||
            network->nodes[i].input[0] == PD_NETWORK_INPUT)
            continue;
        node *from = &network->nodes[network->nodes[i].input[0] - 1];
        pd_layer_spec *spec = &from->layer.spec;
        if (strcmp(from->layer.type->name, "conv") != 0 || !spec->relu || from->consumers != 1 ||
            from->layer.index == network->last_convolution)
            continue;
        spec->relu = false;
        pool->spec.relu = true;
        if (spec->init == PD_INIT_DEFAULT)
            spec->init = PD_INIT_HE_NORMAL;
    }
}

/* The gradient of a ReLU needs its output, and the gradient that comes from its reader. A
 * convolution that alone reads it has both at hand, and saves another walk through memory. */
static void hand_relus_to_readers(pd_network *network)
{
    for (int i = 0; i < network->count; i++) {
        pd_layer *reader = &network->nodes[i].layer;
        if (strcmp(reader->type->name, "conv") != 0 ||
            network->nodes[i].input[0] == PD_NETWORK_INPUT)
            continue;
        node *from = &network->nodes[network->nodes[i].input[0] - 1];
        bool able = strcmp(from->layer.type->name, "conv") == 0 ||
                    strcmp(from->layer.type->name, "maxpool") == 0;
        if (able && from->layer.spec.relu && from->consumers == 1) {
            from->layer.spec.relu_seen_to = true;
            reader->spec.input_relu = true;
        }
    }
}

/* Lets every layer fix its shapes, and counts the weights. */
static pd_status plan_layers(pd_network *network)
{
    for (int i = 0; i < network->count; i++) {
        node *at = &network->nodes[i];
        for (int j = 0; j < at->layer.type->inputs; j++)
            at->layer.in[j] = shape_of(network, at->input[j]);
        pd_status status = at->layer.type->plan(&at->layer, &network->plan);
        if (status != PD_OK)
            return status;
        at->trainable = pd_layer_trainable(&at->layer);
        at->first_weight = network->weight_count;
        network->tensor_count += at->layer.param_count;
        for (int j = 0; j < at->layer.param_count; j++) {
            const pd_param *param = &at->layer.params[j];
            *(param->trainable ? &network->weight_count : &network->state_count) +=
                pd_param_size(param);
        }
    }
    return PD_OK;
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

/* Gives every tensor its place in the weight or state vector. */
static pd_status plan_weights(pd_network *network, bool training)
{
    pd_status status = PD_OK;
    PD_TRY(pd_alloc(&network->weights, network->weight_count, sizeof(float)));
    PD_TRY(pd_alloc(&network->state, network->state_count, sizeof(float)));
    PD_TRY(pd_alloc(&network->tensors, (size_t)network->tensor_count, sizeof(pd_tensor)));
    pd_tensor *tensor = network->tensors;
    size_t weight = 0, state = 0;
    for (int i = 0; i < network->count; i++) {
        node *at = &network->nodes[i];
        for (int j = 0; j < at->layer.param_count; j++) {
            pd_param *param = &at->layer.params[j];
            size_t size = pd_param_size(param);
            size_t *offset = param->trainable ? &weight : &state;
            param->value = (param->trainable ? network->weights : network->state) + *offset;
            *tensor++ =
                (pd_tensor){.layer = &at->layer, .param = param, .offset = *offset, .size = size};
            *offset += size;
        }
    }
    if (training) {
        PD_TRY(pd_alloc(&network->waiting, (size_t)network->passes.depth * network->weight_count,
                        sizeof(float)));
        PD_TRY(pd_alloc(&network->lane_gradients,
                        (size_t)network->plan.lanes * largest_trainable(network), sizeof(float)));
    }
cleanup:
    return status;
}

/* The first layer that may run backward. */
static int first_backward(const pd_network *network, bool training)
{
    int last = network->last_convolution;
    return training ? 0 : last >= 0 ? last : network->count;
}

/* Asks one arena for every buffer, with its lifetime. Layer i runs forward at time i and backward
 * at time 2L - 1 - i. Without training, only layers behind the last convolution may run backward,
 * and the caller reads that one's output and gradient at the end. */
static pd_status add_buffers(pd_network *network, bool training)
{
    pd_status status = PD_OK;
    int layers = network->count;
    size_t samples = (size_t)network->plan.lanes * (size_t)network->plan.lane_samples;
    size_t workspace = 0;
    int last = network->last_convolution;
    int first = first_backward(network, training);
    PD_TRY(pd_arena_create(&network->arena));
    for (int i = 0; i < layers; i++) {
        node *at = &network->nodes[i];
        int backward = 2 * layers - 1 - i;
        int output_end = i, gradient_begin = backward, gradient_end = backward;
        if (i == layers - 1) /* the caller reads the output and fills its gradient */
            output_end = layers;
        if (i >= first && at->layer.keeps_output)
            output_end = backward;
        if (i == last)
            output_end = gradient_end = 2 * layers;
        for (int j = i + 1; j < layers; j++) {
            const node *reader = &network->nodes[j];
            for (int k = 0; k < reader->layer.type->inputs; k++) {
                if (reader->input[k] != i + 1)
                    continue;
                int end = j > first && reader->layer.keeps_input ? 2 * layers - 1 - j : j;
                if (end > output_end)
                    output_end = end;
                if (2 * layers - 1 - j < gradient_begin)
                    gradient_begin = 2 * layers - 1 - j;
            }
        }
        size_t bytes = samples * pd_shape_size(at->layer.out) * sizeof(float);
        PD_TRY(pd_arena_add(network->arena, bytes, i, output_end, &at->output));
        if (at->layer.workspace_floats > workspace)
            workspace = at->layer.workspace_floats;
        if (i < first)
            continue;
        PD_TRY(pd_arena_add(network->arena, at->layer.saved_bytes, i, backward, &at->saved));
        if (i < layers - 1) /* the last one is the caller's */
            PD_TRY(
                pd_arena_add(network->arena, bytes, gradient_begin, gradient_end, &at->gradient));
        if (at->consumers > 1)
            PD_TRY(pd_arena_add(network->arena, bytes, gradient_begin, backward, &at->second));
    }
    PD_TRY(pd_arena_add(network->arena, workspace * sizeof(float), 0, 2 * layers,
                        &network->workspace));
cleanup:
    return status;
}

static pd_status plan_buffers(pd_network *network, bool training)
{
    pd_status status = PD_OK;
    int first = first_backward(network, training), layers = network->count;
    PD_TRY(add_buffers(network, training));
    PD_TRY(pd_arena_place(network->arena));
    for (int i = 0; i < layers; i++) {
        node *at = &network->nodes[i];
        at->y = pd_arena_at(network->arena, at->output);
        at->dy = i >= first && i < layers - 1 ? pd_arena_at(network->arena, at->gradient) : NULL;
    }
cleanup:
    return status;
}

/* Lets the layers forget that they were planned. */
static void forget_layers(pd_network *network)
{
    network->weight_count = network->state_count = 0;
    network->tensor_count = 0;
    for (int i = 0; i < network->count; i++) {
        const pd_layer *layer = &network->nodes[i].layer;
        network->nodes[i].layer = (pd_layer){
            .type = layer->type, .name = layer->name, .index = layer->index, .spec = layer->spec};
    }
}

/* Passes keep the activations of their own lanes only. They are worth it where those take much
 * memory, and cost no speed as long as each has work for every thread, and samples enough that what
 * a layer prepares for each call, such as a transformed kernel, is used often. */
static int choose_pass_lanes(const pd_network *network)
{
    enum { MUCH = 512 << 20, SAMPLES = 4, SAMPLES_PER_THREAD = 2 };
    const pd_plan *plan = &network->plan;
    int least = plan->threads * SAMPLES_PER_THREAD;
    size_t bytes_per_lane = 0;
    for (int i = 0; i < network->count; i++)
        bytes_per_lane +=
            (size_t)plan->lane_samples * pd_shape_size(network->nodes[i].layer.out) * sizeof(float);
    if (least < SAMPLES)
        least = SAMPLES;
    int lanes = plan->lanes;
    while (lanes > 1 && (size_t)lanes * bytes_per_lane > MUCH &&
           (lanes + 1) / 2 * plan->lane_samples >= least)
        lanes = (lanes + 1) / 2;
    return lanes;
}

/* Cuts the lanes into passes of at most `lanes` lanes (0: chosen here), and plans the layers for
 * the largest. */
static pd_status plan_passes(pd_network *network, int lanes)
{
    pd_status status = PD_OK;
    PD_TRY(plan_layers(network));
    if (lanes == 0)
        lanes = choose_pass_lanes(network);
    for (int i = 0; i < network->count; i++) {
        if (network->nodes[i].layer.meets_lanes)
            lanes = network->plan.lanes;
    }
    PD_TRY(pd_passes_cut(&network->passes, network->subtrees, network->subtree_count, lanes));
    if (network->passes.largest < network->plan.lanes) {
        network->plan.lanes = network->passes.largest;
        forget_layers(network);
        PD_TRY(plan_layers(network));
    }
cleanup:
    return status;
}

/* Fixes shapes and passes; allocates nothing large. */
static pd_status plan_shapes(pd_network *network, const pd_plan *plan, int first_lane,
                             bool training, int pass_lanes)
{
    if (network->planned)
        return pd_fail("the network is planned already");
    if (network->error[0] != '\0')
        return pd_fail("%s", network->error);
    if (network->count == 0)
        return pd_fail("the network has no layers");
    network->planned = true;
    network->plan = *plan;
    network->subtree_count =
        pd_tree_subtrees(plan->total_lanes, first_lane, plan->lanes, network->subtrees);
    network->last_convolution = training ? -1 : find_last_convolution(network);
    move_relus_behind_pooling(network);
    hand_relus_to_readers(network);
    return plan_passes(network, training ? pass_lanes : plan->lanes);
}

static pd_status plan_network(pd_network *network, const pd_plan *plan, int first_lane,
                              bool training, int pass_lanes)
{
    pd_status status = PD_OK;
    PD_TRY(plan_shapes(network, plan, first_lane, training, pass_lanes));
    PD_TRY(plan_weights(network, training));
    PD_TRY(plan_buffers(network, training));
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
    PD_TRY(add_buffers(network, true));
    PD_TRY(pd_arena_lay_out(network->arena));
    size_t vectors = 1 + (size_t)network->passes.depth;
    size_t floats = vectors * network->weight_count + network->state_count +
                    (size_t)network->plan.lanes * largest_trainable(network);
    *bytes = floats * sizeof(float) + pd_arena_bytes(network->arena);
cleanup:
    return status;
}

const pd_passes *pd_network_passes(const pd_network *network)
{
    return &network->passes;
}

static void initialise_tensor(const pd_tensor *tensor, pd_random random)
{
    const pd_param *param = tensor->param;
    pd_init init = param->init;
    if (init == PD_INIT_DEFAULT)
        init = tensor->layer->spec.relu ? PD_INIT_HE_NORMAL : PD_INIT_GLOROT_UNIFORM;
    double he = sqrt(2.0 / param->fan_in);
    double glorot = sqrt(2.0 / ((double)param->fan_in + param->fan_out));
    bool is_he = init == PD_INIT_HE_NORMAL || init == PD_INIT_HE_UNIFORM;
    float deviation = (float)(is_he ? he : glorot);
    float limit = deviation * sqrtf(3.0f); /* uniform in [-limit, limit) has that deviation */
    for (size_t i = 0; i < tensor->size; i++) {
        switch (init) {
        case PD_INIT_ZEROS:
            param->value[i] = 0;
            break;
        case PD_INIT_ONES:
            param->value[i] = 1;
            break;
        case PD_INIT_HE_UNIFORM:
        case PD_INIT_GLOROT_UNIFORM:
            param->value[i] = pd_random_between(&random, -limit, limit);
            break;
        default:
            param->value[i] = deviation * pd_random_normal(&random);
            break;
        }
    }
}

void pd_network_initialise(pd_network *network, uint64_t seed)
{
    for (int i = 0; i < network->tensor_count; i++)
        initialise_tensor(&network->tensors[i],
                          pd_random_stream(seed, PD_PURPOSE_INIT, (uint32_t)i, 0));
}

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

/* The moment to measure from, if anything is measured. */
static double profile_start(const pd_network *network)
{
    return network->times != NULL ? pd_clock_now() : 0;
}

static const float *output_of(const pd_network *network, int index, const float *x)
{
    return index == PD_NETWORK_INPUT ? x : network->nodes[index - 1].y;
}

static pd_exec with_workspace(const pd_network *network, const pd_exec *exec)
{
    pd_exec own = *exec;
    own.workspace = pd_arena_at(network->arena, network->workspace);
    return own;
}

pd_status pd_network_forward(pd_network *network, const pd_exec *exec, const float *x,
                             const float **y)
{
    pd_exec own = with_workspace(network, exec);
    for (int i = 0; i < network->count; i++) {
        node *at = &network->nodes[i];
        const float *inputs[PD_LAYER_INPUTS] = {NULL};
        for (int j = 0; j < at->layer.type->inputs; j++)
            inputs[j] = output_of(network, at->input[j], x);
        bool saves =
            exec->training || (network->last_convolution >= 0 && i > network->last_convolution);
        void *saved = saves ? pd_arena_at(network->arena, at->saved) : NULL;
        double since = profile_start(network);
        pd_status status = at->layer.type->forward(&at->layer, &own, inputs, at->y, saved);
        if (status != PD_OK)
            return pd_error_prefix(status, "layer '%s'", at->layer.name);
        if (network->times != NULL)
            pd_clock_lap(&since, &network->times[i].forward);
        if (network->watching && network->bad_output < 0 &&
            !all_finite(at->y, pd_exec_floats(exec, at->layer.out)))
            network->bad_output = i;
    }
    *y = network->nodes[network->count - 1].y;
    return PD_OK;
}

static void add_to(float *sum, const float *term, size_t count, int threads)
{
#pragma omp parallel for num_threads(threads)
    for (size_t i = 0; i < count; i++)
        sum[i] += term[i];
}

/* Runs layer i backward. `written` says of every node whether its gradient has been written. */
static pd_status backward_layer(pd_network *network, const pd_exec *exec, int i, const float *x,
                                float *dy, bool *written)
{
    node *at = &network->nodes[i];
    const pd_layer *layer = &at->layer;
    const float *inputs[PD_LAYER_INPUTS] = {NULL};
    float *gradients[PD_LAYER_INPUTS] = {NULL};
    int inputs_count = layer->type->inputs;
    for (int j = 0; j < inputs_count; j++) {
        if (layer->keeps_input)
            inputs[j] = output_of(network, at->input[j], x);
        if (at->input[j] == PD_NETWORK_INPUT)
            continue;
        const node *from = &network->nodes[at->input[j] - 1];
        if (from->dy == NULL) /* it lies before the last convolution, and nobody trains */
            continue;
        gradients[j] = written[at->input[j]] ? pd_arena_at(network->arena, from->second) : from->dy;
        /* A layer that reads one node twice adds its second gradient like another reader. */
        if (j > 0 && at->input[j] == at->input[0])
            gradients[j] = pd_arena_at(network->arena, from->second);
    }
    pd_status status = layer->type->backward(
        &at->layer, exec, inputs, layer->keeps_output ? at->y : NULL, dy, gradients,
        network->lane_gradients, pd_arena_at(network->arena, at->saved));
    if (status != PD_OK)
        return pd_error_prefix(status, "layer '%s'", layer->name);

    for (int j = 0; j < inputs_count; j++) {
        if (gradients[j] == NULL)
            continue;
        const node *from = &network->nodes[at->input[j] - 1];
        if (gradients[j] != from->dy)
            add_to(from->dy, gradients[j], pd_exec_floats(exec, from->layer.out), exec->threads);
        written[at->input[j]] = true;
    }
    return PD_OK;
}

/* Where sum `height` of the stack for subtree `subtree` lies, of the weights from `first` on. */
static float *stack_at(const pd_network *network, int subtree, int height, size_t first)
{
    const float *vectors = height == 0 ? network->gradient : network->waiting;
    int index = height == 0 ? subtree : height - 1;
    return (float *)vectors + (size_t)index * network->weight_count + first;
}

/* Folds the lane gradients of layer `at` of a piece that begins at lane `first` of its pass, and
 * adds them to the piece's subtree. */
static void fold_piece(pd_network *network, const node *at, const pd_piece *piece, int first,
                       int threads)
{
    size_t count = at->trainable;
    float *lanes = network->lane_gradients + (size_t)first * count;
    int height = piece->waiting;
    if (piece->merges == 0) {
        pd_tree_fold_lanes(&piece->lanes, lanes, count, count,
                           stack_at(network, piece->subtree, height, at->first_weight));
        return;
    }
    pd_tree_fold_lanes(&piece->lanes, lanes, count, count, lanes);
    const float *top = lanes;
    for (int i = 0; i < piece->merges; i++) {
        float *below = stack_at(network, piece->subtree, --height, at->first_weight);
        add_to(below, top, count, threads);
        top = below;
    }
}

static void fold_pass(pd_network *network, const node *at, const pd_pass *pass, int threads)
{
    for (int i = pass->first_piece; i < pass->first_piece + pass->pieces; i++) {
        const pd_piece *piece = &network->passes.pieces[i];
        fold_piece(network, at, piece, piece->lanes.first - pass->first_lane, threads);
    }
}

/* Whether the gradient of layer `at` is finite as far as it is complete. */
static bool gradient_finite(const pd_network *network, const node *at)
{
    for (int s = 0; s < network->subtree_count; s++)
        if (!all_finite(stack_at(network, s, 0, at->first_weight), at->trainable))
            return false;
    return true;
}

pd_status pd_network_backward(pd_network *network, const pd_exec *exec, int pass, const float *x,
                              float *dy, pd_gradient_ready ready, void *context)
{
    bool last = pass == network->passes.pass_count - 1;
    pd_status status = PD_OK;
    pd_exec own = with_workspace(network, exec);
    bool written[network->count + 1];
    if (network->gradient == NULL)
        return pd_fail("pd_network_backward needs pd_network_use_gradient before it");
    memset(written, 0, sizeof written);
    for (int i = network->count - 1; i >= 0; i--) {
        const node *at = &network->nodes[i];
        double since = profile_start(network);
        PD_TRY(backward_layer(network, &own, i, x, i == network->count - 1 ? dy : at->dy, written));
        if (network->times != NULL)
            pd_clock_lap(&since, &network->times[i].backward);
        if (at->trainable == 0)
            continue;
        fold_pass(network, at, &network->passes.passes[pass], exec->threads);
        if (last && network->watching && network->bad_gradient < 0 && !gradient_finite(network, at))
            network->bad_gradient = i;
        if (network->times != NULL)
            pd_clock_lap(&since, &network->times[i].fold);
        if (last && ready != NULL)
            PD_TRY(ready(context, at->first_weight, at->trainable));
    }
cleanup:
    return status;
}

int pd_network_last_convolution(const pd_network *network)
{
    return network->last_convolution;
}

pd_status pd_network_activation(pd_network *network, const pd_exec *exec, const float *x, float *dy,
                                const float **activation, const float **gradient)
{
    int last = network->last_convolution, count = network->count;
    if (last < 0)
        return pd_fail("the network has no convolution, or was planned for training");
    pd_exec own = with_workspace(network, exec);
    bool written[count + 1];
    memset(written, 0, sizeof written);
    for (int i = count - 1; i > last; i--) {
        float *from = i == count - 1 ? dy : network->nodes[i].dy;
        pd_status status = backward_layer(network, &own, i, x, from, written);
        if (status != PD_OK)
            return status;
    }
    *activation = network->nodes[last].y;
    *gradient = last == count - 1 ? dy : network->nodes[last].dy;
    return PD_OK;
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

pd_status pd_network_use_gradient(pd_network *network, float *vectors)
{
    pd_status status = PD_OK;
    free(network->own_gradient);
    network->own_gradient = NULL;
    if (vectors == NULL)
        status = pd_alloc(&network->own_gradient,
                          (size_t)network->subtree_count * network->weight_count, sizeof(float));
    network->gradient = vectors != NULL ? vectors : network->own_gradient;
    return status;
}

const float *pd_network_gradient(const pd_network *network, int *subtrees)
{
    *subtrees = network->subtree_count;
    return network->gradient;
}

int pd_network_layer_count(const pd_network *network)
{
    return network->count;
}

const pd_layer *pd_network_layer(const pd_network *network, int index)
{
    return &network->nodes[index].layer;
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

void pd_network_watch(pd_network *network, bool on)
{
    network->watching = on;
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

void pd_network_flops(const pd_network *network, int index, double *forward, double *backward)
{
    const node *at = &network->nodes[index];
    int gradients = at->trainable > 0;
    for (int i = 0; i < at->layer.type->inputs; i++)
        gradients += at->input[i] != PD_NETWORK_INPUT;
    *forward = at->layer.flops;
    *backward = gradients * at->layer.flops;
}
