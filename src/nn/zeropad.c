/* The layer "zeropad": spec.pad rows and columns of zeros around the input. Keeps nothing. */
#include "registry.h"

#include "pneumo/kernels/arrange.h"

static pd_frame frame_of(const pd_layer *layer)
{
    pd_shape in = layer->in[0];
    const int *pad = layer->spec.pad;
    return (pd_frame){in.h, in.w, in.c, pad[0], pad[1], pad[2], pad[3]};
}

static pd_status zeropad_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    enum { SIDE_MAX = 1 << 15 };
    const int *pad = layer->spec.pad;
    for (int i = 0; i < 4; i++)
        if (pad[i] < 0 || pad[i] > SIDE_MAX)
            return pd_fail("layer '%s': padding of %d; use 0 to %d", layer->name, pad[i], SIDE_MAX);
    pd_shape in = layer->in[0];
    layer->out = (pd_shape){pad[0] + in.h + pad[1], pad[2] + in.w + pad[3], in.c};
    return PD_OK;
}

static pd_status zeropad_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                 void *y, void *saved)
{
    (void)saved;
    pd_frame frame = frame_of(layer);
    pd_frame_pad(&frame, pd_exec_samples(exec), x[0], y, exec->threads);
    return PD_OK;
}

static pd_status zeropad_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    pd_frame frame = frame_of(layer);
    if (arrays->dx[0] != NULL)
        pd_frame_crop(&frame, pd_exec_samples(exec), arrays->dy, arrays->dx[0], exec->threads);
    return PD_OK;
}

const pd_layer_type pd_layer_zeropad = {.name = "zeropad",
                                        .inputs = 1,
                                        .plan = zeropad_plan,
                                        .forward = zeropad_forward,
                                        .backward = zeropad_backward};
