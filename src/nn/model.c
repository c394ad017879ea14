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

/* A 3x3 convolution without bias, batch normalisation, ReLU. */
static int conv_norm(pd_network *net, int x, const pd_model_spec *spec, const char *prefix,
                     int number, int channels)
{
    char name[64];
    snprintf(name, sizeof name, "%s_conv%d", prefix, number);
    x = pd_network_add(
        net, "conv", name, x,
        (pd_layer_spec){.units = channels,
                        .kernel_h = 3,
                        .kernel_w = 3,
                        .no_bias = true,
                        .init = spec->init == PD_INIT_DEFAULT ? PD_INIT_HE_NORMAL : spec->init});
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

static const struct {
    const char *name;
    void (*build)(pd_network *net, const pd_model_spec *spec);
} models[] = {
    {"dense1", build_dense1},
    {"mlp2", build_mlp2},
    {"cnn", build_cnn},
    {"cnn-deep", build_cnn_deep},
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
