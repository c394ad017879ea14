/* Keras' classes of layers: what each becomes in a network. */
#include "keras_builder.h"

#include "pneumo/base/memory.h"
#include "pneumo/kernels/window.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- Activations --- */

/* What the name of a function becomes. */
typedef struct activation {
    const char *name;
    const char *type; /* of a layer; NULL: nothing */
    pd_layer_spec spec;
    bool pending; /* may be the output's; then it is no layer */
} activation;

static const activation activations[] = {
    {"elu", "elu", {.alpha = 1}, false},
    {"leaky_relu", "rectifier", {.slope = 0.2f}, false},
    {"linear", NULL, {0}, false},
    {"relu", "relu", {0}, false},
    {"relu6", "rectifier", {.limit = 6}, false},
    {"sigmoid", "sigmoid", {0}, true},
    {"softmax", "softmax", {0}, true},
};

static const activation *find_activation(pd_keras_builder *b, const char *name)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i].name, name) == 0)
            return &activations[i];
    pd_keras_refuse(b, "the activation '%s' is not supported", name);
    return NULL;
}

static void activate(pd_keras_builder *b, const char *name, const char *suffix,
                     pd_keras_value *value)
{
    const activation *found = find_activation(b, name);
    if (found == NULL || found->type == NULL)
        return;
    if (found->pending && !value->image && value->pending == NULL) {
        value->pending = found->name;
        value->activated = b->name;
        return;
    }
    value->node = pd_keras_add(b, found->type, suffix, value, 1, found->spec);
    value->image = false;
    value->pending = NULL;
}

/* Whether the layer's activation is ReLU, which layers can fuse. */
static bool has_relu(pd_keras_builder *b)
{
    return strcmp(pd_keras_text(b, "activation", NULL, "linear"), "relu") == 0;
}

/* Any other activation of the layer. */
static void activate_own(pd_keras_builder *b, pd_keras_value *value)
{
    if (!has_relu(b))
        activate(b, pd_keras_text(b, "activation", NULL, "linear"), "_activation", value);
}

static void build_activation(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                             pd_keras_value *out)
{
    (void)count;
    *out = inputs[0];
    activate(b, pd_keras_text(b, "activation", NULL, "linear"), "", out);
}

static void build_softmax(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                          pd_keras_value *out)
{
    (void)count;
    *out = inputs[0];
    activate(b, "softmax", "", out);
}

/* --- Adding a layer --- */

static void add(pd_keras_builder *b, const char *type, const pd_keras_value *inputs,
                pd_layer_spec spec, pd_keras_value *out)
{
    bool vector = inputs[0].vector;
    *out = (pd_keras_value){.node = pd_keras_add(b, type, "", inputs, 1, spec), .vector = vector};
}

static void require_image(pd_keras_builder *b, const pd_keras_value *input)
{
    const char *format = pd_keras_text(b, "data_format", NULL, "channels_last");
    const char *old = pd_keras_text(b, "dim_ordering", NULL, "tf");
    if (strcmp(format, "channels_last") != 0 || strcmp(old, "tf") != 0)
        pd_keras_refuse(b, "data_format '%s' is not supported; use channels_last",
                        strcmp(old, "tf") != 0 ? "channels_first" : format);
    if (input->vector)
        pd_keras_refuse(b, "its input has no height and width");
}

/* --- Convolutions and pooling --- */

static pd_padding padding_of(pd_keras_builder *b)
{
    const char *name = pd_keras_text(b, "padding", "border_mode", "valid");
    if (strcmp(name, "same") != 0 && strcmp(name, "valid") != 0)
        pd_keras_refuse(b, "padding '%s' is not supported; use 'same' or 'valid'", name);
    return strcmp(name, "same") == 0 ? PD_SAME : PD_VALID;
}

/* Far more than any network has, and few enough that no size overflows. */
enum { UNITS_MAX = 1 << 20, WINDOW_MAX = 1024 };

/* The outputs of a layer. */
static int units_of(pd_keras_builder *b, const char *name, const char *old)
{
    int units = pd_keras_integer(b, name, old, 0);
    if (units < 1 || units > UNITS_MAX)
        pd_keras_refuse(b, "'%s' is %d; 1 to %d are possible", name, units, UNITS_MAX);
    return units;
}

/* Refuses windows of an impossible size. */
static void check_window(pd_keras_builder *b, const int window[2])
{
    for (int i = 0; i < 2; i++)
        if (window[i] < 1 || window[i] > WINDOW_MAX)
            pd_keras_refuse(b, "a window of %d x %d is not possible", window[0], window[1]);
}

/* The window's stride, which must be the same in both directions. */
static int stride_of(pd_keras_builder *b, const char *old, int missing)
{
    int strides[2];
    pd_keras_pair(b, "strides", old, missing, strides);
    if (strides[0] != strides[1])
        pd_keras_refuse(b, "strides %d and %d differ; use equal ones", strides[0], strides[1]);
    if (strides[0] < 1 || strides[0] > WINDOW_MAX)
        pd_keras_refuse(b, "a stride of %d is not possible", strides[0]);
    return strides[0];
}

/* What convolutions have in common. */
static pd_layer_spec convolution_spec(pd_keras_builder *b, const pd_keras_value *input)
{
    int kernel[2], dilation[2], groups = pd_keras_integer(b, "groups", NULL, 1);
    require_image(b, input);
    pd_keras_pair(b, "kernel_size", NULL, 0, kernel);
    if (kernel[0] == 0) { /* Keras 1 */
        kernel[0] = pd_keras_integer(b, "nb_row", NULL, 0);
        kernel[1] = pd_keras_integer(b, "nb_col", NULL, 0);
    }
    check_window(b, kernel);
    pd_keras_pair(b, "dilation_rate", NULL, 1, dilation);
    if (dilation[0] != 1 || dilation[1] != 1)
        pd_keras_refuse(b, "dilation_rate %d is not supported; use 1", dilation[0]);
    if (groups != 1)
        pd_keras_refuse(b, "groups = %d is not supported; use 1", groups);
    if (pd_keras_integer(b, "depth_multiplier", NULL, 1) != 1)
        pd_keras_refuse(b, "depth_multiplier %d is not supported; use 1",
                        pd_keras_integer(b, "depth_multiplier", NULL, 1));
    return (pd_layer_spec){.kernel_h = kernel[0],
                           .kernel_w = kernel[1],
                           .stride = stride_of(b, "subsample", 1),
                           .padding = padding_of(b),
                           .relu = has_relu(b),
                           .no_bias = !pd_keras_flag(b, "use_bias", "bias", true)};
}

static void build_conv(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                       pd_keras_value *out)
{
    (void)count;
    pd_layer_spec spec = convolution_spec(b, &inputs[0]);
    spec.units = units_of(b, "filters", "nb_filter");
    add(b, "conv", inputs, spec, out);
    pd_keras_add_leaf(b, out->node, (const char *const[]){"kernel", "bias"}, spec.no_bias ? 1 : 2);
    activate_own(b, out);
}

static void build_depthwise(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                            pd_keras_value *out)
{
    (void)count;
    pd_layer_spec spec = convolution_spec(b, &inputs[0]);
    add(b, "depthwise", inputs, spec, out);
    pd_keras_add_leaf(b, out->node, (const char *const[]){"depthwise_kernel", "bias"},
                      spec.no_bias ? 1 : 2);
    activate_own(b, out);
}

static void build_separable(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                            pd_keras_value *out)
{
    (void)count;
    pd_layer_spec spec = convolution_spec(b, &inputs[0]);
    spec.units = units_of(b, "filters", "nb_filter");
    add(b, "separable", inputs, spec, out);
    pd_keras_add_leaf(b, out->node,
                      (const char *const[]){"depthwise_kernel", "pointwise_kernel", "bias"},
                      spec.no_bias ? 2 : 3);
    activate_own(b, out);
}

static void build_pool(pd_keras_builder *b, const char *type, const pd_keras_value *inputs,
                       pd_keras_value *out)
{
    int window[2];
    require_image(b, &inputs[0]);
    pd_keras_pair(b, "pool_size", NULL, 2, window);
    check_window(b, window);
    bool given = pd_keras_key(b, "strides", NULL) != NULL;
    if (!given && window[0] != window[1])
        pd_keras_refuse(b, "strides %d and %d differ; use equal ones", window[0], window[1]);
    add(b, type, inputs,
        (pd_layer_spec){.kernel_h = window[0],
                        .kernel_w = window[1],
                        .stride = given ? stride_of(b, NULL, 1) : window[0],
                        .padding = padding_of(b)},
        out);
}

static void build_maxpool(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                          pd_keras_value *out)
{
    (void)count;
    build_pool(b, "maxpool", inputs, out);
}

static void build_avgpool(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                          pd_keras_value *out)
{
    (void)count;
    build_pool(b, "avgpool", inputs, out);
}

static void build_global(pd_keras_builder *b, const char *type, const pd_keras_value *inputs,
                         pd_keras_value *out)
{
    pd_layer_spec spec = {.keepdims = pd_keras_flag(b, "keepdims", NULL, false)};
    require_image(b, &inputs[0]);
    add(b, type, inputs, spec, out);
    out->vector = !spec.keepdims;
}

static void build_globalpool(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                             pd_keras_value *out)
{
    (void)count;
    build_global(b, "globalpool", inputs, out);
}

static void build_globalmax(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                            pd_keras_value *out)
{
    (void)count;
    build_global(b, "globalmax", inputs, out);
}

/* padding: a number, [rows, columns], [[top, bottom], [left, right]], or in Keras 1 also
 * [top, bottom, left, right]. */
static void build_zeropad(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                          pd_keras_value *out)
{
    (void)count;
    pd_layer_spec spec = {0};
    const cJSON *padding = pd_keras_key(b, "padding", NULL);
    const bool list = cJSON_IsArray(padding);
    const int length = cJSON_GetArraySize(padding);
    require_image(b, &inputs[0]);
    if (list && length != 2 && length != 4)
        pd_keras_refuse(b, "'padding' is a list of %d; 2 or 4 are possible", length);
    for (int i = 0; i < 4; i++) {
        const cJSON *one = list ? cJSON_GetArrayItem(padding, i * length / 4) : padding;
        int pair[2] = {1, 1};
        if (one != NULL)
            pd_keras_to_pair(b, "padding", one, pair);
        spec.pad[i] = pair[i % 2];
    }
    add(b, "zeropad", inputs, spec, out);
}

/* --- Vectors --- */

static void build_flatten(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                          pd_keras_value *out)
{
    (void)count;
    if (inputs[0].vector) {
        *out = inputs[0];
        return;
    }
    require_image(b, &inputs[0]);
    add(b, "flatten", inputs, (pd_layer_spec){0}, out);
    out->vector = true;
}

static void build_dense(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                        pd_keras_value *out)
{
    (void)count;
    if (!inputs[0].vector)
        pd_keras_refuse(b, "reads an image; only vectors are supported: put Flatten or global "
                           "pooling before it");
    pd_layer_spec spec = {.units = units_of(b, "units", "output_dim"),
                          .relu = has_relu(b),
                          .no_bias = !pd_keras_flag(b, "use_bias", "bias", true)};
    add(b, "dense", inputs, spec, out);
    pd_keras_add_leaf(b, out->node, (const char *const[]){"kernel", "bias"}, spec.no_bias ? 1 : 2);
    activate_own(b, out);
}

/* --- Normalisation --- */

/* Whether the layer's axis is the last one. */
static bool is_last_axis(pd_keras_builder *b, bool vector)
{
    const cJSON *axis = pd_keras_key(b, "axis", NULL);
    if (cJSON_IsArray(axis) && cJSON_GetArraySize(axis) == 1)
        axis = cJSON_GetArrayItem(axis, 0);
    return axis == NULL ||
           (cJSON_IsNumber(axis) && (axis->valueint == -1 || axis->valueint == (vector ? 1 : 3)));
}

static void build_batchnorm(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                            pd_keras_value *out)
{
    (void)count;
    const char *params[PD_KERAS_WEIGHTS_MAX];
    int used = 0;
    if (!is_last_axis(b, inputs[0].vector))
        pd_keras_refuse(b, "normalises another axis than the last, which is not supported");
    if (pd_keras_flag(b, "renorm", NULL, false))
        pd_keras_refuse(b, "renorm is not supported");
    pd_layer_spec spec = {.momentum = (float)pd_keras_number(b, "momentum", NULL, 0.99),
                          .epsilon = (float)pd_keras_number(b, "epsilon", NULL, 1e-3)};
    if (spec.momentum == 0 || spec.epsilon == 0) /* the layer would take its defaults */
        pd_keras_refuse(b, "%s 0 is not supported; use a positive one",
                        spec.momentum == 0 ? "momentum" : "epsilon");
    add(b, "batchnorm", inputs, spec, out);
    if (pd_keras_flag(b, "scale", NULL, true))
        params[used++] = "gamma";
    if (pd_keras_flag(b, "center", NULL, true))
        params[used++] = "beta";
    params[used++] = "moving_mean";
    params[used++] = "moving_variance";
    pd_keras_add_leaf(b, out->node, params, used);
}

/* --- Activations that are layers --- */

static void build_relu(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                       pd_keras_value *out)
{
    (void)count;
    pd_layer_spec spec = {.slope = (float)pd_keras_number(b, "negative_slope", NULL, 0),
                          .limit = (float)pd_keras_number(b, "max_value", NULL, 0)};
    bool limited = pd_keras_key(b, "max_value", NULL) != NULL;
    if (pd_keras_number(b, "threshold", NULL, 0) != 0)
        pd_keras_refuse(b, "threshold %g is not supported; use 0",
                        pd_keras_number(b, "threshold", NULL, 0));
    if (limited && !(spec.limit > 0))
        pd_keras_refuse(b, "max_value %g is not positive", (double)spec.limit);
    add(b, spec.slope == 0 && !limited ? "relu" : "rectifier", inputs, spec, out);
}

static void build_leaky_relu(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                             pd_keras_value *out)
{
    (void)count;
    add(b, "rectifier", inputs,
        (pd_layer_spec){.slope = (float)pd_keras_number(b, "negative_slope", "alpha", 0.3)}, out);
}

static void build_elu(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                      pd_keras_value *out)
{
    (void)count;
    add(b, "elu", inputs, (pd_layer_spec){.alpha = (float)pd_keras_number(b, "alpha", NULL, 1)},
        out);
}

/* --- Dropout, and what does nothing at inference --- */

static void build_nothing(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                          pd_keras_value *out)
{
    (void)b;
    (void)count;
    *out = inputs[0];
}

static void build_dropout(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                          pd_keras_value *out)
{
    (void)count;
    pd_layer_spec spec = {.rate = (float)pd_keras_number(b, "rate", "p", 0)};
    *out = inputs[0];
    if (!inputs[0].image && inputs[0].pending == NULL)
        out->node = pd_keras_add(b, "dropout", "", inputs, 1, spec);
}

/* --- Layers with several inputs --- */

/* Joins all inputs, two at a time. */
static void join(pd_keras_builder *b, const char *type, const pd_keras_value *inputs, int count,
                 pd_keras_value *out)
{
    *out = inputs[0];
    for (int i = 1; i < count; i++) {
        const pd_keras_value both[2] = {*out, inputs[i]};
        const char *suffix = i == count - 1 ? "" : "_part";
        *out = (pd_keras_value){.node = pd_keras_add(b, type, suffix, both, 2, (pd_layer_spec){0}),
                                .vector = inputs[0].vector};
    }
}

static void build_add(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                      pd_keras_value *out)
{
    join(b, "add", inputs, count, out);
}

static void build_concat(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                         pd_keras_value *out)
{
    bool images = true;
    int channels = 0;
    if (!is_last_axis(b, inputs[0].vector))
        pd_keras_refuse(b, "concatenates another axis than the last, which is not supported");
    for (int i = 0; i < count; i++)
        images = images && inputs[i].image;
    if (!images) {
        join(b, "concat", inputs, count, out);
        return;
    }
    /* The grey image, repeated. */
    *out = inputs[0];
    for (int i = 0; i < count; i++)
        for (int c = 0; c < inputs[i].channels; c++, channels++)
            if (channels < PD_INPUT_CHANNELS) {
                out->scale[channels] = inputs[i].scale[c];
                out->offset[channels] = inputs[i].offset[c];
            }
    out->channels = channels;
    if (channels > PD_INPUT_CHANNELS)
        pd_keras_refuse(b, "repeats the image for %d channels; at most %d are supported", channels,
                        PD_INPUT_CHANNELS);
}

/* Known for its message only: reading what `export` makes of data.scaling = image ends here. */
static void build_subtract(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                           pd_keras_value *out)
{
    (void)inputs;
    (void)count;
    (void)out;
    pd_keras_refuse(b, "this class is not supported; if it comes from data.scaling = image, give "
                       "the checkpoint to model.weights");
}

/* --- Scaling of the image --- */

static bool require_input(pd_keras_builder *b, const pd_keras_value *input)
{
    if (!input->image)
        pd_keras_refuse(b, "scales the output of a layer; only the model's input can be scaled");
    return b->status == PD_OK;
}

/* Applies x * scale + offset to a channel of an image. */
static void scale_channel(pd_keras_value *image, int channel, double scale, double offset)
{
    image->scale[channel] *= scale;
    image->offset[channel] = image->offset[channel] * scale + offset;
}

/* A number, or the number of that channel in a list. */
static double channel_number(pd_keras_builder *b, const char *name, int channel, int channels,
                             double missing)
{
    const cJSON *found = pd_keras_key(b, name, NULL);
    while (cJSON_IsArray(found) && cJSON_GetArraySize(found) == 1) /* axes of size 1 */
        found = cJSON_GetArrayItem(found, 0);
    if (cJSON_IsArray(found) && cJSON_GetArraySize(found) == channels)
        found = cJSON_GetArrayItem(found, channel);
    if (found == NULL)
        return missing;
    if (cJSON_IsNumber(found) && isfinite(found->valuedouble))
        return found->valuedouble;
    pd_keras_refuse(b, "'%s' is neither a number nor one for each channel", name);
    return missing;
}

static void build_rescaling(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                            pd_keras_value *out)
{
    (void)count;
    *out = inputs[0];
    if (!require_input(b, &inputs[0]))
        return;
    for (int c = 0; c < out->channels; c++)
        scale_channel(out, c, channel_number(b, "scale", c, out->channels, 1),
                      channel_number(b, "offset", c, out->channels, 0));
    b->model->scaled = true;
}

/* Reads array `index` of a Normalization (0: mean, 1: variance) into numbers[channels]. */
static void get_normalization(pd_keras_builder *b, int index, int channels, double *numbers)
{
    pd_array *arrays = NULL, single = {0};
    const pd_array *found = NULL;
    char *path = NULL;
    int count = 0;
    if (pd_keras_file_has_paths(b->weights)) {
        b->status = pd_format(&path, "%s/%d", b->path, index);
        if (b->status == PD_OK)
            b->status = pd_keras_file_get_array(&single, b->weights, path);
        found = &single;
    } else {
        b->status = pd_keras_file_get_group(&arrays, &count, b->weights, b->name);
        found = index < count ? &arrays[index] : NULL;
    }
    int size = b->status == PD_OK && found != NULL ? found->dims[found->rank - 1] : 0;
    if (b->status == PD_OK && size != 1 && size != channels)
        pd_keras_refuse(b, "its mean and variance are missing or do not fit");
    for (int c = 0; c < channels && b->status == PD_OK; c++)
        numbers[c] = (double)found->data[size == 1 ? 0 : c];
    free(single.data);
    free(path);
    pd_array_free_all(arrays, count);
}

/* (x - mean) / max(sqrt(variance), 1e-7) */
static void build_normalization(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                                pd_keras_value *out)
{
    (void)count;
    double mean[PD_INPUT_CHANNELS] = {0}, variance[PD_INPUT_CHANNELS] = {0};
    bool given = pd_keras_key(b, "mean", NULL) != NULL;
    *out = inputs[0];
    if (!require_input(b, &inputs[0]))
        return;
    if (!is_last_axis(b, false))
        pd_keras_refuse(b, "normalises another axis than the last, which is not supported");
    if (pd_keras_flag(b, "invert", NULL, false))
        pd_keras_refuse(b, "invert is not supported");
    if (!given && (b->weights == NULL || !pd_keras_file_has_weights(b->weights)))
        pd_keras_refuse(b, "its mean and variance are missing");
    for (int c = 0; c < out->channels && given; c++) {
        mean[c] = channel_number(b, "mean", c, out->channels, 0);
        variance[c] = channel_number(b, "variance", c, out->channels, 1);
    }
    if (b->status == PD_OK && !given) {
        get_normalization(b, 0, out->channels, mean);
        if (b->status == PD_OK)
            get_normalization(b, 1, out->channels, variance);
    }
    for (int c = 0; c < out->channels && b->status == PD_OK; c++) {
        double scale = 1 / fmax(sqrt(variance[c]), 1e-7);
        scale_channel(out, c, scale, -mean[c] * scale);
    }
    b->model->scaled = true;
    /* The arrays have a place in the file, but none in the network. */
    if (!given)
        pd_keras_add_leaf(b, 0, (const char *const[]){"mean", "variance", "count"}, 3);
}

/* --- The table --- */

typedef struct keras_class {
    const char *name;
    bool joins; /* takes several inputs */
    void (*build)(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                  pd_keras_value *out);
} keras_class;

static const keras_class classes[] = {
    {"Activation", false, build_activation},
    {"ActivityRegularization", false, build_nothing},
    {"Add", true, build_add},
    {"AlphaDropout", false, build_nothing},
    {"AveragePooling2D", false, build_avgpool},
    {"BatchNormalization", false, build_batchnorm},
    {"Concatenate", true, build_concat},
    {"Conv2D", false, build_conv},
    {"Convolution2D", false, build_conv},
    {"Dense", false, build_dense},
    {"DepthwiseConv2D", false, build_depthwise},
    {"Dropout", false, build_dropout},
    {"ELU", false, build_elu},
    {"Flatten", false, build_flatten},
    {"GaussianDropout", false, build_nothing},
    {"GaussianNoise", false, build_nothing},
    {"GlobalAveragePooling2D", false, build_globalpool},
    {"GlobalMaxPooling2D", false, build_globalmax},
    {"LeakyReLU", false, build_leaky_relu},
    {"MaxPooling2D", false, build_maxpool},
    {"Normalization", false, build_normalization},
    {"RandomBrightness", false, build_nothing},
    {"RandomContrast", false, build_nothing},
    {"RandomFlip", false, build_nothing},
    {"RandomRotation", false, build_nothing},
    {"RandomTranslation", false, build_nothing},
    {"RandomZoom", false, build_nothing},
    {"ReLU", false, build_relu},
    {"Rescaling", false, build_rescaling},
    {"SeparableConv2D", false, build_separable},
    {"SeparableConvolution2D", false, build_separable},
    {"Softmax", false, build_softmax},
    {"SpatialDropout2D", false, build_nothing},
    {"Subtract", true, build_subtract},
    {"ZeroPadding2D", false, build_zeropad},
};

void pd_keras_build_layer(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                          pd_keras_value *out)
{
    const char *name = b->class_name, *last = strrchr(name, '>'); /* "Package>Class" */
    name = last == NULL ? name : last + 1;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(classes[i].name, name) != 0)
            continue;
        if (count > 1 && !classes[i].joins)
            pd_keras_refuse(b, "has %d inputs; 1 is supported", count);
        else if (b->status == PD_OK)
            classes[i].build(b, inputs, count, out);
        return;
    }
    pd_keras_refuse(b, "this class is not supported");
}
