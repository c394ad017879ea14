#include "pneumo/nn/add.h"

#include "pneumo/kernels/activation.h"

static pd_status add_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    pd_shape a = layer->in[0], b = layer->in[1];
    if (a.h != b.h || a.w != b.w || a.c != b.c)
        return pd_fail("layer '%s': cannot add %d x %d x %d and %d x %d x %d; give both inputs one "
                       "shape",
                       layer->name, a.h, a.w, a.c, b.h, b.w, b.c);
    layer->out = a;
    layer->keeps_output = layer->spec.relu;
    return PD_OK;
}

static pd_status add_forward(pd_layer *layer, const pd_exec *exec, const float *const *x, float *y,
                             void *saved)
{
    (void)saved;
    pd_add(pd_exec_floats(exec, layer->out), x[0], x[1], layer->spec.relu, y, exec->threads);
    return PD_OK;
}

static pd_status add_backward(pd_layer *layer, const pd_exec *exec, const float *const *x,
                              const float *y, float *dy, float *const *dx, float *gradient,
                              void *saved)
{
    (void)x, (void)gradient, (void)saved;
    size_t n = pd_exec_floats(exec, layer->out);
    for (int i = 0; i < 2; i++) {
        if (dx[i] && layer->spec.relu)
            pd_relu_backward(n, y, dy, dx[i], exec->threads);
        else if (dx[i])
            pd_copy(n, dy, dx[i], exec->threads);
    }
    return PD_OK;
}

const pd_layer_type pd_layer_add = {"add", 2, add_plan, add_forward, add_backward};
