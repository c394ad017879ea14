#include "pneumo/nn/separable.h"

#include "pneumo/kernels/activation.h"
#include "pneumo/kernels/conv.h"
#include "pneumo/kernels/depthwise.h"
#include "pneumo/nn/conv.h"

enum { DEPTHWISE, POINTWISE, BIAS };

/* Floats between the two convolutions that are at hand at a time: few enough to cost little memory
 * beside the activations, enough that packing the pointwise kernel anew for each lot costs little
 * beside the product. */
enum { BETWEEN_FLOATS = 2 * 1024 * 1024 };

static pd_window pointwise_window(const pd_layer *layer)
{
    return pd_window_make(layer->out.h, layer->out.w, layer->in[0].c, 1, 1, 1, true);
}

/* Floats of one sample between the two convolutions. */
static size_t between_size(const pd_layer *layer)
{
    return (size_t)layer->out.h * (size_t)layer->out.w * (size_t)layer->in[0].c;
}

/* How many of `count` parts of `size` floats each are taken at a time, at least `least`. */
static int at_a_time(size_t size, int least, int count)
{
    size_t fit = BETWEEN_FLOATS / size;
    if (fit < (size_t)least)
        fit = (size_t)least;
    return fit < (size_t)count ? (int)fit : count;
}

static int samples_at_a_time(const pd_layer *layer, int samples)
{
    return at_a_time(between_size(layer), 1, samples);
}

/* Backward wants a lane for every thread. */
static int lanes_at_a_time(const pd_layer *layer, int lanes, int lane_samples, int threads)
{
    return at_a_time((size_t)lane_samples * between_size(layer), threads, lanes);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void add_params(pd_layer *layer)
{
    const pd_layer_spec *spec = &layer->spec;
    int c = layer->in[0].c, k = spec->units;
    int taps = spec->kernel_h * spec->kernel_w;
    int depthwise_dims[] = {spec->kernel_h, spec->kernel_w, c, 1}, pointwise_dims[] = {1, 1, c, k};
    pd_param *depthwise =
        pd_layer_add_param(layer, "depthwise_kernel", 4, depthwise_dims, true, spec->init);
    depthwise->decays = true;
    depthwise->fan_in = taps; /* a channel sees and feeds no other */
    depthwise->fan_out = taps;
    pd_param *pointwise =
        pd_layer_add_param(layer, "pointwise_kernel", 4, pointwise_dims, true, spec->init);
    pointwise->decays = true;
    pointwise->fan_in = c;
    pointwise->fan_out = k;
    if (!spec->no_bias)
        pd_layer_add_param(layer, "bias", 1, &k, true, PD_INIT_ZEROS);
}

static pd_status separable_plan(pd_layer *layer, const pd_plan *plan)
{
    const pd_layer_spec *spec = &layer->spec;
    pd_status status = pd_conv_check(layer);
    if (status != PD_OK)
        return status;
    pd_window window = pd_conv_window(layer);
    int k = spec->units;
    layer->out = (pd_shape){window.out_h, window.out_w, k};
    layer->flops = 2.0 * (spec->kernel_h * spec->kernel_w + k) * (double)between_size(layer);
    add_params(layer);

    pd_window pointwise = pointwise_window(layer);
    int at_once = samples_at_a_time(layer, plan->lanes * plan->lane_samples);
    int back =
        lanes_at_a_time(layer, plan->lanes, plan->lane_samples, plan->threads) * plan->lane_samples;
    at_once = at_once > back ? at_once : back;
    size_t kernels = pd_conv_forward_workspace(&pointwise, at_once, k, plan->threads);
    kernels =
        larger(kernels, pd_conv_backward_input_workspace(&pointwise, at_once, k, plan->threads));
    kernels = larger(kernels, pd_conv_backward_kernel_workspace(&pointwise, plan->lane_samples, k,
                                                                plan->threads));
    kernels = larger(kernels, pd_depthwise_backward_kernel_workspace(&window, plan->threads));
    layer->workspace_floats = (size_t)at_once * between_size(layer) + kernels;
    layer->keeps_input = true;
    layer->keeps_output = spec->relu;
    return PD_OK;
}

static pd_status separable_forward(pd_layer *layer, const pd_exec *exec, const float *const *x,
                                   float *y, void *saved)
{
    (void)saved;
    pd_window depthwise = pd_conv_window(layer), pointwise = pointwise_window(layer);
    const pd_layer_spec *spec = &layer->spec;
    const float *bias = spec->no_bias ? NULL : layer->params[BIAS].value;
    int samples = pd_exec_samples(exec), lot = samples_at_a_time(layer, samples);
    float *between = exec->workspace;
    float *workspace = between + (size_t)lot * between_size(layer);
    for (int first = 0; first < samples; first += lot) {
        int count = samples - first < lot ? samples - first : lot;
        pd_depthwise_forward(&depthwise, count, spec->relu_first,
                             x[0] + (size_t)first * pd_shape_size(layer->in[0]),
                             layer->params[DEPTHWISE].value, between, exec->threads);
        pd_conv_forward(&pointwise, count, spec->units, between, layer->params[POINTWISE].value,
                        bias, spec->relu, y + (size_t)first * pd_shape_size(layer->out), workspace,
                        exec->threads);
    }
    return PD_OK;
}

static pd_status separable_backward(pd_layer *layer, const pd_exec *exec, const float *const *x,
                                    const float *y, float *dy, float *const *dx, float *gradient,
                                    void *saved)
{
    (void)saved;
    pd_window depthwise = pd_conv_window(layer), pointwise = pointwise_window(layer);
    const pd_layer_spec *spec = &layer->spec;
    const float *depthwise_kernel = layer->params[DEPTHWISE].value;
    size_t trainable = pd_layer_trainable(layer);
    size_t depthwise_count = pd_param_size(&layer->params[DEPTHWISE]);
    size_t pointwise_count = pd_param_size(&layer->params[POINTWISE]);
    int lot = lanes_at_a_time(layer, exec->lanes, exec->lane_samples, exec->threads);
    float *between = exec->workspace;
    float *workspace = between + (size_t)(lot * exec->lane_samples) * between_size(layer);
    if (spec->relu)
        pd_relu_backward(pd_exec_floats(exec, layer->out), y, dy, dy, exec->threads);
    for (int first = 0; first < exec->lanes; first += lot) {
        int lanes = exec->lanes - first < lot ? exec->lanes - first : lot;
        int samples = lanes * exec->lane_samples;
        size_t first_sample = (size_t)first * (size_t)exec->lane_samples;
        const float *in = x[0] + first_sample * pd_shape_size(layer->in[0]);
        const float *out = dy + first_sample * pd_shape_size(layer->out);
        float *d_depthwise = gradient + (size_t)first * trainable;
        float *d_pointwise = d_depthwise + depthwise_count;
        float *d_bias = spec->no_bias ? NULL : d_pointwise + pointwise_count;

        pd_conv_backward_input(&pointwise, samples, spec->units, out,
                               layer->params[POINTWISE].value, between, workspace, exec->threads);
        pd_depthwise_backward_kernel(&depthwise, lanes, exec->lane_samples, spec->relu_first, in,
                                     between, d_depthwise, trainable, workspace, exec->threads);
        if (dx[0])
            pd_depthwise_backward_input(
                &depthwise, samples, spec->relu_first, in, between, depthwise_kernel,
                dx[0] + first_sample * pd_shape_size(layer->in[0]), exec->threads);
        /* The gradient has done its work: its place now takes what forward had there. */
        pd_depthwise_forward(&depthwise, samples, spec->relu_first, in, depthwise_kernel, between,
                             exec->threads);
        pd_conv_backward_kernel(&pointwise, lanes, exec->lane_samples, spec->units, between, out,
                                d_pointwise, d_bias, trainable, workspace, exec->threads);
    }
    return PD_OK;
}

const pd_layer_type pd_layer_separable = {"separable", 1, separable_plan, separable_forward,
                                          separable_backward};
