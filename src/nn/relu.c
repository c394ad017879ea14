/* The layer "relu": y = max(x, 0). Keeps the output. */
#include "registry.h"

#include "pneumo/kernels/activation.h"

static pd_status relu_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    layer->out = layer->in[0];
    layer->keeps_output = true;
    return PD_OK;
}

static pd_status relu_forward(pd_layer *layer, const pd_exec *exec, const void *const *x, void *y,
                              void *saved)
{
    (void)saved;
    pd_relu(layer->precision, pd_exec_elements(exec, layer->out), x[0], y, exec->threads);
    return PD_OK;
}

static pd_status relu_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    if (arrays->dx[0] != NULL)
        pd_relu_backward(layer->precision, pd_exec_elements(exec, layer->out), arrays->y,
                         arrays->dy, arrays->dx[0], exec->threads);
    return PD_OK;
}

const pd_layer_type pd_layer_relu = {.name = "relu",
                                     .inputs = 1,
                                     .plan = relu_plan,
                                     .forward = relu_forward,
                                     .backward = relu_backward,
                                     .extends_convolution = true,
                                     .takes_bf16 = true};
