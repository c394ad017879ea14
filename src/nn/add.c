/* The layer "add": y = x[0] + x[1], both of the same shape; with spec.relu, then ReLU. Keeps the
 * output with ReLU, else nothing. */
#include "registry.h"

#include "pneumo/kernels/activation.h"

static pd_status add_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    pd_shape a = layer->in[0], b = layer->in[1];
    if (a.h != b.h || a.w != b.w || a.c != b.c)
        return pd_fail("layer '%s': cannot add %d x %d x %d and %d x %d x %d; give both inputs the "
                       "same shape",
                       layer->name, a.h, a.w, a.c, b.h, b.w, b.c);
    layer->out = a;
    layer->keeps_output = layer->spec.relu;
    return PD_OK;
}

static pd_status add_forward(pd_layer *layer, const pd_exec *exec, const void *const *x, void *y,
                             void *saved)
{
    (void)saved;
    pd_add(layer->precision, pd_exec_elements(exec, layer->out), x[0], x[1], layer->spec.relu, y,
           exec->threads);
    return PD_OK;
}

static pd_status add_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    size_t n = pd_exec_elements(exec, layer->out);
    for (int i = 0; i < 2; i++) {
        if (arrays->dx[i] == NULL)
            continue;
        if (layer->spec.relu)
            pd_relu_backward(layer->precision, n, arrays->y, arrays->dy, arrays->dx[i],
                             exec->threads);
        else
            pd_copy(layer->precision, n, arrays->dy, arrays->dx[i], exec->threads);
    }
    return PD_OK;
}

const pd_layer_type pd_layer_add = {.name = "add",
                                    .inputs = 2,
                                    .plan = add_plan,
                                    .forward = add_forward,
                                    .backward = add_backward,
                                    .takes_bf16 = true};
