#include "pneumo/nn/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A network under construction. */
typedef struct pd_model {
    pd_network *network;
    const pd_model_spec *spec;
    int shortcuts, sums; /* Xception's layers without a published name so far */
} pd_model;

/* --- Layers --- */

/* Adds a layer that reads x, with a formatted name. */
__attribute__((format(printf, 5, 6))) static int add(pd_model *model, int x, const char *type,
                                                     pd_layer_spec spec, const char *format, ...)
{
    char name[64];
    va_list values;
    va_start(values, format);
    vsnprintf(name, sizeof name, format, values);
    va_end(values);
    return pd_network_add(model->network, type, name, x, spec);
}

static int flatten(pd_model *model, int x)
{
    return add(model, x, "flatten", (pd_layer_spec){0}, "flatten");
}

static int global_pool(pd_model *model, int x, const char *name)
{
    return add(model, x, "globalpool", (pd_layer_spec){0}, "%s", name);
}

static int dropout(pd_model *model, int x, const char *name)
{
    if (model->spec->dropout <= 0)
        return x;
    return add(model, x, "dropout", (pd_layer_spec){.rate = (float)model->spec->dropout}, "%s",
               name);
}

/* A dense layer with ReLU. */
static int dense(pd_model *model, int x, const char *name, int units)
{
    return add(model, x, "dense",
               (pd_layer_spec){.units = units, .relu = true, .init = model->spec->init}, "%s",
               name);
}

/* The last layer. */
static void predictions(pd_model *model, int x)
{
    add(model, x, "dense", (pd_layer_spec){.units = model->spec->outputs}, "predictions");
}

/* Channels of a convolution at the model's width: a multiple of 8, for the vector units. */
static int scaled(const pd_model *model, int channels)
{
    int rounded = 8 * (int)lround((double)channels * (double)(float)model->spec->width / 8.0);
    return rounded < 8 ? 8 : rounded;
}

/* A 3x3 convolution with ReLU; or, if batch normalisation and then a ReLU follow, without bias,
 * which they make redundant. Both are initialised as before a ReLU. */
static pd_layer_spec conv3x3(const pd_model *model, int channels, bool normalised)
{
    pd_init init = model->spec->init;
    return (pd_layer_spec){.units = scaled(model, channels),
                           .kernel_h = 3,
                           .kernel_w = 3,
                           .relu = !normalised,
                           .no_bias = normalised,
                           .init = init == PD_INIT_DEFAULT ? PD_INIT_HE_NORMAL : init};
}

static pd_layer_spec batch_norm(const pd_model *model, bool relu)
{
    return (pd_layer_spec){.relu = relu,
                           .scope = model->spec->norm_scope,
                           .momentum = (float)model->spec->norm_momentum};
}

static pd_layer_spec pool2x2(pd_padding padding)
{
    return (pd_layer_spec){.kernel_h = 2, .kernel_w = 2, .stride = 2, .padding = padding};
}

/* --- Small models --- */

/* Logistic regression on the pixels. */
static void build_dense1(pd_model *model)
{
    int x = flatten(model, PD_NETWORK_INPUT);
    x = dropout(model, x, "dropout");
    predictions(model, x);
}

/* One hidden layer. */
static void build_mlp2(pd_model *model)
{
    int x = flatten(model, PD_NETWORK_INPUT);
    x = dense(model, x, "hidden", model->spec->hidden);
    x = dropout(model, x, "dropout");
    predictions(model, x);
}

/* Three convolutions, each followed by pooling, and a hidden dense layer. */
static void build_cnn(pd_model *model)
{
    static const int channels[] = {16, 32, 64};
    int x = PD_NETWORK_INPUT;
    for (int i = 0; i < 3; i++) {
        x = add(model, x, "conv", conv3x3(model, channels[i], false), "conv%d", i + 1);
        x = add(model, x, "maxpool", pool2x2(PD_SAME), "pool%d", i + 1);
    }
    x = flatten(model, x);
    x = dense(model, x, "hidden", model->spec->hidden);
    x = dropout(model, x, "dropout");
    predictions(model, x);
}

/* VGG's pattern with batch normalisation: five blocks of two 3x3 convolutions, pooling between
 * them, then global average pooling. */
static void build_cnn_deep(pd_model *model)
{
    static const int channels[] = {24, 48, 96, 160, 256};
    int x = PD_NETWORK_INPUT;
    for (int i = 0; i < 5; i++) {
        if (i > 0)
            x = add(model, x, "maxpool", pool2x2(PD_SAME), "block%d_pool", i);
        for (int j = 1; j <= 2; j++) {
            x = add(model, x, "conv", conv3x3(model, channels[i], true), "block%d_conv%d", i + 1,
                    j);
            x = add(model, x, "batchnorm", batch_norm(model, true), "block%d_norm%d", i + 1, j);
        }
    }
    x = global_pool(model, x, "globalpool");
    x = dropout(model, x, "dropout");
    predictions(model, x);
}

/* --- VGG: Simonyan and Zisserman, arXiv:1409.1556 --- */

/* The two published layers of 4096 units, each followed by dropout. */
static int vgg_dense_head(pd_model *model, int x)
{
    x = flatten(model, x);
    x = dense(model, x, "fc1", scaled(model, 4096));
    x = dropout(model, x, "fc1_dropout");
    x = dense(model, x, "fc2", scaled(model, 4096));
    return dropout(model, x, "fc2_dropout");
}

/* Table 1: five blocks of 3x3 convolutions and pooling. Names and shapes are those of Keras'
 * applications. */
static void build_vgg(pd_model *model, const int convolutions[5])
{
    static const int channels[] = {64, 128, 256, 512, 512};
    bool normalise = model->spec->normalise;
    int x = PD_NETWORK_INPUT;
    for (int i = 0; i < 5; i++) {
        for (int j = 1; j <= convolutions[i]; j++) {
            x = add(model, x, "conv", conv3x3(model, channels[i], normalise), "block%d_conv%d",
                    i + 1, j);
            if (normalise)
                x = add(model, x, "batchnorm", batch_norm(model, true), "block%d_conv%d_bn", i + 1,
                        j);
        }
        x = add(model, x, "maxpool", pool2x2(PD_VALID), "block%d_pool", i + 1);
    }
    if (model->spec->head == PD_HEAD_DENSE) {
        x = vgg_dense_head(model, x);
    } else {
        x = global_pool(model, x, "globalpool");
        x = dropout(model, x, "dropout");
    }
    predictions(model, x);
}

/* Column D of the table. */
static void build_vgg16(pd_model *model)
{
    build_vgg(model, (const int[]){2, 2, 3, 3, 3});
}

/* Column E. */
static void build_vgg19(pd_model *model)
{
    build_vgg(model, (const int[]){2, 2, 4, 4, 4});
}

/* --- Xception: Chollet, arXiv:1610.02357 --- */

/* A 3x3 convolution without padding and bias, batch normalisation, ReLU. */
static int xception_conv(pd_model *model, int x, int number, int channels, int stride)
{
    pd_layer_spec conv = conv3x3(model, channels, true);
    conv.stride = stride;
    conv.padding = PD_VALID;
    x = add(model, x, "conv", conv, "block1_conv%d", number);
    return add(model, x, "batchnorm", batch_norm(model, true), "block1_conv%d_bn", number);
}

/* The ReLUs of a separable convolution: on its input, and on its normalised output. */
typedef enum relus { NEITHER = 0, BEFORE = 1, AFTER = 2, BOTH = 3 } relus;

/* A separable 3x3 convolution and batch normalisation. */
static int xception_separable(pd_model *model, int x, int block, int number, int channels,
                              relus relu)
{
    x = add(model, x, "separable",
            (pd_layer_spec){.units = scaled(model, channels),
                            .kernel_h = 3,
                            .kernel_w = 3,
                            .relu_first = (relu & BEFORE) != 0,
                            .no_bias = true,
                            .init = model->spec->init},
            "block%d_sepconv%d", block, number);
    return add(model, x, "batchnorm", batch_norm(model, (relu & AFTER) != 0),
               "block%d_sepconv%d_bn", block, number);
}

/* Keras' name of the number-th layer of a kind that has no name of its own. */
static const char *unnamed(char name[32], const char *kind, int number)
{
    snprintf(name, 32, number == 0 ? "%s" : "%s_%d", kind, number);
    return name;
}

/* A 1x1 convolution that halves the sides, and batch normalisation. */
static int xception_shortcut(pd_model *model, int x, int channels)
{
    char name[32];
    int number = model->shortcuts++;
    x = add(model, x, "conv",
            (pd_layer_spec){.units = scaled(model, channels),
                            .kernel_h = 1,
                            .kernel_w = 1,
                            .stride = 2,
                            .no_bias = true,
                            .init = model->spec->init},
            "%s", unnamed(name, "conv2d", number));
    return add(model, x, "batchnorm", batch_norm(model, false), "%s",
               unnamed(name, "batch_normalization", number));
}

static int xception_add(pd_model *model, int x, int shortcut)
{
    char name[32];
    return pd_network_add2(model->network, "add", unnamed(name, "add", model->sums++), x, shortcut,
                           (pd_layer_spec){0});
}

/* Two separable convolutions and overlapping pooling, beside a shortcut: halves the sides. */
static int xception_halve(pd_model *model, int x, int block, int first, int second, relus relu)
{
    int shortcut = xception_shortcut(model, x, second);
    x = xception_separable(model, x, block, 1, first, relu);
    x = xception_separable(model, x, block, 2, second, NEITHER);
    x = add(model, x, "maxpool", (pd_layer_spec){.kernel_h = 3, .kernel_w = 3, .stride = 2},
            "block%d_pool", block);
    return xception_add(model, x, shortcut);
}

/* Figure 5, with the names and shapes of Keras' applications. A ReLU after a sum belongs to the
 * separable convolution that reads the sum: the shortcut reads it without ReLU. */
static void build_xception(pd_model *model)
{
    int x = PD_NETWORK_INPUT;
    /* Entry flow. */
    x = xception_conv(model, x, 1, 32, 2);
    x = xception_conv(model, x, 2, 64, 1);
    x = xception_halve(model, x, 2, 128, 128, AFTER);
    x = xception_halve(model, x, 3, 256, 256, BOTH);
    x = xception_halve(model, x, 4, 728, 728, BOTH);
    /* Middle flow. */
    for (int block = 5; block <= 12; block++) {
        int shortcut = x;
        x = xception_separable(model, x, block, 1, 728, BOTH);
        x = xception_separable(model, x, block, 2, 728, AFTER);
        x = xception_separable(model, x, block, 3, 728, NEITHER);
        x = xception_add(model, x, shortcut);
    }
    /* Exit flow. */
    x = xception_halve(model, x, 13, 728, 1024, BOTH);
    x = xception_separable(model, x, 14, 1, 1536, AFTER);
    x = xception_separable(model, x, 14, 2, 2048, AFTER);
    x = global_pool(model, x, "avg_pool");
    x = dropout(model, x, "dropout");
    predictions(model, x);
}

/* --- The table --- */

static const struct {
    const char *name;
    void (*build)(pd_model *model);
    const char *scaling; /* pd_model_scaling */
} models[] = {
    {"dense1", build_dense1, NULL},     {"mlp2", build_mlp2, NULL},
    {"cnn", build_cnn, NULL},           {"cnn-deep", build_cnn_deep, NULL},
    {"vgg16", build_vgg16, "caffe"},    {"vgg19", build_vgg19, "caffe"},
    {"xception", build_xception, "tf"},
};

enum { MODELS = sizeof models / sizeof *models };

const char *const *pd_model_names(void)
{
    static const char *names[MODELS + 1];
    for (int i = 0; i < MODELS; i++)
        names[i] = models[i].name;
    return names;
}

const char *pd_model_scaling(const char *name)
{
    for (int i = 0; i < MODELS; i++)
        if (strcmp(models[i].name, name) == 0)
            return models[i].scaling;
    return NULL;
}

pd_status pd_model_build(pd_network **out, const pd_model_spec *spec)
{
    *out = NULL;
    for (int i = 0; i < MODELS; i++) {
        if (strcmp(models[i].name, spec->name) != 0)
            continue;
        pd_status status = pd_network_create(out, spec->input);
        if (status == PD_OK)
            models[i].build(&(pd_model){.network = *out, .spec = spec});
        return status;
    }
    char known[256] = "";
    for (int i = 0; i < MODELS; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i == 0 ? "" : ", ",
                 models[i].name);
    return pd_fail("model '%s' is unknown; models are %s", spec->name, known);
}
