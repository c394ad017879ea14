/* The layer "separable": a depthwise convolution, then a pointwise one, with nothing in between
 * (Chollet, arXiv:1610.02357; Keras' SeparableConv2D).
 *
 * Reads spec.units (output channels), kernel_h, kernel_w, stride (0 means 1), padding, relu,
 * relu_first, no_bias and init. Params: depthwise_kernel [kernel_h][kernel_w][c][1],
 * pointwise_kernel [1][1][c][units], bias [units]. Keeps its input, but not the output of the
 * depthwise convolution: backward computes that again, a few samples at a time. */
#include "conv.h"
#include "registry.h"

#include "pneumo/kernels/activation.h"
#include "pneumo/kernels/conv.h"
#include "pneumo/kernels/depthwise.h"

enum { DEPTHWISE, POINTWISE, BIAS };

/* Elements between the two convolutions that are held at a time: few enough to take little memory
 * compared with the activations, enough that packing the pointwise kernel for each chunk backward
 * takes little time compared with the product. */
enum { BETWEEN_ELEMENTS = 2 * 1024 * 1024 };

static pd_depthwise_shape depthwise_shape(const pd_layer *layer, int lanes, int lane_samples,
                                          int threads)
{
    return (pd_depthwise_shape){
        pd_conv_window(layer), layer->spec.relu_first, lanes, lane_samples, threads,
        layer->precision};
}

static pd_conv_shape pointwise_shape(const pd_layer *layer, int lanes, int lane_samples,
                                     int threads)
{
    pd_window window = pd_window_make(layer->out.h, layer->out.w, layer->in[0].c, 1, 1, 1, true);
    return (pd_conv_shape){window,       layer->spec.units, lanes,
                           lane_samples, threads,           layer->precision};
}

/* Elements of one sample between the two convolutions. */
static size_t between_size(const pd_layer *layer)
{
    return (size_t)layer->out.h * (size_t)layer->out.w * (size_t)layer->in[0].c;
}

/* How many of `count` parts of `size` elements each form a chunk: at least `least`. */
static int per_chunk(size_t size, int least, int count)
{
    size_t fit = BETWEEN_ELEMENTS / size;
    if (fit < (size_t)least)
        fit = (size_t)least;
    return fit < (size_t)count ? (int)fit : count;
}

static int samples_per_chunk(const pd_layer *layer, int samples)
{
    return per_chunk(between_size(layer), 1, samples);
}

/* Backward needs a lane for every thread. */
static int lanes_per_chunk(const pd_layer *layer, int lanes, int lane_samples, int threads)
{
    return per_chunk((size_t)lane_samples * between_size(layer), threads, lanes);
}

/* Floats that `samples` samples between the two convolutions take. */
static size_t between_floats(const pd_layer *layer, int samples)
{
    size_t bytes = (size_t)samples * between_size(layer) * pd_precision_bytes(layer->precision);
    return (bytes + sizeof(float) - 1) / sizeof(float);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void add_params(pd_layer *layer)
{
    const pd_layer_spec *spec = &layer->spec;
    int c = layer->in[0].c, k = spec->units;
    double taps = (double)spec->kernel_h * spec->kernel_w;
    int depthwise_dims[] = {spec->kernel_h, spec->kernel_w, c, 1}, pointwise_dims[] = {1, 1, c, k};
    pd_param *depthwise =
        pd_layer_add_param(layer, "depthwise_kernel", 4, depthwise_dims, true, spec->init);
    depthwise->decays = true;
    depthwise->fan_in = taps; /* channels are independent */
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
    layer->flops =
        2.0 * ((double)spec->kernel_h * spec->kernel_w + k) * (double)between_size(layer);
    add_params(layer);

    int lane_samples = plan->lane_samples, threads = plan->threads;
    int chunk = samples_per_chunk(layer, plan->lanes * lane_samples);
    int lanes = lanes_per_chunk(layer, plan->lanes, lane_samples, threads);
    pd_conv_shape outputs = pointwise_shape(layer, 1, chunk, threads);
    pd_conv_shape pointwise = pointwise_shape(layer, lanes, lane_samples, threads);
    pd_depthwise_shape depthwise = depthwise_shape(layer, lanes, lane_samples, threads);
    size_t kernels = pd_conv_backward_input_workspace(&pointwise);
    kernels = larger(kernels, pd_conv_backward_kernel_workspace(&pointwise));
    kernels = larger(kernels, pd_depthwise_backward_kernel_workspace(&depthwise));
    layer->prepared_floats = pd_conv_prepared_size(&outputs);
    layer->workspace_floats = between_floats(layer, chunk) + pd_conv_forward_workspace(&outputs);
    layer->backward_floats = between_floats(layer, lanes * lane_samples) + kernels;
    layer->keeps_input = true;
    layer->keeps_output = spec->relu;
    return PD_OK;
}

static void separable_prepare(const pd_layer *layer, int threads, float *prepared)
{
    pd_conv_shape pointwise = pointwise_shape(layer, 1, 1, threads);
    pd_conv_prepare(&pointwise, layer->params[POINTWISE].value, prepared);
}

static pd_status separable_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                   void *y, void *saved)
{
    (void)saved;
    const pd_layer_spec *spec = &layer->spec;
    const float *bias = spec->no_bias ? NULL : layer->params[BIAS].value;
    int samples = pd_exec_samples(exec), chunk = samples_per_chunk(layer, samples);
    void *between = exec->workspace;
    float *workspace = exec->workspace + between_floats(layer, chunk);
    for (int first = 0; first < samples; first += chunk) {
        int count = samples - first < chunk ? samples - first : chunk;
        pd_depthwise_shape depthwise = depthwise_shape(layer, 1, count, exec->threads);
        pd_conv_shape pointwise = pointwise_shape(layer, 1, count, exec->threads);
        size_t in = (size_t)first * pd_shape_size(layer->in[0]);
        size_t out = (size_t)first * pd_shape_size(layer->out);
        pd_depthwise_forward(&depthwise, pd_precision_at(layer->precision, x[0], in),
                             layer->params[DEPTHWISE].value, between);
        pd_conv_forward(&pointwise, between, exec->prepared, bias, spec->relu,
                        pd_precision_at(layer->precision, y, out), workspace);
    }
    return PD_OK;
}

/* Backward of a chunk of `lanes` lanes; `arrays` begin at the chunk's first sample and lane. */
static void backward_chunk(const pd_layer *layer, const pd_exec *exec, int lanes,
                           const pd_backward *arrays)
{
    pd_depthwise_shape depthwise = depthwise_shape(layer, lanes, exec->lane_samples, exec->threads);
    pd_conv_shape pointwise = pointwise_shape(layer, lanes, exec->lane_samples, exec->threads);
    const float *depthwise_kernel = layer->params[DEPTHWISE].value;
    const float *pointwise_kernel = layer->params[POINTWISE].value;
    size_t trainable = pd_layer_trainable(layer);
    float *d_depthwise = arrays->gradient;
    float *d_pointwise = d_depthwise + pd_param_size(&layer->params[DEPTHWISE]);
    float *d_bias =
        layer->spec.no_bias ? NULL : d_pointwise + pd_param_size(&layer->params[POINTWISE]);
    int chunk = lanes_per_chunk(layer, exec->lanes, exec->lane_samples, exec->threads);
    void *between = exec->workspace;
    float *workspace = exec->workspace + between_floats(layer, chunk * exec->lane_samples);

    pd_conv_backward_input(&pointwise, arrays->dy, pointwise_kernel, NULL, between, workspace);
    pd_depthwise_backward_kernel(&depthwise, arrays->x[0], between, d_depthwise, trainable,
                                 workspace);
    if (arrays->dx[0] != NULL)
        pd_depthwise_backward_input(&depthwise, arrays->x[0], between, depthwise_kernel,
                                    arrays->dx[0]);
    /* The gradient is no longer needed: `between` is overwritten by what forward had there. */
    pd_depthwise_forward(&depthwise, arrays->x[0], depthwise_kernel, between);
    pd_conv_backward_kernel(&pointwise, between, arrays->dy, d_pointwise, d_bias, trainable,
                            workspace);
}

static pd_status separable_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    size_t in = pd_shape_size(layer->in[0]), out = pd_shape_size(layer->out);
    size_t trainable = pd_layer_trainable(layer);
    int chunk = lanes_per_chunk(layer, exec->lanes, exec->lane_samples, exec->threads);
    const pd_precision stored = layer->precision;
    void *dy = arrays->dy;
    if (layer->spec.relu)
        pd_relu_backward(stored, pd_exec_elements(exec, layer->out), arrays->y, dy, dy,
                         exec->threads);
    for (int first = 0; first < exec->lanes; first += chunk) {
        int lanes = exec->lanes - first < chunk ? exec->lanes - first : chunk;
        size_t sample = (size_t)first * (size_t)exec->lane_samples;
        const pd_backward part = {.x = {pd_precision_at(stored, arrays->x[0], sample * in)},
                                  .dy = pd_precision_at(stored, dy, sample * out),
                                  .dx = {pd_precision_at(stored, arrays->dx[0], sample * in)},
                                  .gradient = arrays->gradient + (size_t)first * trainable};
        backward_chunk(layer, exec, lanes, &part);
    }
    return PD_OK;
}

const pd_layer_type pd_layer_separable = {.name = "separable",
                                          .inputs = 1,
                                          .plan = separable_plan,
                                          .prepare = separable_prepare,
                                          .forward = separable_forward,
                                          .backward = separable_backward,
                                          .convolves = true,
                                          .takes_bf16 = true};
