/* Elementwise activations besides "relu", which other layers can fuse.
 *
 * rectifier: spec.slope * x where x < 0, else x, at most spec.limit (0 means no limit): leaky ReLU,
 * ReLU6 and Keras' layer ReLU. Keeps its input.
 *
 * elu: x where x > 0, else spec.alpha * (exp(x) - 1). Keeps its output.
 *
 * sigmoid: 1 / (1 + exp(-x)). Keeps its output. */
#include "registry.h"

#include "pneumo/kernels/activation.h"

static pd_status rectifier_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    if (!(layer->spec.limit >= 0))
        return pd_fail("layer '%s': limit %g is negative", layer->name, (double)layer->spec.limit);
    layer->out = layer->in[0];
    layer->keeps_input = true;
    return PD_OK;
}

static float limit_of(const pd_layer *layer)
{
    return layer->spec.limit > 0 ? layer->spec.limit : INFINITY;
}

static pd_status rectifier_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                   void *y, void *saved)
{
    (void)saved;
    pd_rectify(pd_exec_elements(exec, layer->out), x[0], layer->spec.slope, limit_of(layer), y,
               exec->threads);
    return PD_OK;
}

static pd_status rectifier_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    if (arrays->dx[0] != NULL)
        pd_rectify_backward(pd_exec_elements(exec, layer->out), arrays->x[0], arrays->dy,
                            layer->spec.slope, limit_of(layer), arrays->dx[0], exec->threads);
    return PD_OK;
}

static pd_status elu_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    if (!(layer->spec.alpha >= 0))
        return pd_fail("layer '%s': alpha %g is negative", layer->name, (double)layer->spec.alpha);
    layer->out = layer->in[0];
    layer->keeps_output = true;
    return PD_OK;
}

static pd_status elu_forward(pd_layer *layer, const pd_exec *exec, const void *const *x, void *y,
                             void *saved)
{
    (void)saved;
    pd_elu(pd_exec_elements(exec, layer->out), x[0], layer->spec.alpha, y, exec->threads);
    return PD_OK;
}

static pd_status elu_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    if (arrays->dx[0] != NULL)
        pd_elu_backward(pd_exec_elements(exec, layer->out), arrays->y, arrays->dy,
                        layer->spec.alpha, arrays->dx[0], exec->threads);
    return PD_OK;
}

static pd_status sigmoid_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    layer->out = layer->in[0];
    layer->keeps_output = true;
    return PD_OK;
}

static pd_status sigmoid_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                 void *y, void *saved)
{
    (void)saved;
    pd_logistic(pd_exec_elements(exec, layer->out), x[0], y, exec->threads);
    return PD_OK;
}

static pd_status sigmoid_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    if (arrays->dx[0] != NULL)
        pd_logistic_backward(pd_exec_elements(exec, layer->out), arrays->y, arrays->dy,
                             arrays->dx[0], exec->threads);
    return PD_OK;
}

const pd_layer_type pd_layer_rectifier = {.name = "rectifier",
                                          .inputs = 1,
                                          .plan = rectifier_plan,
                                          .forward = rectifier_forward,
                                          .backward = rectifier_backward,
                                          .extends_convolution = true};
const pd_layer_type pd_layer_elu = {.name = "elu",
                                    .inputs = 1,
                                    .plan = elu_plan,
                                    .forward = elu_forward,
                                    .backward = elu_backward,
                                    .extends_convolution = true};
const pd_layer_type pd_layer_sigmoid = {.name = "sigmoid",
                                        .inputs = 1,
                                        .plan = sigmoid_plan,
                                        .forward = sigmoid_forward,
                                        .backward = sigmoid_backward};
