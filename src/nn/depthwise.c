/* The layer "depthwise": a convolution of each channel with a kernel of its own (Keras'
 * DepthwiseConv2D with a depth multiplier of 1).
 *
 * Reads spec.kernel_h, kernel_w, stride (0 means 1), padding, relu, no_bias and init; spec.units
 * is set to the channels. Params: depthwise_kernel [kernel_h][kernel_w][c][1], bias [c]. */
#include "conv.h"
#include "registry.h"

#include "pneumo/kernels/activation.h"
#include "pneumo/kernels/depthwise.h"
#include "pneumo/kernels/norm.h"

enum { KERNEL, BIAS };

static pd_depthwise_shape shape_of(const pd_layer *layer, int lanes, int lane_samples, int threads)
{
    return (pd_depthwise_shape){pd_conv_window(layer), false,   lanes,
                                lane_samples,          threads, layer->precision};
}

/* Pixels of a lane's output. */
static size_t lane_rows(const pd_layer *layer, int lane_samples)
{
    return (size_t)lane_samples * (size_t)layer->out.h * (size_t)layer->out.w;
}

/* Floats of the lanes' sums, which precede the workspace of pd_norm_sums. */
static size_t sums_floats(const pd_layer *layer, int lanes)
{
    return 2 * (size_t)lanes * (size_t)layer->out.c * (sizeof(double) / sizeof(float));
}

static void add_params(pd_layer *layer)
{
    const pd_layer_spec *spec = &layer->spec;
    int c = layer->in[0].c;
    double taps = (double)spec->kernel_h * spec->kernel_w;
    int dims[] = {spec->kernel_h, spec->kernel_w, c, 1};
    pd_param *kernel = pd_layer_add_param(layer, "depthwise_kernel", 4, dims, true, spec->init);
    kernel->decays = true;
    kernel->fan_in = taps; /* channels are independent */
    kernel->fan_out = taps;
    if (!spec->no_bias)
        pd_layer_add_param(layer, "bias", 1, &c, true, PD_INIT_ZEROS);
}

static pd_status depthwise_plan(pd_layer *layer, const pd_plan *plan)
{
    const pd_layer_spec *spec = &layer->spec;
    layer->spec.units = layer->in[0].c;
    pd_status status = pd_conv_check(layer);
    if (status != PD_OK)
        return status;
    pd_window window = pd_conv_window(layer);
    layer->out = (pd_shape){window.out_h, window.out_w, window.c};
    layer->flops = 2.0 * spec->kernel_h * spec->kernel_w * (double)pd_shape_size(layer->out);
    add_params(layer);

    pd_depthwise_shape shape = shape_of(layer, plan->lanes, plan->lane_samples, plan->threads);
    size_t kernel = pd_depthwise_backward_kernel_workspace(&shape);
    size_t bias = sums_floats(layer, plan->lanes) +
                  pd_norm_workspace(plan->lanes, lane_rows(layer, plan->lane_samples), window.c);
    layer->backward_floats = kernel > bias || spec->no_bias ? kernel : bias;
    layer->keeps_input = true;
    layer->keeps_output = spec->relu;
    return PD_OK;
}

static pd_status depthwise_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                   void *y, void *saved)
{
    (void)saved;
    const pd_layer_spec *spec = &layer->spec;
    pd_depthwise_shape shape = shape_of(layer, exec->lanes, exec->lane_samples, exec->threads);
    size_t elements = pd_exec_elements(exec, layer->out), c = (size_t)layer->out.c;
    pd_depthwise_forward(&shape, x[0], layer->params[KERNEL].value, y);
    if (!spec->no_bias)
        pd_add_bias(layer->precision, elements / c, c, layer->params[BIAS].value, y, exec->threads);
    if (spec->relu)
        pd_relu(layer->precision, elements, y, y, exec->threads);
    return PD_OK;
}

/* The sums of dy over each lane's pixels -> dbias + lane * stride. */
static void backward_bias(const pd_layer *layer, const pd_exec *exec, const void *dy, float *dbias,
                          size_t stride)
{
    const size_t c = (size_t)layer->out.c;
    double *sums = (double *)exec->workspace;
    pd_norm norm = {.lanes = exec->lanes,
                    .rows = lane_rows(layer, exec->lane_samples),
                    .c = layer->out.c,
                    .precision = layer->precision};
    pd_norm_sums(&norm, dy, exec->workspace + sums_floats(layer, exec->lanes), sums, exec->threads);
    for (size_t lane = 0; lane < (size_t)exec->lanes; lane++)
        for (size_t j = 0; j < c; j++)
            dbias[lane * stride + j] = (float)sums[lane * 2 * c + j];
}

static pd_status depthwise_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    pd_depthwise_shape shape = shape_of(layer, exec->lanes, exec->lane_samples, exec->threads);
    size_t trainable = pd_layer_trainable(layer);
    void *dy = arrays->dy;
    if (layer->spec.relu)
        pd_relu_backward(layer->precision, pd_exec_elements(exec, layer->out), arrays->y, dy, dy,
                         exec->threads);
    if (!layer->spec.no_bias)
        backward_bias(layer, exec, dy, arrays->gradient + pd_param_size(&layer->params[KERNEL]),
                      trainable);
    pd_depthwise_backward_kernel(&shape, arrays->x[0], dy, arrays->gradient, trainable,
                                 exec->workspace);
    if (arrays->dx[0] != NULL)
        pd_depthwise_backward_input(&shape, NULL, dy, layer->params[KERNEL].value, arrays->dx[0]);
    return PD_OK;
}

const pd_layer_type pd_layer_depthwise = {.name = "depthwise",
                                          .inputs = 1,
                                          .plan = depthwise_plan,
                                          .forward = depthwise_forward,
                                          .backward = depthwise_backward,
                                          .convolves = true,
                                          .takes_bf16 = true};
