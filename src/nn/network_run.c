#include "network_internal.h"

#include "pneumo/base/clock.h"

#include <math.h>
#include <string.h>

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

/* The start of a measurement; 0 if times are not measured. */
static double profile_start(const pd_network *network)
{
    return network->times != NULL ? pd_clock_now() : 0;
}

static const float *output_of(const pd_network *network, int index, const float *x)
{
    return index == PD_NETWORK_INPUT ? x : network->nodes[index - 1].y;
}

static void add_to(float *sum, const float *term, size_t count, int threads)
{
#pragma omp parallel for num_threads(threads)
    for (size_t i = 0; i < count; i++)
        sum[i] += term[i];
}

/* --- Forward --- */

static pd_status forward_layer(pd_network *network, const pd_exec *exec, int i, const float *x)
{
    pd_node *node = &network->nodes[i];
    const float *inputs[PD_LAYER_INPUTS] = {NULL};
    for (int j = 0; j < node->layer.type->inputs; j++)
        inputs[j] = output_of(network, node->input[j], x);
    pd_exec own = *exec;
    own.training = exec->training && !node->layer.frozen;
    own.workspace = pd_arena_at(network->arena, node->workspace);
    bool saves = node->backward && (exec->training || network->last_convolution >= 0);
    void *saved = saves ? pd_arena_at(network->arena, node->saved) : NULL;
    pd_status status = node->layer.type->forward(&node->layer, &own, inputs, node->y, saved);
    return status == PD_OK ? PD_OK : pd_error_prefix(status, "layer '%s'", node->layer.name);
}

pd_status pd_network_forward(pd_network *network, const pd_exec *exec, const float *x,
                             const float **y)
{
    for (int i = 0; i < network->count; i++) {
        const pd_node *node = &network->nodes[i];
        double since = profile_start(network);
        pd_status status = forward_layer(network, exec, i, x);
        if (status != PD_OK)
            return status;
        if (network->times != NULL)
            pd_clock_lap(&since, &network->times[i].forward);
        if (network->watching && network->bad_output < 0 &&
            !all_finite(node->y, pd_exec_floats(exec, node->layer.out)))
            network->bad_output = i;
    }
    *y = network->nodes[network->count - 1].y;
    return PD_OK;
}

/* --- Backward --- */

/* Chooses where the gradients of layer i's inputs go. `written` says of every node whether its
 * gradient has been written: then the next one goes to the node's second buffer, to be added. */
static void choose_dx(const pd_network *network, int i, const bool *written,
                      float *dx[PD_LAYER_INPUTS])
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

/* Runs layer i backward. */
static pd_status backward_layer(pd_network *network, const pd_exec *exec, int i, const float *x,
                                float *dy, bool *written)
{
    pd_node *node = &network->nodes[i];
    pd_layer *layer = &node->layer;
    pd_backward arrays = {.y = layer->keeps_output ? node->y : NULL,
                          .dy = dy,
                          .gradient = network->lane_gradients,
                          .saved = pd_arena_at(network->arena, node->saved)};
    for (int j = 0; j < layer->type->inputs && layer->keeps_input; j++)
        arrays.x[j] = output_of(network, node->input[j], x);
    choose_dx(network, i, written, arrays.dx);
    pd_exec own = *exec;
    own.workspace = pd_arena_at(network->arena, node->backward_workspace);
    pd_status status = layer->type->backward(layer, &own, &arrays);
    if (status != PD_OK)
        return pd_error_prefix(status, "layer '%s'", layer->name);

    for (int j = 0; j < layer->type->inputs; j++) {
        if (arrays.dx[j] == NULL)
            continue;
        const pd_node *source = &network->nodes[node->input[j] - 1];
        if (arrays.dx[j] != source->dy)
            add_to(source->dy, arrays.dx[j], pd_exec_floats(exec, source->layer.out),
                   exec->threads);
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
        add_to(below, top, count, threads);
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
        if (!all_finite(stack_at(network, s, 0, node->first_weight), node->trainable))
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
        PD_TRY(
            backward_layer(network, exec, i, x, i == network->count - 1 ? dy : node->dy, written));
        if (network->times != NULL)
            pd_clock_lap(&since, &network->times[i].backward);
        if (node->trainable == 0)
            continue;
        fold_pass(network, node, &network->passes.passes[pass], exec->threads);
        if (last && network->watching && network->bad_gradient < 0 &&
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
    bool written[count + 1];
    memset(written, 0, sizeof written);
    for (int i = count - 1; i > last; i--) {
        float *from = i == count - 1 ? dy : network->nodes[i].dy;
        pd_status status = backward_layer(network, exec, i, x, from, written);
        if (status != PD_OK)
            return status;
    }
    *activation = network->nodes[last].y;
    *gradient = last == count - 1 ? dy : network->nodes[last].dy;
    return PD_OK;
}
