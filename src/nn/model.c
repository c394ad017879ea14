#include "pneumo/nn/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Channels of a convolution at the job's width: a multiple of 8, for the vector units. */
static int scaled(const pd_model_spec *spec, int channels)
{
    int rounded = 8 * (int)lround((double)channels * (double)spec->width / 8.0);
    return rounded < 8 ? 8 : rounded;
}

static int dropout(pd_network *net, int x, const pd_model_spec *spec)
{
    if (spec->dropout <= 0)
        return x;
    return pd_network_add(net, "dropout", "dropout", x, (pd_layer_spec){.rate = spec->dropout});
}

/* The last layer: one logit, or one per cause. */
static void predictions(pd_network *net, int x, const pd_model_spec *spec)
{
    pd_network_add(net, "dense", "predictions", x, (pd_layer_spec){.units = spec->outputs});
}

/* Logistic regression on the pixels. */
static void build_dense1(pd_network *net, const pd_model_spec *spec)
{
    int x = pd_network_add(net, "flatten", "flatten", PD_NETWORK_INPUT, (pd_layer_spec){0});
    x = dropout(net, x, spec);
    predictions(net, x, spec);
}

/* One hidden layer of ReLUs. */
static void build_mlp2(pd_network *net, const pd_model_spec *spec)
{
    int x = pd_network_add(net, "flatten", "flatten", PD_NETWORK_INPUT, (pd_layer_spec){0});
    x = pd_network_add(net, "dense", "hidden", x,
                       (pd_layer_spec){.units = spec->hidden, .relu = true, .init = spec->init});
    x = dropout(net, x, spec);
    predictions(net, x, spec);
}

/* Three plain convolutions, each followed by pooling, and a hidden dense layer. */
static void build_cnn(pd_network *net, const pd_model_spec *spec)
{
    static const int channels[] = {16, 32, 64};
    int x = PD_NETWORK_INPUT;
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "conv%d", i + 1);
        x = pd_network_add(net, "conv", name, x,
                           (pd_layer_spec){.units = scaled(spec, channels[i]),
                                           .kernel_h = 3,
                                           .kernel_w = 3,
                                           .relu = true,
                                           .init = spec->init});
        snprintf(name, sizeof name, "pool%d", i + 1);
        x = pd_network_add(net, "maxpool", name, x, (pd_layer_spec){.kernel_h = 2, .kernel_w = 2});
    }
    x = pd_network_add(net, "flatten", "flatten", x, (pd_layer_spec){0});
    x = pd_network_add(net, "dense", "hidden", x,
                       (pd_layer_spec){.units = spec->hidden, .relu = true, .init = spec->init});
    x = dropout(net, x, spec);
    predictions(net, x, spec);
}

/* Before batch normalisation and ReLU, a convolution starts as if the ReLU were its own. */
static pd_init init_before_norm(const pd_model_spec *spec)
{
    return spec->init == PD_INIT_DEFAULT ? PD_INIT_HE_NORMAL : spec->init;
}

/* A 3x3 convolution without bias, batch normalisation, ReLU. */
static int conv_norm(pd_network *net, int x, const pd_model_spec *spec, const char *prefix,
                     int number, int channels)
{
    char name[64];
    snprintf(name, sizeof name, "%s_conv%d", prefix, number);
    x = pd_network_add(net, "conv", name, x,
                       (pd_layer_spec){.units = channels,
                                       .kernel_h = 3,
                                       .kernel_w = 3,
                                       .no_bias = true,
                                       .init = init_before_norm(spec)});
    snprintf(name, sizeof name, "%s_norm%d", prefix, number);
    return pd_network_add(
        net, "batchnorm", name, x,
        (pd_layer_spec){.relu = true, .scope = spec->norm_scope, .momentum = spec->norm_momentum});
}

/* VGG's pattern with batch normalisation: five blocks of two 3x3 convolutions and pooling, then
 * global average pooling. */
static void build_cnn_deep(pd_network *net, const pd_model_spec *spec)
{
    static const int channels[] = {24, 48, 96, 160, 256};
    int x = PD_NETWORK_INPUT;
    for (int i = 0; i < 5; i++) {
        char prefix[32], name[64];
        snprintf(prefix, sizeof prefix, "block%d", i + 1);
        x = conv_norm(net, x, spec, prefix, 1, scaled(spec, channels[i]));
        x = conv_norm(net, x, spec, prefix, 2, scaled(spec, channels[i]));
        if (i == 4)
            break;
        snprintf(name, sizeof name, "%s_pool", prefix);
        x = pd_network_add(net, "maxpool", name, x, (pd_layer_spec){.kernel_h = 2, .kernel_w = 2});
    }
    x = pd_network_add(net, "globalpool", "globalpool", x, (pd_layer_spec){0});
    x = dropout(net, x, spec);
    predictions(net, x, spec);
}

/* Batch normalisation of the layer `of`, and ReLU if asked. */
static int norm(pd_network *net, int x, const pd_model_spec *spec, const char *of, bool relu)
{
    char name[64];
    snprintf(name, sizeof name, "%s_bn", of);
    return pd_network_add(
        net, "batchnorm", name, x,
        (pd_layer_spec){.relu = relu, .scope = spec->norm_scope, .momentum = spec->norm_momentum});
}

/* The two published layers of 4096 units, each followed by dropout. */
static int dense_head(pd_network *net, int x, const pd_model_spec *spec)
{
    x = pd_network_add(net, "flatten", "flatten", x, (pd_layer_spec){0});
    for (int i = 1; i <= 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "fc%d", i);
        x = pd_network_add(
            net, "dense", name, x,
            (pd_layer_spec){.units = scaled(spec, 4096), .relu = true, .init = spec->init});
        snprintf(name, sizeof name, "fc%d_dropout", i);
        if (spec->dropout > 0)
            x = pd_network_add(net, "dropout", name, x, (pd_layer_spec){.rate = spec->dropout});
    }
    return x;
}

/* Simonyan and Zisserman, arXiv:1409.1556, table 1: five blocks of 3x3 convolutions and pooling.
 * Names and shapes are those of Keras' applications. */
static void build_vgg(pd_network *net, const pd_model_spec *spec, const int convolutions[5])
{
    static const int channels[] = {64, 128, 256, 512, 512};
    char name[32];
    int x = PD_NETWORK_INPUT;
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < convolutions[i]; j++) {
            bool normalise = spec->normalise;
            snprintf(name, sizeof name, "block%d_conv%d", i + 1, j + 1);
            x = pd_network_add(net, "conv", name, x,
                               (pd_layer_spec){.units = scaled(spec, channels[i]),
                                               .kernel_h = 3,
                                               .kernel_w = 3,
                                               .relu = !normalise,
                                               .no_bias = normalise,
                                               .init = init_before_norm(spec)});
            if (normalise)
                x = norm(net, x, spec, name, true);
        }
        snprintf(name, sizeof name, "block%d_pool", i + 1);
        x = pd_network_add(
            net, "maxpool", name, x,
            (pd_layer_spec){.kernel_h = 2, .kernel_w = 2, .stride = 2, .padding = PD_VALID});
    }
    if (spec->head == PD_HEAD_DENSE) {
        x = dense_head(net, x, spec);
    } else {
        x = pd_network_add(net, "globalpool", "globalpool", x, (pd_layer_spec){0});
        x = dropout(net, x, spec);
    }
    predictions(net, x, spec);
}

/* Column D of the table. */
static void build_vgg16(pd_network *net, const pd_model_spec *spec)
{
    build_vgg(net, spec, (const int[]){2, 2, 3, 3, 3});
}

/* Column E. */
static void build_vgg19(pd_network *net, const pd_model_spec *spec)
{
    build_vgg(net, spec, (const int[]){2, 2, 4, 4, 4});
}

/* A 3x3 convolution without padding and bias, batch normalisation, ReLU. */
static int xception_conv(pd_network *net, int x, const pd_model_spec *spec, const char *name,
                         int channels, int stride)
{
    x = pd_network_add(net, "conv", name, x,
                       (pd_layer_spec){.units = scaled(spec, channels),
                                       .kernel_h = 3,
                                       .kernel_w = 3,
                                       .stride = stride,
                                       .padding = PD_VALID,
                                       .no_bias = true,
                                       .init = init_before_norm(spec)});
    return norm(net, x, spec, name, true);
}

/* Which ReLUs go with a separable convolution: on its input, and on what follows it. */
typedef enum relus { NEITHER = 0, BEFORE = 1, AFTER = 2, BOTH = 3 } relus;

/* A separable 3x3 convolution and batch normalisation. */
static int xception_separable(pd_network *net, int x, const pd_model_spec *spec, int block,
                              int number, int channels, relus relu)
{
    char name[32];
    snprintf(name, sizeof name, "block%d_sepconv%d", block, number);
    x = pd_network_add(net, "separable", name, x,
                       (pd_layer_spec){.units = scaled(spec, channels),
                                       .kernel_h = 3,
                                       .kernel_w = 3,
                                       .relu_first = (relu & BEFORE) != 0,
                                       .no_bias = true,
                                       .init = spec->init});
    return norm(net, x, spec, name, (relu & AFTER) != 0);
}

/* Keras' name of an unnamed layer, the number-th of its kind. */
static const char *unnamed(char name[32], const char *kind, int number)
{
    snprintf(name, 32, number == 0 ? "%s" : "%s_%d", kind, number);
    return name;
}

static int xception_add(pd_network *net, int x, int shortcut, int number)
{
    char name[32];
    return pd_network_add2(net, "add", unnamed(name, "add", number), x, shortcut,
                           (pd_layer_spec){0});
}

/* Two separable convolutions and overlapping pooling, beside a 1x1 convolution: halves the sides.
 * `number` counts these blocks, `adds` all sums. */
static int xception_halve(pd_network *net, int x, const pd_model_spec *spec, int block, int number,
                          int adds, int first, int second, bool relu_first)
{
    char name[32];
    int shortcut = pd_network_add(net, "conv", unnamed(name, "conv2d", number), x,
                                  (pd_layer_spec){.units = scaled(spec, second),
                                                  .kernel_h = 1,
                                                  .kernel_w = 1,
                                                  .stride = 2,
                                                  .no_bias = true,
                                                  .init = spec->init});
    shortcut =
        pd_network_add(net, "batchnorm", unnamed(name, "batch_normalization", number), shortcut,
                       (pd_layer_spec){.scope = spec->norm_scope, .momentum = spec->norm_momentum});
    x = xception_separable(net, x, spec, block, 1, first, relu_first ? BOTH : AFTER);
    x = xception_separable(net, x, spec, block, 2, second, NEITHER);
    snprintf(name, sizeof name, "block%d_pool", block);
    x = pd_network_add(net, "maxpool", name, x,
                       (pd_layer_spec){.kernel_h = 3, .kernel_w = 3, .stride = 2});
    return xception_add(net, x, shortcut, adds);
}

/* Chollet, arXiv:1610.02357, figure 5, with the names and shapes of Keras' applications. A ReLU
 * after a sum belongs to the separable convolution that reads it, so that the shortcut sees the sum
 * as it is. */
static void build_xception(pd_network *net, const pd_model_spec *spec)
{
    int x = PD_NETWORK_INPUT;
    /* Entry flow. */
    x = xception_conv(net, x, spec, "block1_conv1", 32, 2);
    x = xception_conv(net, x, spec, "block1_conv2", 64, 1);
    x = xception_halve(net, x, spec, 2, 0, 0, 128, 128, false);
    x = xception_halve(net, x, spec, 3, 1, 1, 256, 256, true);
    x = xception_halve(net, x, spec, 4, 2, 2, 728, 728, true);
    /* Middle flow. */
    for (int block = 5; block <= 12; block++) {
        int shortcut = x;
        x = xception_separable(net, x, spec, block, 1, 728, BOTH);
        x = xception_separable(net, x, spec, block, 2, 728, AFTER);
        x = xception_separable(net, x, spec, block, 3, 728, NEITHER);
        x = xception_add(net, x, shortcut, block - 2);
    }
    /* Exit flow. */
    x = xception_halve(net, x, spec, 13, 3, 11, 728, 1024, true);
    x = xception_separable(net, x, spec, 14, 1, 1536, AFTER);
    x = xception_separable(net, x, spec, 14, 2, 2048, AFTER);
    x = pd_network_add(net, "globalpool", "avg_pool", x, (pd_layer_spec){0});
    x = dropout(net, x, spec);
    predictions(net, x, spec);
}

static const struct {
    const char *name;
    void (*build)(pd_network *net, const pd_model_spec *spec);
} models[] = {
    {"dense1", build_dense1},     {"mlp2", build_mlp2},   {"cnn", build_cnn},
    {"cnn-deep", build_cnn_deep}, {"vgg16", build_vgg16}, {"vgg19", build_vgg19},
    {"xception", build_xception},
};

enum { MODELS = sizeof models / sizeof *models };

const char *const *pd_model_names(void)
{
    static const char *names[MODELS + 1];
    for (int i = 0; i < MODELS; i++)
        names[i] = models[i].name;
    return names;
}

pd_status pd_model_build(pd_network **out, const pd_model_spec *spec)
{
    *out = NULL;
    for (int i = 0; i < MODELS; i++) {
        if (strcmp(models[i].name, spec->name) != 0)
            continue;
        pd_status status = pd_network_create(out, spec->input);
        if (status == PD_OK)
            models[i].build(*out, spec);
        return status;
    }
    char known[256] = "";
    for (int i = 0; i < MODELS; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i == 0 ? "" : ", ",
                 models[i].name);
    return pd_fail("model '%s' is unknown; models are %s", spec->name, known);
}
