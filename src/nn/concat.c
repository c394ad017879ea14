/* The layer "concat": the channels of x[0], then those of x[1], which have the same h and w. Keeps
 * nothing. */
#include "registry.h"

#include "pneumo/kernels/arrange.h"

#include <limits.h>

static pd_status concat_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    pd_shape a = layer->in[0], b = layer->in[1];
    if (a.h != b.h || a.w != b.w)
        return pd_fail("layer '%s': cannot concatenate %d x %d x %d and %d x %d x %d; give both "
                       "inputs the same height and width",
                       layer->name, a.h, a.w, a.c, b.h, b.w, b.c);
    if (a.c > INT_MAX - b.c)
        return pd_fail("layer '%s': its output has too many channels", layer->name);
    layer->out = (pd_shape){a.h, a.w, a.c + b.c};
    return PD_OK;
}

static size_t pixels_of(const pd_layer *layer, const pd_exec *exec)
{
    return pd_exec_elements(exec, (pd_shape){layer->out.h, layer->out.w, 1});
}

static pd_status concat_forward(pd_layer *layer, const pd_exec *exec, const void *const *x, void *y,
                                void *saved)
{
    (void)saved;
    pd_channels_join(pixels_of(layer, exec), x[0], layer->in[0].c, x[1], layer->in[1].c, y,
                     exec->threads);
    return PD_OK;
}

static pd_status concat_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    pd_channels_split(pixels_of(layer, exec), arrays->dy, arrays->dx[0], layer->in[0].c,
                      arrays->dx[1], layer->in[1].c, exec->threads);
    return PD_OK;
}

const pd_layer_type pd_layer_concat = {.name = "concat",
                                       .inputs = 2,
                                       .plan = concat_plan,
                                       .forward = concat_forward,
                                       .backward = concat_backward};
