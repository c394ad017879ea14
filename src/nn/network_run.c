#include "network_internal.h"
#include "network_slices.h"

#include "pneumo/base/clock.h"
#include "pneumo/kernels/activation.h"

#include <math.h>
#include <string.h>

static bool all_finite(pd_precision precision, const void *values, size_t count)
{
    const pd_bf16 *rounded = values;
    const float *floats = values;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(precision == PD_BF16 ? pd_bf16_widen(rounded[i]) : floats[i]))
            return false;
    return true;
}

/* The start of a measurement; 0 if times are not measured. */
static double profile_start(const pd_network *network)
{
    return network->times != NULL ? pd_clock_now() : 0;
}

/* --- Arrays of the precision that a layer takes --- */

/* Takes `count` floats from *floats. */
static float *take(float **floats, size_t count)
{
    float *taken = *floats;
    *floats += count;
    return taken;
}

/* The elements of an array that is stored in `stored`, for a layer that takes `wanted`: in place,
 * or widened to floats that are taken from *floats. */
static void *widened(pd_precision stored, pd_precision wanted, void *array, size_t count,
                     float **floats, int threads)
{
    if (stored == wanted || array == NULL)
        return array;
    float *copy = take(floats, count);
    pd_precision_widen(count, array, copy, threads);
    return copy;
}

/* Where a layer that takes `wanted` writes an array that is stored in `stored`. */
static void *writable(pd_precision stored, pd_precision wanted, void *array, size_t count,
                      float **floats)
{
    return stored == wanted || array == NULL ? array : take(floats, count);
}

/* Stores what was written elsewhere. */
static void store(const void *written, void *array, size_t count, int threads)
{
    if (written != array)
        pd_precision_round(count, written, array, threads);
}

/* The output of node `index` as a layer reads it. x is the input of the network. */
static const void *output_of(const pd_network *network, const pd_exec *exec, const pd_layer *layer,
                             int index, const float *x, float **floats)
{
    if (index == PD_NETWORK_INPUT)
        return layer->precision == PD_BF16 ? pd_arena_at(network->arena, network->rounded_input)
                                           : x;
    const pd_node *source = &network->nodes[index - 1];
    return widened(source->precision, layer->precision, source->y,
                   pd_exec_elements(exec, source->layer.out), floats, exec->threads);
}

/* --- Forward --- */

/* What the layer's type prepares from its params. */
static const float *prepare_layer(const pd_network *network, const pd_node *node, int threads)
{
    if (node->layer.type->prepare == NULL || node->shared != NULL)
        return node->shared;
    float *prepared = pd_arena_at(network->arena, node->prepared);
    node->layer.type->prepare(&node->layer, threads, prepared);
    return prepared;
}

static pd_status forward_layer(pd_network *network, const pd_exec *exec, int i, const float *x)
{
    pd_node *node = &network->nodes[i];
    const pd_layer *layer = &node->layer;
    const void *inputs[PD_LAYER_INPUTS] = {NULL};
    float *floats = pd_arena_at(network->arena, node->floats);
    for (int j = 0; j < layer->type->inputs; j++)
        inputs[j] = output_of(network, exec, layer, node->input[j], x, &floats);
    size_t count = pd_exec_elements(exec, layer->out);
    node->y = pd_arena_at(network->arena, node->output);
    void *y = writable(node->precision, layer->precision, node->y, count, &floats);
    pd_exec own = *exec;
    own.training = exec->training && !node->layer.frozen;
    own.prepared = prepare_layer(network, node, exec->threads);
    own.workspace = pd_arena_at(network->arena, node->workspace);
    bool saves = node->backward && (exec->training || exec->keeps);
    void *saved = saves ? pd_arena_at(network->arena, node->saved) : NULL;
    pd_status status = layer->type->forward(&node->layer, &own, inputs, y, saved);
    if (status != PD_OK)
        return pd_error_prefix(status, "layer '%s'", layer->name);
    store(y, node->y, count, exec->threads);
    return PD_OK;
}

pd_status pd_network_forward(pd_network *network, const pd_exec *exec, const float *x,
                             const float **y)
{
    if (pd_slices_take(network, exec))
        return pd_slices_forward(network, exec, x, y);
    if (network->precision == PD_BF16)
        pd_precision_round(pd_exec_elements(exec, network->input), x,
                           pd_arena_at(network->arena, network->rounded_input), exec->threads);
    for (int i = 0; i < network->count; i++) {
        const pd_node *node = &network->nodes[i];
        double since = profile_start(network);
        pd_status status = forward_layer(network, exec, i, x);
        if (status != PD_OK)
            return status;
        if (network->times != NULL)
            pd_clock_lap(&since, &network->times[i].forward);
        if (network->checks_finite && (network->bad_output < 0 || i < network->bad_output) &&
            !all_finite(node->precision, node->y, pd_exec_elements(exec, node->layer.out)))
            network->bad_output = i;
    }
    *y = network->nodes[network->count - 1].y;
    return PD_OK;
}

/* --- Backward --- */

/* Computes again the inputs of layer i that were not kept. */
static pd_status recompute_inputs(pd_network *network, const pd_exec *exec, int i, const float *x)
{
    const pd_node *reader = &network->nodes[i];
    for (int j = 0; j < reader->layer.type->inputs; j++) {
        if (reader->input[j] == PD_NETWORK_INPUT)
            continue;
        pd_node *node = &network->nodes[reader->input[j] - 1];
        const pd_layer *layer = &node->layer;
        if (node->recomputed_for != i)
            continue;
        const void *inputs[PD_LAYER_INPUTS] = {NULL};
        for (int k = 0; k < layer->type->inputs; k++)
            inputs[k] = output_of(network, exec, layer, node->input[k], x, NULL);
        pd_exec own = *exec;
        own.workspace = pd_arena_at(network->arena, node->again_workspace);
        node->y = pd_arena_at(network->arena, node->again);
        pd_status status = layer->type->recompute(layer, &own, inputs, node->y,
                                                  pd_arena_at(network->arena, node->saved));
        if (status != PD_OK)
            return pd_error_prefix(status, "layer '%s'", layer->name);
    }
    return PD_OK;
}

/* Chooses where the gradients of layer i's inputs go. `written` says of every node whether its
 * gradient has been written: then the next one goes to the node's second buffer, to be added. */
static void choose_dx(const pd_network *network, int i, const bool *written,
                      void *dx[PD_LAYER_INPUTS])
{
    const pd_node *node = &network->nodes[i];
    for (int j = 0; j < node->layer.type->inputs; j++) {
        dx[j] = NULL;
        if (node->input[j] == PD_NETWORK_INPUT)
            continue;
        const pd_node *source = &network->nodes[node->input[j] - 1];
        if (!source->has_gradient)
            continue;
        bool again = j > 0 && node->input[j] == node->input[0]; /* reads one node twice */
        dx[j] = written[node->input[j]] || again ? pd_arena_at(network->arena, source->second)
                                                 : source->dy;
    }
}

/* Runs layer i backward, on the gradient of its output as it is stored. */
static pd_status backward_layer(pd_network *network, const pd_exec *exec, int i, const float *x,
                                void *dy, bool *written)
{
    pd_node *node = &network->nodes[i];
    pd_layer *layer = &node->layer;
    const pd_precision taken = layer->precision;
    const int inputs = layer->type->inputs, threads = exec->threads;
    size_t out = pd_exec_elements(exec, layer->out);
    float *floats = pd_arena_at(network->arena, node->backward_floats);
    void *y = layer->keeps_output ? node->y : NULL, *dx[PD_LAYER_INPUTS] = {NULL};
    pd_backward arrays = {.y = widened(node->precision, taken, y, out, &floats, threads),
                          .dy = widened(node->precision, taken, dy, out, &floats, threads),
                          .gradient = network->lane_gradients,
                          .saved = pd_arena_at(network->arena, node->saved)};
    choose_dx(network, i, written, dx);
    for (int j = 0; j < inputs; j++) {
        if (layer->keeps_input)
            arrays.x[j] = output_of(network, exec, layer, node->input[j], x, &floats);
        arrays.dx[j] = writable(network->precision, taken, dx[j],
                                pd_exec_elements(exec, layer->in[j]), &floats);
    }
    pd_exec own = *exec;
    own.workspace = pd_arena_at(network->arena, node->backward_workspace);
    pd_status status = layer->type->backward(layer, &own, &arrays);
    if (status != PD_OK)
        return pd_error_prefix(status, "layer '%s'", layer->name);

    for (int j = 0; j < inputs; j++) {
        if (dx[j] == NULL)
            continue;
        const pd_node *source = &network->nodes[node->input[j] - 1];
        size_t count = pd_exec_elements(exec, layer->in[j]);
        store(arrays.dx[j], dx[j], count, threads);
        if (dx[j] != source->dy)
            pd_add(source->precision, count, source->dy, dx[j], false, source->dy, threads);
        written[node->input[j]] = true;
    }
    return PD_OK;
}

/* Sum `height` of the stack of subtree `subtree`, of the weights from number `first` on. */
static float *stack_at(const pd_network *network, int subtree, int height, size_t first)
{
    float *vectors = height == 0 ? network->gradient : network->pending;
    int index = height == 0 ? subtree : height - 1;
    return vectors + (size_t)index * network->gradient_count + first - network->frozen.weights;
}

/* Folds the lane gradients of a layer over a piece, whose first lane is lane `first` of its pass,
 * and adds them to the piece's subtree. */
static void fold_piece(pd_network *network, const pd_node *node, const pd_piece *piece, int first,
                       int threads)
{
    size_t count = node->trainable;
    float *lanes = network->lane_gradients + (size_t)first * count;
    int height = piece->height;
    if (piece->merges == 0) {
        pd_tree_fold_lanes(&piece->lanes, lanes, count, count,
                           stack_at(network, piece->subtree, height, node->first_weight));
        return;
    }
    pd_tree_fold_lanes(&piece->lanes, lanes, count, count, lanes);
    const float *top = lanes;
    for (int i = 0; i < piece->merges; i++) {
        float *below = stack_at(network, piece->subtree, --height, node->first_weight);
        pd_add(PD_FLOAT32, count, below, top, false, below, threads);
        top = below;
    }
}

static void fold_pass(pd_network *network, const pd_node *node, const pd_pass *pass, int threads)
{
    for (int i = pass->first_piece; i < pass->first_piece + pass->pieces; i++) {
        const pd_piece *piece = &network->passes.pieces[i];
        fold_piece(network, node, piece, piece->lanes.first - pass->first_lane, threads);
    }
}

/* Whether the complete gradient of a layer is finite. */
static bool gradient_finite(const pd_network *network, const pd_node *node)
{
    for (int s = 0; s < network->subtree_count; s++)
        if (!all_finite(PD_FLOAT32, stack_at(network, s, 0, node->first_weight), node->trainable))
            return false;
    return true;
}

pd_status pd_network_backward(pd_network *network, const pd_exec *exec, int pass, const float *x,
                              float *dy, pd_gradient_ready ready, void *context)
{
    bool last = pass == network->passes.pass_count - 1;
    pd_status status = PD_OK;
    bool written[network->count + 1];
    if (network->gradient == NULL)
        return pd_fail("pd_network_use_gradient must precede pd_network_backward");
    memset(written, 0, sizeof written);
    for (int i = network->count - 1; i >= 0; i--) {
        const pd_node *node = &network->nodes[i];
        if (!node->backward)
            continue;
        double since = profile_start(network);
        PD_TRY(recompute_inputs(network, exec, i, x));
        PD_TRY(
            backward_layer(network, exec, i, x, i == network->count - 1 ? dy : node->dy, written));
        if (network->times != NULL)
            pd_clock_lap(&since, &network->times[i].backward);
        if (node->trainable == 0)
            continue;
        fold_pass(network, node, &network->passes.passes[pass], exec->threads);
        if (last && network->checks_finite && network->bad_gradient < 0 &&
            !gradient_finite(network, node))
            network->bad_gradient = i;
        if (network->times != NULL)
            pd_clock_lap(&since, &network->times[i].fold);
        if (last && ready != NULL)
            PD_TRY(ready(context, node->first_weight - network->frozen.weights, node->trainable));
    }
cleanup:
    return status;
}

pd_status pd_network_activation(pd_network *network, const pd_exec *exec, const float *x, float *dy,
                                const float **activation, const float **gradient)
{
    int last = network->last_convolution, count = network->count;
    if (last < 0)
        return pd_fail("the network has no convolution, or was planned for training");
    if (!exec->keeps || pd_exec_samples(exec) != 1)
        return pd_fail("pd_network_activation needs a forward of one sample with exec->keeps");
    bool written[count + 1];
    memset(written, 0, sizeof written);
    for (int i = count - 1; i > last; i--) {
        void *from = i == count - 1 ? dy : network->nodes[i].dy;
        pd_status status = backward_layer(network, exec, i, x, from, written);
        if (status != PD_OK)
            return status;
    }
    const pd_node *shown = &network->nodes[last];
    void *arrays[2] = {shown->y, last == count - 1 ? dy : shown->dy};
    for (int i = 0; i < 2; i++) {
        float *floats =
            network->precision == PD_BF16 ? pd_arena_at(network->arena, network->shown[i]) : NULL;
        arrays[i] = widened(shown->precision, PD_FLOAT32, arrays[i],
                            pd_exec_elements(exec, shown->layer.out), &floats, exec->threads);
    }
    *activation = arrays[0];
    *gradient = arrays[1];
    return PD_OK;
}
