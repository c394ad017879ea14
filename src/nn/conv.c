/* The layer "conv": 2-D convolution with bias and, fused, ReLU.
 *
 * Reads spec.units (output channels), kernel_h, kernel_w, stride (0 means 1), padding, relu,
 * no_bias and init. Params: kernel [kernel_h][kernel_w][c][units], bias [units]. */
#include "conv.h"

#include "registry.h"

#include "pneumo/kernels/activation.h"
#include "pneumo/kernels/conv_method.h"
#include "pneumo/kernels/winograd.h"

enum { KERNEL, BIAS };

static const pd_conv_method *conv_method_of(const pd_conv_shape *shape)
{
    return pd_winograd_suits(&shape->window, shape->k) ? &pd_conv_winograd : &pd_conv_direct;
}

pd_window pd_conv_window(const pd_layer *layer)
{
    const pd_layer_spec *spec = &layer->spec;
    return pd_window_make(layer->in[0].h, layer->in[0].w, layer->in[0].c, spec->kernel_h,
                          spec->kernel_w, spec->stride, spec->padding == PD_SAME);
}

pd_status pd_conv_check(pd_layer *layer)
{
    pd_layer_spec *spec = &layer->spec;
    if (spec->stride == 0)
        spec->stride = 1;
    if (spec->units < 1)
        return pd_fail("layer '%s': %d output channels; give at least 1", layer->name, spec->units);
    if (spec->kernel_h < 1 || spec->kernel_w < 1 || spec->stride < 1)
        return pd_fail("layer '%s': kernel %d x %d with stride %d; all must be at least 1",
                       layer->name, spec->kernel_h, spec->kernel_w, spec->stride);
    pd_window window = pd_conv_window(layer);
    if (window.out_h < 1 || window.out_w < 1)
        return pd_fail("layer '%s': its input, %d x %d, is smaller than its kernel, %d x %d; use "
                       "padding 'same', larger images or less pooling",
                       layer->name, window.h, window.w, spec->kernel_h, spec->kernel_w);
    return PD_OK;
}

static pd_status conv_plan(pd_layer *layer, const pd_plan *plan)
{
    const pd_layer_spec *spec = &layer->spec;
    pd_status status = pd_conv_check(layer);
    if (status != PD_OK)
        return status;
    pd_window window = pd_conv_window(layer);

    int k = spec->units;
    layer->out = (pd_shape){window.out_h, window.out_w, k};
    layer->flops =
        2.0 * spec->kernel_h * spec->kernel_w * window.c * (double)pd_shape_size(layer->out);
    int dims[4] = {spec->kernel_h, spec->kernel_w, window.c, k};
    pd_param *kernel = pd_layer_add_param(layer, "kernel", 4, dims, true, spec->init);
    kernel->decays = true;
    kernel->fan_in = (double)spec->kernel_h * spec->kernel_w * window.c;
    kernel->fan_out = (double)spec->kernel_h * spec->kernel_w * k;
    if (!spec->no_bias)
        pd_layer_add_param(layer, "bias", 1, &k, true, PD_INIT_ZEROS);

    pd_conv_shape shape = {window,          k, plan->lanes, plan->lane_samples, plan->threads,
                           layer->precision};
    const pd_conv_method *method = conv_method_of(&shape);
    layer->prepared_floats = method->prepared_size(&shape);
    size_t input = method->backward_input_workspace(&shape);
    size_t weights = method->backward_kernel_workspace(&shape);
    layer->workspace_floats = method->forward_workspace(&shape);
    layer->backward_floats = input > weights ? input : weights;
    layer->keeps_input = true;
    layer->keeps_output = spec->relu && !layer->relu_deferred;
    return PD_OK;
}

static pd_conv_shape conv_shape(const pd_layer *layer, const pd_exec *exec)
{
    return (pd_conv_shape){pd_conv_window(layer), layer->spec.units, exec->lanes,
                           exec->lane_samples,    exec->threads,     layer->precision};
}

/* The prepared kernel does not depend on the samples. */
static void conv_prepare(const pd_layer *layer, int threads, float *prepared)
{
    pd_conv_shape shape = {pd_conv_window(layer), layer->spec.units, 1, 1, threads,
                           layer->precision};
    conv_method_of(&shape)->prepare(&shape, layer->params[KERNEL].value, prepared);
}

static pd_status conv_forward(pd_layer *layer, const pd_exec *exec, const void *const *x, void *y,
                              void *saved)
{
    (void)saved;
    pd_conv_shape shape = conv_shape(layer, exec);
    const float *bias = layer->spec.no_bias ? NULL : layer->params[BIAS].value;
    conv_method_of(&shape)->forward(&shape, x[0], exec->prepared, bias, layer->spec.relu, y,
                                    exec->workspace);
    return PD_OK;
}

static pd_status conv_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    pd_conv_shape shape = conv_shape(layer, exec);
    const void *x = arrays->x[0];
    void *dy = arrays->dy;
    float *dkernel = arrays->gradient;
    if (layer->spec.relu && !layer->relu_deferred)
        pd_relu_backward(layer->precision, pd_exec_elements(exec, layer->out), arrays->y, dy, dy,
                         exec->threads);
    float *dbias = layer->spec.no_bias ? NULL : dkernel + pd_param_size(&layer->params[KERNEL]);
    const pd_conv_method *method = conv_method_of(&shape);
    method->backward_kernel(&shape, x, dy, dkernel, dbias, pd_layer_trainable(layer),
                            exec->workspace);
    if (arrays->dx[0] != NULL)
        method->backward_input(&shape, dy, layer->params[KERNEL].value, layer->masks_dx ? x : NULL,
                               arrays->dx[0], exec->workspace);
    return PD_OK;
}

const pd_layer_type pd_layer_conv = {.name = "conv",
                                     .inputs = 1,
                                     .plan = conv_plan,
                                     .prepare = conv_prepare,
                                     .forward = conv_forward,
                                     .backward = conv_backward,
                                     .convolves = true,
                                     .takes_bf16 = true,
                                     .can_move_relu = true,
                                     .can_defer_relu = true,
                                     .can_mask_dx = true};
