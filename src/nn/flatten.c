/* The layer "flatten": [h][w][c] -> [h * w * c], the same numbers in the same order. Keeps nothing.
 */
#include "registry.h"

#include "pneumo/kernels/activation.h"

#include <limits.h>

static pd_status flatten_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    if (pd_shape_size(layer->in[0]) > INT_MAX)
        return pd_fail("layer '%s': its input has %zu features; at most %d are possible",
                       layer->name, pd_shape_size(layer->in[0]), INT_MAX);
    layer->out = (pd_shape){1, 1, (int)pd_shape_size(layer->in[0])};
    return PD_OK;
}

static pd_status flatten_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                 void *y, void *saved)
{
    (void)saved;
    pd_copy(layer->precision, pd_exec_elements(exec, layer->out), x[0], y, exec->threads);
    return PD_OK;
}

static pd_status flatten_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    if (arrays->dx[0] != NULL)
        pd_copy(layer->precision, pd_exec_elements(exec, layer->out), arrays->dy, arrays->dx[0],
                exec->threads);
    return PD_OK;
}

const pd_layer_type pd_layer_flatten = {.name = "flatten",
                                        .inputs = 1,
                                        .plan = flatten_plan,
                                        .forward = flatten_forward,
                                        .backward = flatten_backward,
                                        .takes_bf16 = true,
                                        .makes_vector = true};
