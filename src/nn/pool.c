/* The layers "maxpool", "avgpool", "globalpool" and "globalmax": pooling over windows of
 * spec.kernel_h x spec.kernel_w, with spec.stride (0 means the window, which must then be square)
 * and spec.padding. None keeps its input; maxpool keeps its output if it has a ReLU with a gradient
 * of its own.
 *
 * maxpool: the largest element of each window; among equals the first gets the gradient, as in
 * PyTorch. A window has at most PD_POOL_WINDOW_MAX elements. Saves a byte per output element.
 * With spec.relu, then ReLU.
 *
 * avgpool: the mean of each window, without padding. Saves nothing.
 *
 * globalpool: the mean over all of h x w: -> {1, 1, c}. Saves nothing.
 *
 * globalmax: the largest element of each channel: -> {1, 1, c}; among equals the first gets the
 * gradient. Saves an index per output element. */
#include "registry.h"

#include "pneumo/kernels/activation.h"
#include "pneumo/kernels/pool.h"

static pd_window window_of(const pd_layer *layer)
{
    const pd_layer_spec *spec = &layer->spec;
    int stride = spec->stride > 0 ? spec->stride : spec->kernel_h;
    return pd_window_make(layer->in[0].h, layer->in[0].w, layer->in[0].c, spec->kernel_h,
                          spec->kernel_w, stride, spec->padding == PD_SAME);
}

static pd_status window_plan(pd_layer *layer)
{
    const pd_layer_spec *spec = &layer->spec;
    pd_shape in = layer->in[0];
    if (spec->kernel_h < 1 || spec->kernel_w < 1 || spec->stride < 0)
        return pd_fail("layer '%s': window %d x %d with stride %d; use a window of at least 1 x 1 "
                       "and a stride of at least 0",
                       layer->name, spec->kernel_h, spec->kernel_w, spec->stride);
    if (spec->stride == 0 && spec->kernel_h != spec->kernel_w)
        return pd_fail("layer '%s': window %d x %d is not square; give a stride", layer->name,
                       spec->kernel_h, spec->kernel_w);
    pd_window window = window_of(layer);
    if (window.out_h < 1 || window.out_w < 1)
        return pd_fail("layer '%s': window %d x %d is larger than its input, %d x %d; use larger "
                       "images, padding 'same', or fewer layers",
                       layer->name, spec->kernel_h, spec->kernel_w, in.h, in.w);
    layer->out = (pd_shape){window.out_h, window.out_w, in.c};
    return PD_OK;
}

static pd_status maxpool_plan(pd_layer *layer, const pd_plan *plan)
{
    pd_status status = window_plan(layer);
    if (status != PD_OK)
        return status;
    int64_t places = (int64_t)layer->spec.kernel_h * layer->spec.kernel_w;
    if (places > PD_POOL_WINDOW_MAX)
        return pd_fail("layer '%s': window %d x %d has more than %d elements; use a smaller one",
                       layer->name, layer->spec.kernel_h, layer->spec.kernel_w, PD_POOL_WINDOW_MAX);
    layer->saved_bytes =
        (size_t)plan->lanes * (size_t)plan->lane_samples * pd_shape_size(layer->out);
    layer->keeps_output = layer->spec.relu && !layer->relu_deferred;
    return PD_OK;
}

static pd_status maxpool_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                 void *y, void *saved)
{
    pd_window window = window_of(layer);
    pd_pool_max(&window, pd_exec_samples(exec), layer->precision, x[0], y, saved, exec->threads);
    if (layer->spec.relu)
        pd_relu(layer->precision, pd_exec_elements(exec, layer->out), y, y, exec->threads);
    return PD_OK;
}

static pd_status maxpool_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    pd_window window = window_of(layer);
    if (layer->spec.relu && !layer->relu_deferred)
        pd_relu_backward(layer->precision, pd_exec_elements(exec, layer->out), arrays->y,
                         arrays->dy, arrays->dy, exec->threads);
    if (arrays->dx[0] != NULL)
        pd_pool_max_backward(&window, pd_exec_samples(exec), layer->precision, arrays->dy,
                             arrays->saved, arrays->dx[0], exec->threads);
    return PD_OK;
}

static pd_status avgpool_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    return window_plan(layer);
}

static pd_status avgpool_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                 void *y, void *saved)
{
    (void)saved;
    pd_window window = window_of(layer);
    pd_pool_average(&window, pd_exec_samples(exec), x[0], y, exec->threads);
    return PD_OK;
}

static pd_status avgpool_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    pd_window window = window_of(layer);
    if (arrays->dx[0] != NULL)
        pd_pool_average_backward(&window, pd_exec_samples(exec), arrays->dy, arrays->dx[0],
                                 exec->threads);
    return PD_OK;
}

static pd_status globalpool_plan(pd_layer *layer, const pd_plan *plan)
{
    (void)plan;
    layer->out = (pd_shape){1, 1, layer->in[0].c};
    return PD_OK;
}

static pd_status globalpool_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                    void *y, void *saved)
{
    (void)saved;
    pd_shape in = layer->in[0];
    pd_pool_global(pd_exec_samples(exec), (int64_t)in.h * in.w, in.c, layer->precision, x[0], y,
                   exec->threads);
    return PD_OK;
}

static pd_status globalpool_backward(pd_layer *layer, const pd_exec *exec,
                                     const pd_backward *arrays)
{
    pd_shape in = layer->in[0];
    if (arrays->dx[0] != NULL)
        pd_pool_global_backward(pd_exec_samples(exec), (int64_t)in.h * in.w, in.c, layer->precision,
                                arrays->dy, arrays->dx[0], exec->threads);
    return PD_OK;
}

static pd_status globalmax_plan(pd_layer *layer, const pd_plan *plan)
{
    layer->out = (pd_shape){1, 1, layer->in[0].c};
    layer->saved_bytes = (size_t)plan->lanes * (size_t)plan->lane_samples *
                         pd_shape_size(layer->out) * sizeof(int64_t);
    return PD_OK;
}

static pd_status globalmax_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                   void *y, void *saved)
{
    pd_shape in = layer->in[0];
    pd_pool_global_max(pd_exec_samples(exec), (int64_t)in.h * in.w, in.c, x[0], y, saved,
                       exec->threads);
    return PD_OK;
}

static pd_status globalmax_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    pd_shape in = layer->in[0];
    if (arrays->dx[0] != NULL)
        pd_pool_global_max_backward(pd_exec_samples(exec), (int64_t)in.h * in.w, in.c, arrays->dy,
                                    arrays->saved, arrays->dx[0], exec->threads);
    return PD_OK;
}

const pd_layer_type pd_layer_maxpool = {.name = "maxpool",
                                        .inputs = 1,
                                        .plan = maxpool_plan,
                                        .forward = maxpool_forward,
                                        .backward = maxpool_backward,
                                        .takes_bf16 = true,
                                        .commutes_with_relu = true,
                                        .can_defer_relu = true};
const pd_layer_type pd_layer_avgpool = {.name = "avgpool",
                                        .inputs = 1,
                                        .plan = avgpool_plan,
                                        .forward = avgpool_forward,
                                        .backward = avgpool_backward};
const pd_layer_type pd_layer_globalpool = {.name = "globalpool",
                                           .inputs = 1,
                                           .plan = globalpool_plan,
                                           .forward = globalpool_forward,
                                           .backward = globalpool_backward,
                                           .takes_bf16 = true,
                                           .makes_vector = true};
const pd_layer_type pd_layer_globalmax = {.name = "globalmax",
                                          .inputs = 1,
                                          .plan = globalmax_plan,
                                          .forward = globalmax_forward,
                                          .backward = globalmax_backward,
                                          .makes_vector = true};
