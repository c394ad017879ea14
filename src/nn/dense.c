#include "pneumo/nn/dense.h"

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

    size_t forward = pd_dense_forward_workspace(plan->lanes * plan->lane_samples, inputs,
                                                spec->units, plan->threads);
    size_t backward =
        pd_dense_backward_weights_workspace(plan->lanes, plan->lane_samples, spec->units);
    layer->workspace_floats = forward > backward ? forward : backward;
    layer->keeps_input = true;
    layer->keeps_output = spec->relu;
    return PD_OK;
}

static pd_status dense_forward(pd_layer *layer, const pd_exec *exec, const float *const *x,
                               float *y, void *saved)
{
    (void)saved;
    const float *bias = layer->spec.no_bias ? NULL : layer->params[BIAS].value;
    pd_dense_forward(pd_exec_samples(exec), dense_inputs(layer), layer->spec.units, x[0],
                     layer->params[KERNEL].value, bias, layer->spec.relu, y, exec->workspace,
                     exec->threads);
    return PD_OK;
}

static pd_status dense_backward(pd_layer *layer, const pd_exec *exec, const float *const *x,
                                const float *y, float *dy, float *const *dx, float *gradient,
                                void *saved)
{
    (void)saved;
    int inputs = dense_inputs(layer);
    int units = layer->spec.units;
    if (layer->spec.relu)
        pd_relu_backward(pd_exec_floats(exec, layer->out), y, dy, dy, exec->threads);
    if (gradient) {
        float *dbias =
            layer->spec.no_bias ? NULL : gradient + pd_param_size(&layer->params[KERNEL]);
        pd_dense_backward_weights(exec->lanes, exec->lane_samples, inputs, units, x[0], dy,
                                  gradient, dbias, pd_layer_trainable(layer), exec->workspace,
                                  exec->threads);
    }
    if (dx[0])
        pd_dense_backward_input(exec->lanes, exec->lane_samples, inputs, units, dy,
                                layer->params[KERNEL].value, dx[0], exec->threads);
    return PD_OK;
}

const pd_layer_type pd_layer_dense = {"dense", 1, dense_plan, dense_forward, dense_backward};
