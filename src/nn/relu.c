#include "pneumo/nn/relu.h"

#include "pneumo/kernels/activation.h"

static pd_status relu_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    layer->out = layer->in[0];
    layer->keeps_output = true;
    return PD_OK;
}

static pd_status relu_forward(pd_layer *layer, const pd_exec *exec, const float *const *x, float *y,
                              void *saved)
{
    (void)saved;
    pd_relu(pd_exec_floats(exec, layer->out), x[0], y, exec->threads);
    return PD_OK;
}

static pd_status relu_backward(pd_layer *layer, const pd_exec *exec, const float *const *x,
                               const float *y, float *dy, float *const *dx, float *gradient,
                               void *saved)
{
    (void)x, (void)gradient, (void)saved;
    if (dx[0])
        pd_relu_backward(pd_exec_floats(exec, layer->out), y, dy, dx[0], exec->threads);
    return PD_OK;
}

const pd_layer_type pd_layer_relu = {"relu", 1, relu_plan, relu_forward, relu_backward};
