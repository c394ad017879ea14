/* The layer "dense": each output is a weighted sum of all inputs, plus bias and, fused, ReLU.
 *
 * The input is read as one vector of h * w * c features. Reads spec.units, relu, no_bias and init.
 * Params: kernel [inputs][units], bias [units]. */
#include "registry.h"

#include "pneumo/kernels/activation.h"
#include "pneumo/kernels/dense.h"

#include <limits.h>

enum { KERNEL, BIAS };

static int dense_inputs(const pd_layer *layer)
{
    return (int)pd_shape_size(layer->in[0]);
}

static pd_status dense_plan(pd_layer *layer, const pd_plan *plan)
{
    const pd_layer_spec *spec = &layer->spec;
    if (spec->units < 1)
        return pd_fail("layer '%s': %d units; give at least 1", layer->name, spec->units);
    if (pd_shape_size(layer->in[0]) > INT_MAX)
        return pd_fail("layer '%s': its input has %zu features; at most %d are possible",
                       layer->name, pd_shape_size(layer->in[0]), INT_MAX);

    int inputs = dense_inputs(layer);
    int dims[2] = {inputs, spec->units};
    layer->out = (pd_shape){1, 1, spec->units};
    layer->flops = 2.0 * inputs * spec->units;
    pd_param *kernel = pd_layer_add_param(layer, "kernel", 2, dims, true, spec->init);
    kernel->decays = true;
    kernel->fan_in = inputs;
    kernel->fan_out = spec->units;
    if (!spec->no_bias)
        pd_layer_add_param(layer, "bias", 1, &spec->units, true, PD_INIT_ZEROS);

    pd_dense_shape shape = {plan->lanes, plan->lane_samples, inputs, spec->units, plan->threads};
    layer->workspace_floats = pd_dense_forward_workspace(&shape);
    layer->backward_floats = pd_dense_backward_weights_workspace(&shape);
    layer->keeps_input = true;
    layer->keeps_output = spec->relu;
    return PD_OK;
}

static pd_dense_shape dense_shape(const pd_layer *layer, const pd_exec *exec)
{
    return (pd_dense_shape){exec->lanes, exec->lane_samples, dense_inputs(layer), layer->spec.units,
                            exec->threads};
}

static pd_status dense_forward(pd_layer *layer, const pd_exec *exec, const void *const *x, void *y,
                               void *saved)
{
    (void)saved;
    const float *bias = layer->spec.no_bias ? NULL : layer->params[BIAS].value;
    pd_dense_shape shape = dense_shape(layer, exec);
    pd_dense_forward(&shape, x[0], layer->params[KERNEL].value, bias, layer->spec.relu, y,
                     exec->workspace);
    return PD_OK;
}

static pd_status dense_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    pd_dense_shape shape = dense_shape(layer, exec);
    float *dy = arrays->dy, *dkernel = arrays->gradient;
    if (layer->spec.relu)
        pd_relu_backward(PD_FLOAT32, pd_exec_elements(exec, layer->out), arrays->y, dy, dy,
                         exec->threads);
    if (dkernel != NULL) {
        float *dbias = layer->spec.no_bias ? NULL : dkernel + pd_param_size(&layer->params[KERNEL]);
        pd_dense_backward_weights(&shape, arrays->x[0], dy, dkernel, dbias,
                                  pd_layer_trainable(layer), exec->workspace);
    }
    if (arrays->dx[0] != NULL)
        pd_dense_backward_input(&shape, dy, layer->params[KERNEL].value, arrays->dx[0]);
    return PD_OK;
}

const pd_layer_type pd_layer_dense = {.name = "dense",
                                      .inputs = 1,
                                      .plan = dense_plan,
                                      .forward = dense_forward,
                                      .backward = dense_backward,
                                      .fully_connected = true,
                                      .makes_vector = true};
