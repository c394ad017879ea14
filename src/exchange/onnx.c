/* ".onnx": the network as an ONNX graph, channels first. Its input "image" is [N][1][size][size],
 * grey, 0 to 255; its outputs are "probability" and "logits", [N][outputs]. */
#include "export_internal.h"
#include "onnx_graph.h"
#include "pneumo/base/memory.h"
#include "pneumo/kernels/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A value of the graph. A vector is [N][c], anything else [N][c][h][w]. */
typedef struct value {
    const char *name;
    bool vector;
} value;

typedef struct writer {
    const pd_network *network;
    const pd_exchange_model *model;
    pd_onnx *onnx;
    value *values; /* [layers + 1], of the network's nodes */
    bool fold;     /* batch normalisations into convolutions */
} writer;

/* --- Small parts --- */

static const char *node1(writer *w, const char *type, const char *output, const char *input)
{
    return pd_onnx_node(w->onnx, type, output, &input, 1);
}

static const char *node2(writer *w, const char *type, const char *output, const char *a,
                         const char *b)
{
    return pd_onnx_node(w->onnx, type, output, (const char *[]){a, b}, 2);
}

/* A constant number. */
static const char *add_number(writer *w, const char *layer, const char *what, float number)
{
    const char *name = pd_onnx_name(w->onnx, layer, what);
    float *memory = pd_onnx_constant(w->onnx, name, NULL, 0);
    if (memory != NULL)
        *memory = number;
    return name;
}

/* A constant copy of values[count]; NULL stands for zeros. */
static const char *add_vector(writer *w, const char *layer, const char *what, const float *values,
                              int count)
{
    const char *name = pd_onnx_name(w->onnx, layer, what);
    float *memory = pd_onnx_constant(w->onnx, name, &count, 1);
    if (memory != NULL && values != NULL)
        memcpy(memory, values, (size_t)count * sizeof *memory);
    return name;
}

static const float *find_param(const pd_layer *layer, const char *name)
{
    for (int i = 0; i < layer->param_count; i++)
        if (strcmp(layer->params[i].name, name) == 0)
            return layer->params[i].value;
    return NULL;
}

static value add_relu(writer *w, const pd_layer *layer, bool relu, value x)
{
    if (relu)
        x.name = node1(w, "Relu", pd_onnx_name(w->onnx, layer->name, "relu"), x.name);
    return x;
}

/* --- Scaling the image --- */

/* (grey - mean) / max(deviation, 1) with the image's own mean and deviation. */
static const char *add_own_scaling(writer *w, const char *x)
{
    static const int axes[] = {1, 2, 3};
    const char *mean = node1(w, "ReduceMean", "/grey_mean", x);
    pd_onnx_set_ints(w->onnx, "axes", axes, 3);
    const char *centred = node2(w, "Sub", "/grey_centred", x, mean);
    const char *squares = node2(w, "Mul", "/grey_squares", centred, centred);
    const char *variance = node1(w, "ReduceMean", "/grey_variance", squares);
    pd_onnx_set_ints(w->onnx, "axes", axes, 3);
    const char *deviation = node1(w, "Sqrt", "/grey_deviation", variance);
    const char *bounded =
        node2(w, "Max", "/grey_divisor", deviation, add_number(w, "", "least_deviation", 1));
    return node2(w, "Div", "/grey_scaled", centred, bounded);
}

static const char *add_fold_scaling(writer *w, const char *x)
{
    const pd_input *input = w->model->input;
    const char *centred =
        node2(w, "Sub", "/grey_centred", x, add_number(w, "", "mean", input->mean));
    return node2(w, "Mul", "/grey_scaled", centred,
                 add_number(w, "", "scale", 1.0f / input->deviation));
}

/* (grey - mean) / deviation with numbers of each channel; x has all channels. */
static const char *add_fixed_scaling(writer *w, const char *x)
{
    const pd_input *input = w->model->input;
    const int dims[] = {input->channels, 1, 1};
    const char *mean = pd_onnx_name(w->onnx, "", "means");
    const char *deviation = pd_onnx_name(w->onnx, "", "deviations");
    float *means = pd_onnx_constant(w->onnx, mean, dims, 3);
    float *deviations = pd_onnx_constant(w->onnx, deviation, dims, 3);
    for (int c = 0; c < input->channels && means != NULL && deviations != NULL; c++) {
        means[c] = input->means[c];
        deviations[c] = input->deviations[c];
    }
    return node2(w, "Div", "/grey_scaled", node2(w, "Sub", "/grey_centred", x, mean), deviation);
}

static value add_input(writer *w)
{
    pd_shape shape = pd_network_input(w->network);
    const int dims[] = {1, shape.h, shape.w};
    const char *x = pd_onnx_input(w->onnx, "image", dims, 3);
    bool fixed = w->model->input->scaling == PD_GREY_FIXED;
    if (w->model->input->scaling == PD_GREY_IMAGE)
        x = add_own_scaling(w, x);
    else if (!fixed)
        x = add_fold_scaling(w, x);
    if (shape.c > 1) {
        const char *same[PD_INPUT_CHANNELS];
        for (int i = 0; i < shape.c; i++)
            same[i] = x;
        x = pd_onnx_node(w->onnx, "Concat", "/grey_planes", same, shape.c);
        pd_onnx_set_int(w->onnx, "axis", 1);
    }
    return (value){.name = fixed ? add_fixed_scaling(w, x) : x};
}

/* --- Windows --- */

static void set_window(writer *w, const pd_layer *layer)
{
    const pd_layer_spec *spec = &layer->spec;
    int stride = spec->stride > 0 ? spec->stride : spec->kernel_h;
    pd_shape in = layer->in[0], out = layer->out;
    pd_window window = pd_window_make(in.h, in.w, in.c, spec->kernel_h, spec->kernel_w, stride,
                                      spec->padding == PD_SAME);
    int bottom = (out.h - 1) * stride + spec->kernel_h - in.h - window.pad_top;
    int right = (out.w - 1) * stride + spec->kernel_w - in.w - window.pad_left;
    const int size[] = {spec->kernel_h, spec->kernel_w}, strides[] = {stride, stride};
    const int pads[] = {window.pad_top, window.pad_left, bottom > 0 ? bottom : 0,
                        right > 0 ? right : 0};
    pd_onnx_set_ints(w->onnx, "kernel_shape", size, 2);
    pd_onnx_set_ints(w->onnx, "strides", strides, 2);
    pd_onnx_set_ints(w->onnx, "pads", pads, 4);
}

static value add_pooling(writer *w, const pd_layer *layer, const char *type, value x)
{
    x.name = node1(w, type, pd_onnx_name(w->onnx, layer->name, "output"), x.name);
    set_window(w, layer);
    return x;
}

/* --- Convolutions and normalisations --- */

static int count_readers(const writer *w, int layer)
{
    int readers = 0;
    for (int i = 0; i < pd_network_layer_count(w->network); i++)
        for (int j = 0; j < pd_network_layer(w->network, i)->type->inputs; j++)
            readers += pd_network_layer_input(w->network, i, j) == layer + 1;
    return readers;
}

/* Whether a layer is a convolution without ReLU, which a batch normalisation alone reads, so that
 * both are one convolution; with *norm the normalisation. */
static bool folds(const writer *w, int layer, const pd_layer **norm)
{
    const pd_layer *conv = pd_network_layer(w->network, layer);
    if (!w->fold || !conv->type->convolves || pd_layer_built_relu(conv) ||
        count_readers(w, layer) != 1)
        return false;
    for (int i = layer + 1; i < pd_network_layer_count(w->network); i++) {
        *norm = pd_network_layer(w->network, i);
        if (pd_network_layer_input(w->network, i, 0) == layer + 1)
            return find_param(*norm, "moving_variance") != NULL;
    }
    return false;
}

/* What batch normalisation makes of channel k: scale * x + shift. */
static void norm_line(const pd_layer *norm, int k, float *scale, float *shift)
{
    double variance = (double)find_param(norm, "moving_variance")[k];
    double factor =
        (double)find_param(norm, "gamma")[k] / sqrt(variance + (double)norm->spec.epsilon);
    *scale = (float)factor;
    *shift = (float)((double)find_param(norm, "beta")[k] -
                     (double)find_param(norm, "moving_mean")[k] * factor);
}

/* Kernel [kh][kw][c][k] as [k][c][kh][kw], and the bias (NULL: none), with `norm` (NULL: none)
 * folded into both. Returns the number of inputs put into `inputs` from place 1 on, and 1. */
static int add_kernel(writer *w, const pd_layer *layer, const char *param, const int dims[4],
                      const float *bias, const pd_layer *norm, const char *inputs[3])
{
    const int c = dims[2], k = dims[3], taps = dims[0] * dims[1];
    const int stored[] = {k, c, dims[0], dims[1]};
    const float *kernel = find_param(layer, param);
    inputs[1] = pd_onnx_name(w->onnx, layer->name, param);
    float *out = pd_onnx_constant(w->onnx, inputs[1], stored, 4);
    float *shifts = NULL;
    if (norm != NULL || bias != NULL) {
        inputs[2] = pd_onnx_name(w->onnx, layer->name, "bias");
        shifts = pd_onnx_constant(w->onnx, inputs[2], &k, 1);
    }
    for (int o = 0; o < k && out != NULL; o++) {
        float scale = 1, shift = 0;
        if (norm != NULL)
            norm_line(norm, o, &scale, &shift);
        for (int i = 0; i < c; i++)
            for (int tap = 0; tap < taps; tap++)
                out[((size_t)o * (size_t)c + (size_t)i) * (size_t)taps + (size_t)tap] =
                    scale * kernel[((size_t)tap * (size_t)c + (size_t)i) * (size_t)k + (size_t)o];
        if (shifts != NULL)
            shifts[o] = shift + scale * (bias != NULL ? bias[o] : 0);
    }
    return norm != NULL || bias != NULL ? 3 : 2;
}

static value add_conv(writer *w, int index, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index), *norm = NULL;
    const char *inputs[3] = {x.name};
    bool fold = folds(w, index, &norm);
    int count = add_kernel(w, layer, "kernel", layer->params[0].dims, find_param(layer, "bias"),
                           fold ? norm : NULL, inputs);
    x.name =
        pd_onnx_node(w->onnx, "Conv", pd_onnx_name(w->onnx, layer->name, "output"), inputs, count);
    set_window(w, layer);
    return x;
}

/* The same for a depthwise kernel [kh][kw][c][1], which lies in memory as [kh][kw][1][c]. */
static int add_depthwise_kernel(writer *w, const pd_layer *layer, const float *bias,
                                const pd_layer *norm, const char *inputs[3])
{
    const int dims[] = {layer->spec.kernel_h, layer->spec.kernel_w, 1, layer->in[0].c};
    return add_kernel(w, layer, "depthwise_kernel", dims, bias, norm, inputs);
}

static value add_depthwise(writer *w, int index, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index), *norm = NULL;
    const char *inputs[3] = {x.name};
    bool fold = folds(w, index, &norm);
    int count =
        add_depthwise_kernel(w, layer, find_param(layer, "bias"), fold ? norm : NULL, inputs);
    x.name =
        pd_onnx_node(w->onnx, "Conv", pd_onnx_name(w->onnx, layer->name, "output"), inputs, count);
    set_window(w, layer);
    pd_onnx_set_int(w->onnx, "group", layer->in[0].c);
    return x;
}

static value add_separable(writer *w, int index, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index), *norm = NULL;
    const int dims[] = {1, 1, layer->in[0].c, layer->spec.units};
    bool fold = folds(w, index, &norm);
    if (layer->spec.relu_first)
        x.name = node1(w, "Relu", pd_onnx_name(w->onnx, layer->name, "act"), x.name);
    const char *inputs[3] = {x.name};
    int count = add_depthwise_kernel(w, layer, NULL, NULL, inputs);
    inputs[0] = pd_onnx_node(w->onnx, "Conv", pd_onnx_name(w->onnx, layer->name, "depthwise"),
                             inputs, count);
    set_window(w, layer);
    pd_onnx_set_int(w->onnx, "group", layer->in[0].c);
    count = add_kernel(w, layer, "pointwise_kernel", dims, find_param(layer, "bias"),
                       fold ? norm : NULL, inputs);
    x.name =
        pd_onnx_node(w->onnx, "Conv", pd_onnx_name(w->onnx, layer->name, "output"), inputs, count);
    return x;
}

static value add_batchnorm(writer *w, int index, value x)
{
    static const char *const params[] = {"gamma", "beta", "moving_mean", "moving_variance"};
    const pd_layer *layer = pd_network_layer(w->network, index), *norm = NULL;
    int source = pd_network_layer_input(w->network, index, 0) - 1;
    if (source >= 0 && folds(w, source, &norm) && norm == layer)
        return x;
    const char *inputs[5] = {x.name};
    for (int i = 0; i < 4; i++)
        inputs[i + 1] =
            add_vector(w, layer->name, params[i], find_param(layer, params[i]), layer->in[0].c);
    x.name = pd_onnx_node(w->onnx, "BatchNormalization",
                          pd_onnx_name(w->onnx, layer->name, "output"), inputs, 5);
    pd_onnx_set_float(w->onnx, "epsilon", layer->spec.epsilon);
    return x;
}

/* --- Vectors --- */

/* The features in the network's order: height, width, channels. */
static value add_flatten(writer *w, const pd_layer *layer, pd_shape shape, value x)
{
    static const int channels_last[] = {0, 2, 3, 1};
    if (x.vector)
        return x;
    if (shape.h > 1 || shape.w > 1) {
        x.name = node1(w, "Transpose", pd_onnx_name(w->onnx, layer->name, "transposed"), x.name);
        pd_onnx_set_ints(w->onnx, "perm", channels_last, 4);
    }
    x.name = node1(w, "Flatten", pd_onnx_name(w->onnx, layer->name, "flat"), x.name);
    x.vector = true;
    return x;
}

static value add_dense(writer *w, int index, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index);
    const float *bias = find_param(layer, "bias");
    x = add_flatten(w, layer, layer->in[0], x);
    const char *inputs[3] = {x.name, pd_onnx_name(w->onnx, layer->name, "kernel")};
    float *kernel = pd_onnx_constant(w->onnx, inputs[1], layer->params[0].dims, 2);
    if (kernel != NULL)
        memcpy(kernel, layer->params[0].value, pd_param_size(&layer->params[0]) * sizeof *kernel);
    if (bias != NULL)
        inputs[2] = add_vector(w, layer->name, "bias", bias, layer->spec.units);
    x.name = pd_onnx_node(w->onnx, "Gemm", pd_onnx_name(w->onnx, layer->name, "output"), inputs,
                          bias != NULL ? 3 : 2);
    return x;
}

/* --- Layers --- */

/* The other input of a layer with two; where one of both is a vector, both become vectors. */
static value find_other(writer *w, int index, value *x)
{
    const pd_layer *layer = pd_network_layer(w->network, index);
    value other = w->values[pd_network_layer_input(w->network, index, 1)];
    if (other.vector)
        *x = add_flatten(w, layer, layer->in[0], *x);
    else if (x->vector)
        other = add_flatten(w, layer, layer->in[1], other);
    return other;
}

static value add_add(writer *w, int index, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index);
    value other = find_other(w, index, &x);
    x.name = node2(w, "Add", pd_onnx_name(w->onnx, layer->name, "output"), x.name, other.name);
    return x;
}

static value add_concat(writer *w, int index, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index);
    value other = find_other(w, index, &x);
    x.name = node2(w, "Concat", pd_onnx_name(w->onnx, layer->name, "output"), x.name, other.name);
    pd_onnx_set_int(w->onnx, "axis", 1);
    return x;
}

static value add_zeropad(writer *w, int index, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index);
    const int *pad = layer->spec.pad, pads[] = {0, 0, pad[0], pad[2], 0, 0, pad[1], pad[3]};
    const char *integers =
        pd_onnx_integers(w->onnx, pd_onnx_name(w->onnx, layer->name, "pads"), pads, 8);
    x.name = node2(w, "Pad", pd_onnx_name(w->onnx, layer->name, "output"), x.name, integers);
    return x;
}

static value add_avgpool(writer *w, int index, value x)
{
    return add_pooling(w, pd_network_layer(w->network, index), "AveragePool", x);
}

static value add_maxpool(writer *w, int index, value x)
{
    return add_pooling(w, pd_network_layer(w->network, index), "MaxPool", x);
}

static value add_global(writer *w, int index, const char *type, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index);
    x.name = node1(w, type, pd_onnx_name(w->onnx, layer->name, "output"), x.name);
    return layer->spec.keepdims ? x : add_flatten(w, layer, layer->out, x);
}

static value add_globalpool(writer *w, int index, value x)
{
    return add_global(w, index, "GlobalAveragePool", x);
}

static value add_globalmax(writer *w, int index, value x)
{
    return add_global(w, index, "GlobalMaxPool", x);
}

static value add_flat(writer *w, int index, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index);
    return add_flatten(w, layer, layer->in[0], x);
}

/* In inference dropout does nothing. */
static value add_nothing(writer *w, int index, value x)
{
    (void)w;
    (void)index;
    return x;
}

static value add_relu_layer(writer *w, int index, value x)
{
    return add_relu(w, pd_network_layer(w->network, index), true, x);
}

static value add_rectifier(writer *w, int index, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index);
    x.name = node1(w, "LeakyRelu", pd_onnx_name(w->onnx, layer->name, "output"), x.name);
    pd_onnx_set_float(w->onnx, "alpha", layer->spec.slope);
    if (layer->spec.limit > 0)
        x.name = node2(w, "Min", pd_onnx_name(w->onnx, layer->name, "limited"), x.name,
                       add_number(w, layer->name, "limit", layer->spec.limit));
    return x;
}

static value add_elu(writer *w, int index, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index);
    x.name = node1(w, "Elu", pd_onnx_name(w->onnx, layer->name, "output"), x.name);
    pd_onnx_set_float(w->onnx, "alpha", layer->spec.alpha);
    return x;
}

static value add_sigmoid(writer *w, int index, value x)
{
    const pd_layer *layer = pd_network_layer(w->network, index);
    x.name = node1(w, "Sigmoid", pd_onnx_name(w->onnx, layer->name, "output"), x.name);
    return x;
}

/* How a layer type becomes operators, without the ReLU on its output. */
typedef struct onnx_type {
    const char *type;
    bool maps; /* takes a feature map only */
    value (*add)(writer *w, int index, value x);
} onnx_type;

static const onnx_type types[] = {
    {"add", false, add_add},
    {"avgpool", true, add_avgpool},
    {"batchnorm", false, add_batchnorm},
    {"concat", false, add_concat},
    {"conv", true, add_conv},
    {"dense", false, add_dense},
    {"depthwise", true, add_depthwise},
    {"dropout", false, add_nothing},
    {"elu", false, add_elu},
    {"flatten", false, add_flat},
    {"globalmax", true, add_globalmax},
    {"globalpool", true, add_globalpool},
    {"maxpool", true, add_maxpool},
    {"rectifier", false, add_rectifier},
    {"relu", false, add_relu_layer},
    {"separable", true, add_separable},
    {"sigmoid", false, add_sigmoid},
    {"zeropad", true, add_zeropad},
};

static const onnx_type *find_type(const pd_layer *layer)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].type, layer->type->name) == 0)
            return &types[i];
    return NULL;
}

static pd_status add_layer(writer *w, int index)
{
    const pd_layer *layer = pd_network_layer(w->network, index);
    const onnx_type *type = find_type(layer);
    value x = w->values[pd_network_layer_input(w->network, index, 0)];
    if (type == NULL)
        return pd_fail("layer '%s': cannot export layers of the type '%s' to ONNX", layer->name,
                       layer->type->name);
    if (type->maps && x.vector)
        return pd_fail("layer '%s': cannot export to ONNX: its input is flat", layer->name);
    x = type->add(w, index, x);
    w->values[index + 1] = add_relu(w, layer, pd_layer_built_relu(layer), x);
    return PD_OK;
}

/* Keras' activations and ONNX' operators for them, over the last axis. */
static const struct {
    const char *activation, *type;
} activations[] = {{"sigmoid", "Sigmoid"}, {"softmax", "Softmax"}};

static const char *activation_type(const char *activation)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i].activation, activation) == 0)
            return activations[i].type;
    return NULL;
}

static pd_status add_outputs(writer *w, value last)
{
    const char *type = activation_type(w->model->activation);
    pd_shape shape = pd_network_output(w->network);
    const int dims[] = {shape.c};
    const char *logits = node1(w, "Identity", "logits", last.name);
    if (type == NULL)
        return pd_fail("cannot export the activation '%s' to ONNX", w->model->activation);
    node1(w, type, "probability", logits);
    pd_onnx_output(w->onnx, "probability", dims, 1);
    pd_onnx_output(w->onnx, "logits", dims, 1);
    return PD_OK;
}

static pd_status write_onnx(const char *path, const pd_exchange_model *model,
                            const pd_export_options *options)
{
    pd_status status = PD_OK;
    writer w = {.network = model->network, .model = model, .fold = options->fold_batchnorm};
    int layers = pd_network_layer_count(model->network);
    PD_TRY(pd_onnx_create(&w.onnx, model->name));
    PD_TRY(pd_alloc(&w.values, (size_t)layers + 1, sizeof *w.values));
    w.values[PD_NETWORK_INPUT] = add_input(&w);
    for (int i = 0; i < layers; i++)
        PD_TRY(add_layer(&w, i));
    PD_TRY(add_outputs(&w, w.values[layers]));
    status = pd_onnx_write(w.onnx, path);

cleanup:
    free(w.values);
    pd_onnx_destroy(&w.onnx);
    return status;
}

const pd_export_format pd_export_onnx = {.extension = ".onnx",
                                         .about = "ONNX, channels first",
                                         .folds_batchnorm = true,
                                         .write = write_onnx};
