/* A small network for this room's tests. */
#ifndef PNEUMO_TESTS_EXCHANGE_NETWORK_H
#define PNEUMO_TESTS_EXCHANGE_NETWORK_H

#include "pneumo/nn/network.h"

enum { SIDE = 32 };

static const pd_plan plan = {.lanes = 1, .lane_samples = 2, .total_lanes = 1, .threads = 1};

/* Every layer type, two ReLUs that planning moves behind their pooling, a shortcut that is added
 * before the layers beside it, and a layer with the name that the input would have. */
static inline pd_network *make_network(void)
{
    pd_network *net;
    assert_int_equal(pd_network_create(&net, (pd_shape){SIDE, SIDE, 3}), PD_OK);
    int x = pd_network_add(net, "conv", "image", PD_NETWORK_INPUT,
                           (pd_layer_spec){.units = 8, .kernel_h = 3, .kernel_w = 3, .relu = true});
    x = pd_network_add(net, "maxpool", "pool", x, (pd_layer_spec){.kernel_h = 2, .kernel_w = 2});
    int shortcut = pd_network_add(
        net, "conv", "shortcut", x,
        (pd_layer_spec){.units = 16, .kernel_h = 1, .kernel_w = 1, .stride = 2, .no_bias = true});
    shortcut = pd_network_add(net, "batchnorm", "shortcut_bn", shortcut, (pd_layer_spec){0});
    x = pd_network_add(
        net, "separable", "sepconv", x,
        (pd_layer_spec){
            .units = 16, .kernel_h = 3, .kernel_w = 3, .no_bias = true, .relu_first = true});
    x = pd_network_add(net, "batchnorm", "sepconv_bn", x,
                       (pd_layer_spec){.relu = true, .momentum = 0.9f, .epsilon = 1e-5f});
    x = pd_network_add(net, "avgpool", "mean_pool", x,
                       (pd_layer_spec){.kernel_h = 3, .kernel_w = 3, .stride = 2});
    x = pd_network_add2(net, "add", "add", x, shortcut, (pd_layer_spec){.relu = true});
    x = pd_network_add(
        net, "conv", "last_conv", x,
        (pd_layer_spec){.units = 8, .kernel_h = 2, .kernel_w = 2, .padding = PD_VALID});
    x = pd_network_add(net, "relu", "last_relu", x, (pd_layer_spec){0});
    x = pd_network_add(net, "flatten", "flatten", x, (pd_layer_spec){0});
    x = pd_network_add(net, "dense", "hidden", x, (pd_layer_spec){.units = 4, .relu = true});
    x = pd_network_add(net, "dropout", "dropout", x, (pd_layer_spec){.rate = 0.3f});
    pd_network_add(net, "dense", "predictions", x, (pd_layer_spec){.units = 3});
    return net;
}

/* The layer types that only networks of other programs have; depthwise convolutions that batch
 * normalisation follows and does not follow. */
static inline pd_network *make_other_network(void)
{
    pd_network *net;
    assert_int_equal(pd_network_create(&net, (pd_shape){SIDE, SIDE, 3}), PD_OK);
    int x = pd_network_add(net, "zeropad", "pad", PD_NETWORK_INPUT,
                           (pd_layer_spec){.pad = {0, 1, 2, 3}});
    x = pd_network_add(net, "conv", "conv", x,
                       (pd_layer_spec){.units = 8, .kernel_h = 3, .kernel_w = 3, .stride = 2});
    x = pd_network_add(net, "rectifier", "relu6", x, (pd_layer_spec){.limit = 6});
    int left = pd_network_add(net, "depthwise", "depthwise", x,
                              (pd_layer_spec){.kernel_h = 3, .kernel_w = 3, .no_bias = true});
    left = pd_network_add(net, "batchnorm", "depthwise_bn", left, (pd_layer_spec){.relu = true});
    int right = pd_network_add(net, "depthwise", "other_depthwise", x,
                               (pd_layer_spec){.kernel_h = 3, .kernel_w = 5, .relu = true});
    right = pd_network_add(net, "rectifier", "leaky", right,
                           (pd_layer_spec){.slope = 0.25f, .limit = 2});
    x = pd_network_add2(net, "concat", "concat", left, right, (pd_layer_spec){0});
    x = pd_network_add(net, "conv", "squeeze", x,
                       (pd_layer_spec){.units = 12, .kernel_h = 1, .kernel_w = 1});
    x = pd_network_add(net, "elu", "elu", x, (pd_layer_spec){.alpha = 0.5f});
    left = pd_network_add(net, "globalmax", "largest", x, (pd_layer_spec){0});
    right = pd_network_add(net, "globalpool", "mean", x, (pd_layer_spec){0});
    right = pd_network_add(net, "sigmoid", "gate", right, (pd_layer_spec){0});
    x = pd_network_add2(net, "concat", "features", left, right, (pd_layer_spec){0});
    pd_network_add(net, "dense", "predictions", x, (pd_layer_spec){.units = 3});
    return net;
}

#endif
