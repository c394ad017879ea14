/* Frozen layers: which layers a name stands for; the gradients of the others against a network that
 * consists of them alone; the same bits in any number of passes; dropout; memory. */
#include "nn/groups.h"
#include "nn/network_internal.h"
#include "pneumo/base/memory.h"
#include "pneumo/nn/model.h"

#include "golden/hashed.h"
#include "pneumo/kernels/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LANES = 5, LANE_SAMPLES = 2, SAMPLES = LANES * LANE_SAMPLES, SIZE = 32 };

static const pd_plan plan = {
    .lanes = LANES, .lane_samples = LANE_SAMPLES, .total_lanes = LANES, .threads = 2};

static float images[SAMPLES * SIZE * SIZE];

static pd_status sum_own_lanes(void *context, double *parts, size_t count, double *total)
{
    (void)context;
    pd_tree_fold_doubles(LANES, parts, count, total);
    return PD_OK;
}

static pd_network *build(const char *model)
{
    pd_model_spec spec = {.input = {SIZE, SIZE, 1},
                          .outputs = 1,
                          .hidden = 12,
                          .width = 0.2,
                          .head = PD_HEAD_DENSE,
                          .norm_momentum = 0.9};
    pd_network *net;
    snprintf(spec.name, sizeof spec.name, "%s", model);
    assert_int_equal(pd_model_build(&net, &spec), PD_OK);
    return net;
}

static void plan_frozen(pd_network *net, const char *upto, int pass_lanes)
{
    assert_int_equal(pd_network_freeze(net, upto), PD_OK);
    if (pd_network_plan_passes(net, &plan, 0, pass_lanes) != PD_OK)
        fail_msg("%s", pd_error_message());
}

/* Weights and statistics that depend on the layer's name only. */
static void fill(pd_network *net)
{
    for (int i = 0; i < pd_network_tensor_count(net); i++) {
        const pd_tensor *tensor = pd_network_tensor(net, i);
        uint32_t number = (uint32_t)strlen(tensor->param->name);
        for (const char *at = tensor->layer->name; *at != '\0'; at++)
            number = 31 * number + (unsigned char)*at;
        hashed(tensor->param->value, tensor->size, number);
        for (size_t j = 0; j < tensor->size; j++)
            tensor->param->value[j] = tensor->param->rank > 1 ? 0.3f * tensor->param->value[j]
                                                              : 0.6f + tensor->param->value[j] / 2;
    }
}

/* --- Names --- */

static void names_stand_for_layers(void **state)
{
    (void)state;
    static const struct {
        const char *model, *upto, *last;
        int with_weights, all;
    } cases[] = {
        {"cnn", "", NULL, 0, 5},
        {"cnn", "conv2", "conv2", 2, 5},
        {"cnn", "pool2", "conv2", 2, 5}, /* has no weights */
        {"cnn", "conv", "conv3", 3, 5},
        {"cnn", "base", "hidden", 4, 5},
        {"vgg16", "block3", "block3_conv3", 7, 16},
        {"vgg16", "block3_conv1", "block3_conv1", 5, 16},
        {"vgg16", "block", "block5_conv3", 13, 16},
        {"vgg16", "base", "fc2", 15, 16},
        {"cnn-deep", "block1", "block1_norm2", 4, 21},
        {"xception", "block1", "block1_conv2_bn", 4, 81}, /* not block14 */
        {"xception", "block14", "block14_sepconv2_bn", 80, 81},
        {"xception", "base", "block14_sepconv2_bn", 80, 81},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_network *net = build(cases[i].model);
        plan_frozen(net, cases[i].upto, 0);
        pd_frozen frozen = pd_network_frozen(net);
        assert_int_equal(frozen.with_weights, cases[i].with_weights);
        assert_int_equal(frozen.all_with_weights, cases[i].all);
        size_t all, weights = 0;
        pd_network_weights(net, &all);
        for (int j = 0; j < pd_network_tensor_count(net); j++) {
            const pd_tensor *tensor = pd_network_tensor(net, j);
            if (tensor->param->trainable && tensor->layer->index < frozen.layers)
                weights += tensor->size;
        }
        assert_int_equal(frozen.weights, weights);
        assert_int_equal(pd_network_gradient_count(net), all - weights);
        if (cases[i].last != NULL)
            assert_string_equal(pd_network_layer(net, frozen.layers - 1)->name, cases[i].last);
        else
            assert_int_equal(frozen.layers, 0);
        pd_network_destroy(&net);
    }
}

static void wrong_names_are_errors(void **state)
{
    (void)state;
    static const char unknown[] = "the network has no such layer or block";
    static const struct {
        const char *model, *upto, *message, *hint;
    } cases[] = {
        {"vgg16", "blok3", unknown, "did you mean 'block3'?"},
        {"vgg16", "block3_conf2", unknown, "did you mean 'block3_conv2'?"},
        {"vgg16", "bloc", unknown, "did you mean 'block1'?"},
        {"vgg16", "bas", unknown, "did you mean 'base'?"},
        {"vgg16", "features", unknown,
         "it has base, block1, block2, block3, block4, block5, fc1, fc2"},
        {"cnn", "everything", unknown, "it has base, conv1, conv2, conv3, hidden"},
        {"cnn", "predictions", "that leaves no weights to train",
         "'base' freezes all layers but 'predictions'"},
        {"mlp2", "flatten", "the network has no weights there", ""},
        {"dense1", "base", "the network has no weights there", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_network *net = build(cases[i].model);
        assert_int_equal(pd_network_freeze(net, cases[i].upto), PD_OK);
        assert_int_equal(pd_network_plan(net, &plan, 0, true), PD_FAILED);
        const char *message = pd_error_message();
        if (strstr(message, cases[i].message) == NULL || strstr(message, cases[i].hint) == NULL)
            fail_msg("%s: %s", cases[i].upto, message);
        pd_network_destroy(&net);
    }
}

/* --- Groups --- */

static void groups_are_blocks_and_layers(void **state)
{
    (void)state;
    static const struct {
        const char *model, *layer;
        int group; /* from the head */
    } cases[] = {
        {"vgg16", "predictions", 0},
        {"vgg16", "fc2", 1},
        {"vgg16", "fc1", 2},
        {"vgg16", "block5_conv3", 3},
        {"vgg16", "block5_conv1", 3},
        {"vgg16", "block1_conv1", 7},
        {"vgg16", "block5_pool", -1},
        {"cnn", "hidden", 1},
        {"cnn", "conv1", 4},
        {"cnn-deep", "block5_norm2", 1},
        {"cnn-deep", "block1_conv1", 5},
        {"xception", "block14_sepconv2_bn", 1},
        {"xception", "block14_sepconv1", 1},
        {"xception", "block13_sepconv1", 2},
        {"xception", "conv2d_3", 2}, /* shortcuts, of blocks 13 and 2 */
        {"xception", "batch_normalization_3", 2},
        {"xception", "conv2d", 13},
        {"xception", "block1_conv1", 14},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_network *net = build(cases[i].model);
        plan_frozen(net, "", 0);
        int groups[pd_network_layer_count(net)];
        pd_network_groups(net, groups);
        const pd_layer *layer = pd_network_find_layer(net, cases[i].layer);
        assert_non_null(layer);
        assert_int_equal(groups[layer->index], cases[i].group);
        assert_string_equal(pd_network_layer(net, pd_network_head(net))->name, "predictions");
        pd_network_destroy(&net);
    }
}

/* Normalisation belongs to the layer before it, in the head, too. */
static void normalisation_joins_the_layer_before(void **state)
{
    (void)state;
    static const int wanted[] = {1, 1, 0, 0};
    pd_network *net;
    int groups[4];
    assert_int_equal(pd_network_create(&net, (pd_shape){1, 1, 4}), PD_OK);
    int x = pd_network_add(net, "dense", "a", PD_NETWORK_INPUT, (pd_layer_spec){.units = 3});
    x = pd_network_add(net, "batchnorm", "n", x, (pd_layer_spec){0});
    x = pd_network_add(net, "dense", "b", x, (pd_layer_spec){.units = 2});
    pd_network_add(net, "batchnorm", "m", x, (pd_layer_spec){0});
    plan_frozen(net, "base", 0);
    pd_network_groups(net, groups);
    assert_memory_equal(groups, wanted, sizeof wanted);
    assert_int_equal(pd_network_head(net), 2);
    assert_int_equal(pd_network_frozen(net).layers, 2);
    pd_network_destroy(&net);
}

static void blocks_have_names(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"block3_conv1", "block3"},
        {"block12_sepconv1_bn", "block12"},
        {"block_5_expand", "block_5"},
        {"block2a_expand_conv", "block2a"},
        {"base/block6d_add", "base/block6d"},
        {"conv2_block3_1_conv", "conv2_block3"},
        {"block7", "block7"},
        {"block", ""},
        {"blocks_1", ""},
        {"myblock1_conv", ""},
        {"block1abc_conv", ""},
        {"conv2d", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char block[PD_BLOCK_NAME];
        assert_int_equal(pd_groups_block(block, cases[i][0]), cases[i][1][0] != '\0');
        assert_string_equal(block, cases[i][1]);
    }
}

/* --- Gradients --- */

/* A training step of all passes; the gradient of the loss sum of output^2 / 2. Returns the
 * gradient, of `*count` floats, which the caller frees. */
static float *step(pd_network *net, const float *x, size_t sample, size_t *count)
{
    float *gradient;
    *count = pd_network_gradient_count(net);
    assert_int_equal(pd_alloc(&gradient, (size_t)net->subtree_count * *count, sizeof *gradient),
                     PD_OK);
    pd_network_use_gradient(net, gradient);
    for (int pass = 0; pass < pd_network_pass_count(net); pass++) {
        int first, lanes;
        pd_network_pass(net, pass, &first, &lanes);
        const pd_exec exec = {.training = true,
                              .lanes = lanes,
                              .lane_samples = LANE_SAMPLES,
                              .total_lanes = LANES,
                              .first_sample = (int64_t)first * LANE_SAMPLES,
                              .threads = 2,
                              .lane_sum = sum_own_lanes};
        const float *own = x + (size_t)first * LANE_SAMPLES * sample, *y;
        float dy[SAMPLES];
        assert_int_equal(pd_network_forward(net, &exec, own, &y), PD_OK);
        memcpy(dy, y, (size_t)pd_exec_samples(&exec) * sizeof *y);
        assert_int_equal(pd_network_backward(net, &exec, pass, own, dy, NULL, NULL), PD_OK);
    }
    *count *= (size_t)net->subtree_count;
    return gradient;
}

/* A chain of layers [first, end) of `net`, that reads `input`. */
static pd_network *take_layers(const pd_network *net, pd_shape input, int first, int end)
{
    pd_network *out;
    assert_int_equal(pd_network_create(&out, input), PD_OK);
    for (int i = first; i < end; i++) {
        const pd_layer *layer = pd_network_layer(net, i);
        int from[] = {PD_NETWORK_INPUT, PD_NETWORK_INPUT};
        for (int j = 0; j < layer->type->inputs; j++)
            if (pd_network_layer_input(net, i, j) > first)
                from[j] = pd_network_layer_input(net, i, j) - first;
        if (layer->type->inputs == 2)
            pd_network_add2(out, layer->type->name, layer->name, from[0], from[1], layer->spec);
        else
            pd_network_add(out, layer->type->name, layer->name, from[0], layer->spec);
    }
    return out;
}

/* The output of the layers before `end` in inference, which the caller frees. */
static float *infer(const char *model, int end, size_t *sample, pd_shape *shape)
{
    pd_network *whole = build(model), *below = take_layers(whole, pd_network_input(whole), 0, end);
    const pd_exec exec = {.lanes = 1, .lane_samples = SAMPLES, .total_lanes = 1, .threads = 2};
    const float *y;
    float *out;
    assert_int_equal(pd_network_plan(below, &plan, 0, false), PD_OK);
    fill(below);
    assert_int_equal(pd_network_forward(below, &exec, images, &y), PD_OK);
    *shape = pd_network_output(below);
    *sample = pd_shape_size(*shape);
    assert_int_equal(pd_alloc(&out, SAMPLES * *sample, sizeof *out), PD_OK);
    memcpy(out, y, SAMPLES * *sample * sizeof *out);
    pd_network_destroy(&below);
    pd_network_destroy(&whole);
    return out;
}

/* The layers above the frozen ones learn as if they were a network of their own, whose input is
 * what the frozen layers make in inference. Weights and statistics of the frozen layers stay as
 * they are. */
static void others_learn_as_if_alone(void **state)
{
    (void)state;
    static const struct {
        const char *model, *upto;
    } cases[] = {{"cnn", "conv2"},
                 {"cnn", "base"},
                 {"vgg16", "block4"},
                 {"cnn-deep", "block2_conv1"},
                 {"cnn-deep", "block4"},
                 {"cnn-deep", "base"},
                 {"xception", "block14_sepconv1_bn"},
                 {"xception", "base"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_network *net = build(cases[i].model), *whole = build(cases[i].model);
        size_t count, alone_count, sample, weights, states;
        pd_shape shape;
        plan_frozen(net, cases[i].upto, 0);
        fill(net);
        int frozen = pd_network_frozen(net).layers;
        float *x = infer(cases[i].model, frozen, &sample, &shape);
        pd_network *alone = take_layers(whole, shape, frozen, pd_network_layer_count(whole));
        plan_frozen(alone, "", 0);
        fill(alone);
        float *w = pd_network_weights(net, &weights), *s = pd_network_state(net, &states), *before;
        assert_int_equal(pd_alloc(&before, weights + states, sizeof *before), PD_OK);
        memcpy(before, w, weights * sizeof *w);
        memcpy(before + weights, s, states * sizeof *s);

        float *got = step(net, images, SIZE * SIZE, &count);
        float *wanted = step(alone, x, sample, &alone_count);
        assert_int_equal(count, alone_count);
        assert_memory_equal(got, wanted, count * sizeof *got);
        assert_memory_equal(before, w, weights * sizeof *w);
        assert_memory_equal(before + weights, s, pd_network_frozen(net).state * sizeof *s);
        size_t own_states;
        const float *own = pd_network_state(alone, &own_states);
        assert_int_equal(own_states, states - pd_network_frozen(net).state);
        assert_memory_equal(own, s + pd_network_frozen(net).state, own_states * sizeof *s);
        free(got);
        free(wanted);
        free(before);
        free(x);
        pd_network_destroy(&net);
        pd_network_destroy(&alone);
        pd_network_destroy(&whole);
    }
}

/* Without batch normalisation and dropout, freezing changes no gradient of the others. */
static void gradients_equal_the_whole_networks(void **state)
{
    (void)state;
    static const char *const names[] = {"block1_conv1", "block3", "base"};
    size_t all, count;
    pd_network *whole = build("vgg16");
    plan_frozen(whole, "", 0);
    fill(whole);
    float *wanted = step(whole, images, SIZE * SIZE, &all);
    assert_int_equal(whole->subtree_count, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        pd_network *net = build("vgg16");
        plan_frozen(net, names[i], 0);
        fill(net);
        float *got = step(net, images, SIZE * SIZE, &count);
        assert_true(count > 0 && count < all);
        assert_memory_equal(got, wanted + (all - count), count * sizeof *got);
        free(got);
        pd_network_destroy(&net);
    }
    free(wanted);
    pd_network_destroy(&whole);
}

static pd_network *residual_network(const char *upto)
{
    pd_network *net;
    const pd_layer_spec four = {.units = 4, .relu = true};
    assert_int_equal(pd_network_create(&net, (pd_shape){1, 1, SIZE}), PD_OK);
    int a = pd_network_add(net, "dense", "a", PD_NETWORK_INPUT, four);
    int b = pd_network_add(net, "dense", "b", a, four);
    int sum = pd_network_add2(net, "add", "sum", a, b, (pd_layer_spec){0});
    int c = pd_network_add(net, "dense", "c", sum, four);
    int d = pd_network_add(net, "dense", "d", b, four);
    int all = pd_network_add2(net, "add", "all", c, d, (pd_layer_spec){0});
    int last = pd_network_add2(net, "add", "last", all, sum, (pd_layer_spec){0});
    pd_network_add(net, "dense", "head", last, (pd_layer_spec){.units = 1});
    plan_frozen(net, upto, 0);
    fill(net);
    return net;
}

/* The same where several outputs of frozen layers are read above them. */
static void shortcuts_across_the_boundary(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d"};
    size_t all, count;
    pd_network *whole = residual_network("");
    float *wanted = step(whole, images, SIZE, &all);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        pd_network *net = residual_network(names[i]);
        float *got = step(net, images, SIZE, &count);
        assert_true(count > 0 && count < all);
        assert_memory_equal(got, wanted + (all - count), count * sizeof *got);
        free(got);
        pd_network_destroy(&net);
    }
    free(wanted);
    pd_network_destroy(&whole);
}

/* Frozen batch normalisation takes no sums over the lanes, so the lanes may be cut into passes. */
static void passes_do_not_change_bits(void **state)
{
    (void)state;
    static const struct {
        const char *model, *upto;
    } cases[] = {{"cnn", "conv2"}, {"cnn-deep", "base"}, {"xception", "base"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float *wanted = NULL;
        for (int lanes = LANES; lanes > 0; lanes -= 2) {
            pd_network *net = build(cases[i].model);
            size_t count;
            plan_frozen(net, cases[i].upto, lanes);
            fill(net);
            assert_int_equal(pd_network_pass_count(net) > 1, lanes < LANES);
            float *got = step(net, images, SIZE * SIZE, &count);
            if (wanted == NULL) {
                wanted = got;
            } else {
                assert_memory_equal(got, wanted, count * sizeof *got);
                free(got);
            }
            pd_network_destroy(&net);
        }
        free(wanted);
    }
}

/* --- Dropout --- */

/* Dropout between frozen layers is off; that behind the last frozen layer with weights is on. */
static void dropout_between_frozen_layers_is_off(void **state)
{
    (void)state;
    static const struct {
        const char *upto;
        bool dropped;
    } cases[] = {{"", true}, {"a", true}, {"dropout", true}, {"b", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_network *net;
        assert_int_equal(pd_network_create(&net, (pd_shape){1, 1, SIZE}), PD_OK);
        int x = pd_network_add(net, "dense", "a", PD_NETWORK_INPUT, (pd_layer_spec){.units = 9});
        x = pd_network_add(net, "dropout", "dropout", x, (pd_layer_spec){.rate = 0.5f});
        x = pd_network_add(net, "dense", "b", x, (pd_layer_spec){.units = 9});
        pd_network_add(net, "dense", "c", x, (pd_layer_spec){.units = 1});
        plan_frozen(net, cases[i].upto, 0);
        fill(net);
        const pd_exec inference = {
            .lanes = 1, .lane_samples = SAMPLES, .total_lanes = 1, .threads = 1};
        const pd_exec training = {.training = true,
                                  .lanes = LANES,
                                  .lane_samples = LANE_SAMPLES,
                                  .total_lanes = LANES,
                                  .threads = 1,
                                  .lane_sum = sum_own_lanes};
        const float *y;
        float wanted[SAMPLES];
        assert_int_equal(pd_network_forward(net, &inference, images, &y), PD_OK);
        memcpy(wanted, y, sizeof wanted);
        assert_int_equal(pd_network_forward(net, &training, images, &y), PD_OK);
        assert_int_equal(memcmp(wanted, y, sizeof wanted) != 0, cases[i].dropped);
        pd_network_destroy(&net);
    }
}

/* --- Cost --- */

static size_t measure(const char *upto, double *backward_flops)
{
    pd_model_spec spec = {
        .name = "vgg16", .input = {112, 112, 3}, .outputs = 1, .width = 1, .norm_momentum = 0.9};
    /* So many threads that all lanes take one pass, whatever their memory. */
    const pd_plan eight = {.lanes = 8, .lane_samples = 2, .total_lanes = 8, .threads = 8};
    pd_network *net;
    size_t bytes;
    assert_int_equal(pd_model_build(&net, &spec), PD_OK);
    assert_int_equal(pd_network_freeze(net, upto), PD_OK);
    assert_int_equal(pd_network_measure(net, &eight, 0, &bytes), PD_OK);
    *backward_flops = 0;
    for (int i = 0; i < pd_network_layer_count(net); i++) {
        double forward, backward;
        pd_network_flops(net, i, &forward, &backward);
        *backward_flops += backward;
    }
    pd_network_destroy(&net);
    return bytes;
}

static void frozen_layers_cost_no_backward_pass_and_less_memory(void **state)
{
    (void)state;
    double all, some, base;
    size_t whole = measure("", &all), block = measure("block3", &some),
           head = measure("base", &base);
    assert_true(some < 0.5 * all);
    assert_true(base == 2 * 512); /* the gradient of the last layer's kernel */
    assert_true(block < 0.75 * (double)whole);
    assert_true(head < 0.5 * (double)whole);
}

int main(void)
{
    hashed(images, sizeof images / sizeof *images, 77);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_stand_for_layers),
        cmocka_unit_test(wrong_names_are_errors),
        cmocka_unit_test(groups_are_blocks_and_layers),
        cmocka_unit_test(normalisation_joins_the_layer_before),
        cmocka_unit_test(blocks_have_names),
        cmocka_unit_test(others_learn_as_if_alone),
        cmocka_unit_test(gradients_equal_the_whole_networks),
        cmocka_unit_test(shortcuts_across_the_boundary),
        cmocka_unit_test(passes_do_not_change_bits),
        cmocka_unit_test(dropout_between_frozen_layers_is_off),
        cmocka_unit_test(frozen_layers_cost_no_backward_pass_and_less_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
