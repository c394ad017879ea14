/* Networks: loss and every gradient of one step against PyTorch in double precision, and in
 * bfloat16 against its autocast; the same bits for any number of threads; buffers that share
 * memory; errors of building. */
#include "nn/network_internal.h"
#include "pneumo/base/memory.h"
#include "pneumo/nn/loss.h"
#include "pneumo/nn/model.h"

#include "golden/hashed.h"
#include "golden/networks.h"
#include "pneumo/kernels/tree.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LANES = 3, LANE_SAMPLES = GOLDEN_BATCH / LANES };

static void fill_weights(pd_network *net)
{
    for (int i = 0; i < pd_network_tensor_count(net); i++) {
        const pd_tensor *tensor = pd_network_tensor(net, i);
        const pd_param *param = tensor->param;
        if (!param->trainable)
            continue;
        hashed(param->value, tensor->size, (uint32_t)i + 1);
        bool gamma = strcmp(param->name, "gamma") == 0;
        bool kernel = param->decays;
        float scale = kernel ? (float)sqrt(6.0 / (double)param->fan_in) : 0.25f;
        for (size_t j = 0; j < tensor->size; j++)
            param->value[j] = (gamma ? 1.0f : 0.0f) + param->value[j] * scale;
    }
}

static pd_status sum_own_lanes(void *context, double *parts, size_t count, double *total)
{
    (void)context;
    pd_tree_fold_doubles(LANES, parts, count, total);
    return PD_OK;
}

/* Gives the network memory for its gradient, which the caller frees with destroy. */
static void make_gradient(pd_network *net)
{
    float *gradient;
    size_t floats = (size_t)net->subtree_count * net->weight_count;
    assert_int_equal(pd_alloc(&gradient, floats, sizeof *gradient), PD_OK);
    pd_network_use_gradient(net, gradient);
}

static void destroy(pd_network **net)
{
    free((*net)->gradient);
    pd_network_destroy(net);
}

static pd_network *build_with(pd_precision precision, pd_recompute recompute,
                              const golden_network *golden, int threads)
{
    pd_model_spec spec = {.input = {golden->size, golden->size, golden->channels},
                          .outputs = golden->outputs,
                          .hidden = 24,
                          .width = golden->width,
                          .head = golden->head,
                          .normalise = golden->normalise,
                          .norm_momentum = 0.9f};
    snprintf(spec.name, sizeof spec.name, "%s", golden->model);
    const pd_plan plan = {
        .lanes = LANES, .lane_samples = LANE_SAMPLES, .total_lanes = LANES, .threads = threads};
    pd_network *net;
    assert_int_equal(pd_model_build(&net, &spec), PD_OK);
    pd_network_set_precision(net, precision);
    pd_network_set_recompute(net, recompute);
    pd_status status = pd_network_plan(net, &plan, 0, true);
    if (status != PD_OK)
        print_error("%s\n", pd_error_message());
    assert_int_equal(status, PD_OK);
    make_gradient(net);
    fill_weights(net);
    return net;
}

static pd_network *build_as(pd_precision precision, const golden_network *golden, int threads)
{
    return build_with(precision, PD_RECOMPUTE_AUTO, golden, threads);
}

static pd_network *build(const golden_network *golden, int threads)
{
    return build_as(PD_FLOAT32, golden, threads);
}

static const golden_network *find(const char *model)
{
    const golden_network *golden = golden_networks;
    while (strcmp(golden->model, model) != 0)
        golden++;
    return golden;
}

/* One step on the golden batch; the gradient is in net->gradient. */
static double step(pd_network *net, int outputs, bool weighted, int threads)
{
    static float x[GOLDEN_BATCH * GOLDEN_SIZE_MAX * GOLDEN_SIZE_MAX * 3];
    float dlogits[GOLDEN_BATCH * 3], targets[GOLDEN_BATCH], weights[GOLDEN_BATCH];
    int32_t labels[GOLDEN_BATCH];
    double losses[LANES], loss;
    hashed(x, sizeof x / sizeof *x, 1000);
    for (int i = 0; i < GOLDEN_BATCH; i++) {
        targets[i] = (float)(i % 2);
        labels[i] = i % outputs;
        weights[i] = weighted ? 0.5f + 0.5f * (float)(i % 2) : 1.0f;
    }
    const pd_exec exec = {.training = true,
                          .lanes = LANES,
                          .lane_samples = LANE_SAMPLES,
                          .total_lanes = LANES,
                          .threads = threads,
                          .lane_sum = sum_own_lanes};
    const float *logits;
    assert_int_equal(pd_network_forward(net, &exec, x, &logits), PD_OK);
    const pd_loss_batch batch = {.lanes = LANES,
                                 .lane_samples = LANE_SAMPLES,
                                 .outputs = outputs,
                                 .logits = logits,
                                 .targets = targets,
                                 .labels = labels,
                                 .weights = weights,
                                 .smoothing = 0.1,
                                 .scale = 1.0 / GOLDEN_BATCH,
                                 .dlogits = dlogits,
                                 .lane_losses = losses};
    if (outputs == 1)
        pd_loss_binary(&batch);
    else
        pd_loss_softmax(&batch);
    assert_int_equal(pd_network_backward(net, &exec, 0, x, dlogits, NULL, NULL), PD_OK);
    pd_tree_fold_doubles(LANES, losses, 1, &loss);
    return loss;
}

/* Compares one gradient; the tolerance is relative to the gradient's norm. */
static void check_tensor(const pd_tensor *tensor, const golden_tensor *golden,
                         const float *gradient, uint32_t number)
{
    char name[64];
    snprintf(name, sizeof name, "%s/%s", tensor->layer->name, tensor->param->name);
    assert_string_equal(name, golden->name);
    assert_int_equal(tensor->size, golden->size);
    float *mask;
    assert_int_equal(pd_alloc(&mask, tensor->size, sizeof *mask), PD_OK);
    hashed(mask, tensor->size, 2000 + number);
    double square = 0, dot = 0;
    for (size_t i = 0; i < tensor->size; i++) {
        square += (double)gradient[i] * (double)gradient[i];
        dot += (double)gradient[i] * (double)mask[i];
    }
    free(mask);
    double tolerance = 2e-5 * golden->norm + 1e-7;
    bool close =
        fabs(sqrt(square) - golden->norm) <= tolerance && fabs(dot - golden->dot) <= tolerance;
    for (size_t i = 0; i < GOLDEN_SAMPLES && i < tensor->size; i++)
        close = close && fabs((double)gradient[i] - golden->first[i]) <= tolerance;
    if (!close)
        print_error("%s: norm %.9g and dot %.9g, expected %.9g and %.9g\n", name, sqrt(square), dot,
                    golden->norm, golden->dot);
    assert_true(close);
}

static void a_step_equals_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden_networks / sizeof *golden_networks; i++) {
        const golden_network *golden = &golden_networks[i];
        pd_network *net = build(golden, 2);
        double loss = step(net, golden->outputs, golden->weighted, 2);
        if (!(fabs(loss - golden->loss) < 1e-5 * golden->loss))
            print_error("%s: loss %.9g, expected %.9g\n", golden->model, loss, golden->loss);
        assert_true(fabs(loss - golden->loss) < 1e-5 * golden->loss);
        int trainable = 0;
        assert_int_equal(net->subtree_count, 1);
        for (int j = 0; j < pd_network_tensor_count(net); j++) {
            const pd_tensor *tensor = pd_network_tensor(net, j);
            if (!tensor->param->trainable)
                continue;
            check_tensor(tensor, &golden->tensor[trainable], net->gradient + tensor->offset,
                         (uint32_t)trainable);
            trainable++;
        }
        assert_int_equal(trainable, golden->tensors);
        destroy(&net);
        assert_null(net);
    }
}

/* The cosine of the angle between two vectors. */
static double cosine(const float *a, const float *b, size_t count)
{
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return dot / sqrt(aa * bb);
}

/* Forward, and backward of dlogits that do not cancel, as those of similar samples do. */
static void run_hashed(pd_network *net, int outputs, float *logits)
{
    static float x[GOLDEN_BATCH * GOLDEN_SIZE_MAX * GOLDEN_SIZE_MAX * 3];
    float dlogits[GOLDEN_BATCH * 3];
    const float *y;
    hashed(x, sizeof x / sizeof *x, 1000);
    hashed(dlogits, sizeof dlogits / sizeof *dlogits, 1001);
    const pd_exec exec = {.training = true,
                          .lanes = LANES,
                          .lane_samples = LANE_SAMPLES,
                          .total_lanes = LANES,
                          .threads = 2,
                          .lane_sum = sum_own_lanes};
    assert_int_equal(pd_network_forward(net, &exec, x, &y), PD_OK);
    memcpy(logits, y, (size_t)(GOLDEN_BATCH * outputs) * sizeof *y);
    assert_int_equal(pd_network_backward(net, &exec, 0, x, dlogits, NULL, NULL), PD_OK);
}

/* Logits and gradients are as far from those in floats as with PyTorch's autocast to bfloat16. The
 * gradients differ more than by rounding: with so few samples, the ReLUs whose input changes sign
 * count. */
static void a_step_in_bf16_is_as_exact_as_autocast(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden_networks / sizeof *golden_networks; i++) {
        const golden_network *golden = &golden_networks[i];
        pd_network *floats = build(golden, 2), *rounded = build_as(PD_BF16, golden, 2);
        float want[GOLDEN_BATCH * 3], got[GOLDEN_BATCH * 3];
        size_t count;
        pd_network_weights(floats, &count);
        run_hashed(floats, golden->outputs, want);
        run_hashed(rounded, golden->outputs, got);
        double logits = 1 - cosine(got, want, (size_t)(GOLDEN_BATCH * golden->outputs));
        double gradient = 1 - cosine(rounded->gradient, floats->gradient, count);
        if (logits > 1.3 * golden->autocast_logits + 2e-5 ||
            gradient > 1.3 * golden->autocast_gradient + 1e-3)
            fail_msg("%s: 1 minus the cosine is %g for the logits and %g for the gradient, and "
                     "%g and %g with autocast",
                     golden->model, logits, gradient, golden->autocast_logits,
                     golden->autocast_gradient);
        destroy(&floats);
        destroy(&rounded);
    }
}

/* Bytes of Xception for a batch of 8 images of that size. */
static size_t xception_bytes(int size, pd_recompute recompute)
{
    const pd_model_spec spec = {
        .name = "xception", .input = {size, size, 3}, .outputs = 1, .width = 1};
    const pd_plan plan = {.lanes = 8, .lane_samples = 1, .total_lanes = 8, .threads = 2};
    pd_network *net;
    size_t bytes;
    assert_int_equal(pd_model_build(&net, &spec), PD_OK);
    pd_network_set_recompute(net, recompute);
    assert_int_equal(pd_network_measure(net, &plan, 0, &bytes), PD_OK);
    pd_network_destroy(&net);
    return bytes;
}

/* Outputs that are computed again have the same bits, and take less memory. */
static void recomputing_changes_no_bits(void **state)
{
    (void)state;
    static const char *const models[] = {"cnn-deep", "xception"};
    for (int i = 0; i < 4; i++) {
        const golden_network *golden = find(models[i % 2]);
        const pd_precision precision = i < 2 ? PD_FLOAT32 : PD_BF16;
        size_t count;
        pd_network *kept = build_with(precision, PD_RECOMPUTE_NO, golden, 2);
        pd_network *again = build_with(precision, PD_RECOMPUTE_YES, golden, 2);
        pd_network_weights(kept, &count);
        assert_true(step(kept, 1, false, 2) == step(again, 1, false, 2));
        assert_memory_equal(kept->gradient, again->gradient, count * sizeof *kept->gradient);
        /* A second step starts from what the first left in the buffers. */
        assert_true(step(kept, 1, false, 2) == step(again, 1, false, 2));
        assert_memory_equal(kept->gradient, again->gradient, count * sizeof *kept->gradient);
        destroy(&kept);
        destroy(&again);
    }
    for (int size = 64; size <= 224; size += 160) {
        size_t kept = xception_bytes(size, PD_RECOMPUTE_NO);
        size_t again = xception_bytes(size, PD_RECOMPUTE_YES);
        assert_true(again < kept);
        assert_int_equal(xception_bytes(size, PD_RECOMPUTE_AUTO), size == 64 ? kept : again);
    }
}

/* Layers that take no bfloat16 work on copies: of inputs, of outputs, and of their gradients. */
static void layers_of_floats_work_in_bf16(void **state)
{
    (void)state;
    const pd_plan plan = {.lanes = 1, .lane_samples = 2, .total_lanes = 1, .threads = 2};
    const pd_exec exec = {.training = true,
                          .lanes = 1,
                          .lane_samples = 2,
                          .total_lanes = 1,
                          .threads = 2,
                          .lane_sum = sum_own_lanes};
    float x[2 * 5 * 4 * 3], y[2][4], gradient[2][1000];
    size_t count = 0;
    for (int precision = 0; precision < PD_PRECISIONS; precision++) {
        pd_network *net;
        assert_int_equal(pd_network_create(&net, (pd_shape){5, 4, 3}), PD_OK);
        pd_network_set_precision(net, (pd_precision)precision);
        int elu = pd_network_add(net, "elu", "elu", PD_NETWORK_INPUT, (pd_layer_spec){.alpha = 1});
        int conv = pd_network_add(net, "conv", "conv", elu,
                                  (pd_layer_spec){.units = 4, .kernel_h = 3, .kernel_w = 3});
        int sigmoid = pd_network_add(net, "sigmoid", "sigmoid", conv, (pd_layer_spec){0});
        int both = pd_network_add2(net, "concat", "both", conv, sigmoid, (pd_layer_spec){0});
        int pool = pd_network_add(net, "avgpool", "pool", both,
                                  (pd_layer_spec){.kernel_h = 2, .kernel_w = 2});
        int dense =
            pd_network_add(net, "dense", "dense", pool, (pd_layer_spec){.units = 6, .relu = true});
        pd_network_add(net, "dense", "out", dense, (pd_layer_spec){.units = 2});
        assert_int_equal(pd_network_plan(net, &plan, 0, true), PD_OK);
        fill_weights(net);
        pd_network_weights(net, &count);
        assert_true(count <= sizeof gradient[0] / sizeof *gradient[0]);
        pd_network_use_gradient(net, gradient[precision]);
        hashed(x, sizeof x / sizeof *x, 1000);
        const float *out;
        float dy[] = {1, -1, 0.5f, 2};
        assert_int_equal(pd_network_forward(net, &exec, x, &out), PD_OK);
        memcpy(y[precision], out, sizeof y[precision]);
        assert_int_equal(pd_network_backward(net, &exec, 0, x, dy, NULL, NULL), PD_OK);
        net->gradient = NULL;
        pd_network_destroy(&net);
    }
    for (int i = 0; i < 4; i++)
        assert_true(fabsf(y[1][i] - y[0][i]) < 0.02f);
    assert_memory_not_equal(y[0], y[1], sizeof y[0]);
    assert_true(cosine(gradient[0], gradient[1], count) > 0.999);
}

static void assert_threads_change_no_bits(pd_precision precision, const char *model, int most)
{
    const golden_network *golden = find(model);
    size_t count;
    pd_network *one = build_as(precision, golden, 1);
    pd_network_weights(one, &count);
    double loss = step(one, 1, false, 1);
    for (int threads = 2; threads <= most; threads++) {
        pd_network *more = build_as(precision, golden, threads);
        assert_true(step(more, 1, false, threads) == loss);
        assert_memory_equal(more->gradient, one->gradient, count * sizeof *one->gradient);
        destroy(&more);
    }
    destroy(&one);
}

static void threads_change_no_bits(void **state)
{
    (void)state;
    for (int i = 0; i < PD_PRECISIONS; i++) {
        assert_threads_change_no_bits((pd_precision)i, "cnn-deep", 3);
        assert_threads_change_no_bits((pd_precision)i, "vgg19", 2);
        assert_threads_change_no_bits((pd_precision)i, "xception", 2);
    }
}

/* Weights and moving statistics before the last layer, as Keras counts them in its applications. */
static size_t base_parameters(const char *model, pd_network **net)
{
    pd_model_spec spec = {.input = {32, 32, 3}, .outputs = 1, .width = 1, .norm_momentum = 0.9f};
    snprintf(spec.name, sizeof spec.name, "%s", model);
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 2};
    assert_int_equal(pd_model_build(net, &spec), PD_OK);
    assert_int_equal(pd_network_plan(*net, &plan, 0, false), PD_OK);
    size_t count = 0;
    for (int i = 0; i < pd_network_tensor_count(*net); i++) {
        const pd_tensor *tensor = pd_network_tensor(*net, i);
        if (strcmp(tensor->layer->name, "predictions") != 0)
            count += tensor->size;
    }
    return count;
}

static const pd_tensor *tensor_of(pd_network *net, const char *layer)
{
    for (int i = 0; i < pd_network_tensor_count(net); i++)
        if (strcmp(pd_network_tensor(net, i)->layer->name, layer) == 0)
            return pd_network_tensor(net, i);
    fail_msg("layer '%s' has no weights", layer);
    return NULL;
}

static void published_models_have_the_published_sizes(void **state)
{
    (void)state;
    pd_network *net;
    assert_int_equal(base_parameters("vgg16", &net), 14714688);
    assert_int_equal(tensor_of(net, "block5_conv3")->size, 9 * 512 * 512);
    pd_network_destroy(&net);
    assert_int_equal(base_parameters("vgg19", &net), 20024384);
    assert_int_equal(tensor_of(net, "block5_conv4")->size, 9 * 512 * 512);
    pd_network_destroy(&net);
    assert_int_equal(base_parameters("xception", &net), 20861480);
    /* The layers that have no name of their own in Keras. */
    assert_int_equal(tensor_of(net, "conv2d")->size, 64 * 128);
    assert_int_equal(tensor_of(net, "conv2d_3")->size, 728 * 1024);
    assert_int_equal(tensor_of(net, "batch_normalization_3")->size, 1024);
    assert_int_equal(tensor_of(net, "block14_sepconv2_bn")->size, 2048);
    pd_network_destroy(&net);
}

static void weights_come_from_the_seed(void **state)
{
    (void)state;
    size_t count;
    pd_network *a = build(find("cnn-deep"), 1), *b = build(find("cnn-deep"), 1);
    pd_network_initialise(a, 1);
    pd_network_initialise(b, 1);
    float *wa = pd_network_weights(a, &count), *wb = pd_network_weights(b, &count);
    assert_memory_equal(wa, wb, count * sizeof(float));
    /* He's deviation, of the first convolution that has many weights. */
    const pd_tensor *kernel = NULL;
    for (int i = 0; kernel == NULL; i++)
        if (pd_network_tensor(a, i)->size > 10000)
            kernel = pd_network_tensor(a, i);
    double square = 0;
    for (size_t i = 0; i < kernel->size; i++)
        square += (double)kernel->param->value[i] * (double)kernel->param->value[i];
    double deviation = sqrt(square / (double)kernel->size);
    assert_true(fabs(deviation / sqrt(2.0 / kernel->param->fan_in) - 1) < 0.03);
    pd_network_initialise(b, 2);
    assert_memory_not_equal(wa, wb, count * sizeof(float));
    destroy(&a);
    destroy(&b);
}

/* The gradient of a node is the sum over its readers, also if one layer reads it twice. */
static void shared_nodes_add_their_gradients(void **state)
{
    (void)state;
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};
    pd_network *net;
    assert_int_equal(pd_network_create(&net, (pd_shape){1, 1, 2}), PD_OK);
    int a = pd_network_add(net, "dense", "a", PD_NETWORK_INPUT, (pd_layer_spec){.units = 2});
    int b = pd_network_add(net, "relu", "b", a, (pd_layer_spec){0});
    int c = pd_network_add2(net, "add", "c", a, b, (pd_layer_spec){0});
    pd_network_add2(net, "add", "d", c, c, (pd_layer_spec){0});
    assert_int_equal(pd_network_plan(net, &plan, 0, true), PD_OK);
    float gradient[6];
    size_t count;
    float *w = pd_network_weights(net, &count);
    assert_int_equal(count, 6);
    memcpy(w, (const float[]){1, 0, 0, 1, 0, 0}, 6 * sizeof *w);
    const float x[] = {3, -2}, *y;
    float dy[] = {1, 1};
    const pd_exec exec = {.training = true,
                          .lanes = 1,
                          .lane_samples = 1,
                          .total_lanes = 1,
                          .threads = 1,
                          .lane_sum = sum_own_lanes};
    assert_int_equal(pd_network_forward(net, &exec, x, &y), PD_OK);
    assert_true(y[0] == 12 && y[1] == -4);
    assert_int_equal(pd_network_backward(net, &exec, 0, x, dy, NULL, NULL), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "pd_network_use_gradient"));
    pd_network_use_gradient(net, gradient);
    assert_int_equal(pd_network_backward(net, &exec, 0, x, dy, NULL, NULL), PD_OK);
    assert_true(gradient[4] == 4 && gradient[5] == 2); /* of the bias: 2 (1 + relu') */
    pd_network_destroy(&net);
}

static void building_errors_name_the_layer(void **state)
{
    (void)state;
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};
    static const struct {
        const char *type, *name, *message;
    } cases[] = {
        {"nonsense", "x", "layer 'x': unknown layer type"},
        {"add", "x", "layer 'x': wrong number of inputs"},
        {"relu", "first", "layer 'first': duplicate name"},
        {"dense", "x", "layer 'x': 0 units; give at least 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_network *net;
        assert_int_equal(pd_network_create(&net, (pd_shape){4, 4, 1}), PD_OK);
        int x = pd_network_add(net, "relu", "first", PD_NETWORK_INPUT, (pd_layer_spec){0});
        x = pd_network_add(net, cases[i].type, cases[i].name, x, (pd_layer_spec){0});
        pd_network_add(net, "flatten", "end", x, (pd_layer_spec){0});
        assert_int_equal(pd_network_plan(net, &plan, 0, false), PD_FAILED);
        assert_string_equal(pd_error_message(), cases[i].message);
        pd_network_destroy(&net);
    }
    pd_network *net;
    const pd_model_spec spec = {.name = "vgg61", .input = {32, 32, 1}, .outputs = 1};
    assert_int_equal(pd_model_build(&net, &spec), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "model 'vgg61' is unknown; models are dense1"));
    assert_null(net);
}

/* Two branches that meet, and a layer after them. */
static pd_network *build_branches(void)
{
    pd_network *net;
    const pd_layer_spec conv = {.units = 2, .kernel_h = 1, .kernel_w = 1};
    assert_int_equal(pd_network_create(&net, (pd_shape){4, 4, 1}), PD_OK);
    int a = pd_network_add(net, "conv", "a", PD_NETWORK_INPUT, conv);
    int b = pd_network_add(net, "conv", "b", PD_NETWORK_INPUT, conv);
    int c = pd_network_add(net, "batchnorm", "c", b, (pd_layer_spec){.relu = true});
    int sum = pd_network_add2(net, "add", "sum", a, c, (pd_layer_spec){0});
    pd_network_add(net, "flatten", "end", sum, (pd_layer_spec){0});
    return net;
}

static void cutting_keeps_what_the_new_output_depends_on(void **state)
{
    (void)state;
    static const struct {
        int node, count;
        const char *names[4];
    } cases[] = {{4, 4, {"a", "b", "c", "sum"}}, {3, 2, {"b", "c"}}, {1, 1, {"a"}}, {0, 0, {NULL}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_network *net = build_branches();
        assert_int_equal(pd_network_cut(net, cases[i].node), PD_OK);
        assert_int_equal(pd_network_layer_count(net), cases[i].count);
        for (int j = 0; j < cases[i].count; j++) {
            assert_string_equal(pd_network_layer(net, j)->name, cases[i].names[j]);
            assert_int_equal(pd_network_layer(net, j)->index, j);
            assert_ptr_equal(pd_network_find_layer(net, cases[i].names[j]),
                             pd_network_layer(net, j));
        }
        assert_int_equal(pd_network_find_layer(net, "sum") != NULL, i == 0);
        if (i == 0) {
            assert_int_equal(pd_network_layer_input(net, 3, 0), 1);
            assert_int_equal(pd_network_layer_input(net, 3, 1), 3);
        }
        if (i == 1)
            assert_int_equal(pd_network_layer_input(net, 1, 0), 1);
        pd_network_destroy(&net);
    }
}

/* Also when it is made after planning: both stages of fine-tuning store activations alike. */
static void a_copy_is_stored_as_the_original(void **state)
{
    (void)state;
    const pd_plan plan = {.lanes = 2, .lane_samples = 2, .total_lanes = 2, .threads = 1};
    pd_model_spec spec = {
        .name = "xception", .input = {48, 48, 1}, .outputs = 1, .width = 0.1, .norm_momentum = 0.9};
    size_t bytes[PD_PRECISIONS][PD_RECOMPUTES];
    for (int precision = 0; precision < PD_PRECISIONS; precision++)
        for (int recompute = 0; recompute < PD_RECOMPUTES; recompute++) {
            pd_network *net, *copy;
            assert_int_equal(pd_model_build(&net, &spec), PD_OK);
            pd_network_set_precision(net, (pd_precision)precision);
            pd_network_set_recompute(net, (pd_recompute)recompute);
            assert_int_equal(pd_network_plan(net, &plan, 0, true), PD_OK);
            bytes[precision][recompute] = pd_arena_bytes(net->arena);
            assert_int_equal(pd_network_copy(&copy, net), PD_OK);
            assert_int_equal(pd_network_plan(copy, &plan, 0, true), PD_OK);
            assert_int_equal(copy->precision, precision);
            assert_int_equal(copy->recompute, recompute);
            assert_int_equal(pd_arena_bytes(copy->arena), bytes[precision][recompute]);
            pd_network_destroy(&net);
            pd_network_destroy(&copy);
        }
    assert_true(bytes[PD_BF16][PD_RECOMPUTE_NO] < bytes[PD_FLOAT32][PD_RECOMPUTE_NO]);
    assert_true(bytes[PD_FLOAT32][PD_RECOMPUTE_YES] < bytes[PD_FLOAT32][PD_RECOMPUTE_NO]);
}

/* Fusing moves ReLUs; the copy of a fused network is fused in the same way. */
static void a_copy_is_planned_as_the_original(void **state)
{
    (void)state;
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};
    pd_model_spec spec = {
        .name = "vgg16", .input = {32, 32, 1}, .outputs = 1, .width = 0.1, .norm_momentum = 0.9};
    pd_network *net, *copy;
    int moved = 0;
    assert_int_equal(pd_model_build(&net, &spec), PD_OK);
    assert_int_equal(pd_network_plan(net, &plan, 0, true), PD_OK);
    assert_int_equal(pd_network_copy(&copy, net), PD_OK);
    for (int i = 0; i < pd_network_layer_count(copy); i++)
        assert_int_equal(pd_network_layer(copy, i)->spec.relu,
                         pd_layer_built_relu(pd_network_layer(net, i)));
    assert_int_equal(pd_network_plan(copy, &plan, 0, true), PD_OK);
    assert_int_equal(pd_network_layer_count(copy), pd_network_layer_count(net));
    for (int i = 0; i < pd_network_layer_count(copy); i++) {
        const pd_layer *a = pd_network_layer(copy, i), *b = pd_network_layer(net, i);
        moved += b->relu_moved;
        assert_string_equal(a->name, b->name);
        assert_ptr_equal(a->type, b->type);
        assert_memory_equal(&a->spec, &b->spec, sizeof a->spec);
        assert_int_equal(a->relu_moved, b->relu_moved);
        for (int j = 0; j < a->type->inputs; j++)
            assert_int_equal(pd_network_layer_input(copy, i, j), pd_network_layer_input(net, i, j));
    }
    assert_true(moved > 0);
    pd_network_destroy(&net);
    pd_network_destroy(&copy);
}

/* Buffers in use at the same time do not overlap; others share memory. */
static void the_arena_keeps_buffers_in_use_apart(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    int handles[COUNT], begin[COUNT], end[COUNT];
    size_t bytes[COUNT], sum = 0;
    pd_arena *arena;
    assert_int_equal(pd_arena_create(&arena), PD_OK);
    for (int i = 0; i < COUNT; i++) {
        begin[i] = i * 7 % 40;
        end[i] = begin[i] + i % 9;
        bytes[i] = (size_t)(1000 + i * 37 % 500);
        sum += bytes[i];
        assert_int_equal(pd_arena_add(arena, bytes[i], begin[i], end[i], &handles[i]), PD_OK);
    }
    assert_int_equal(pd_arena_lay_out(arena), PD_OK);
    assert_int_equal(pd_arena_place(arena, 0), PD_OK);
    assert_true(pd_arena_bytes(arena) < sum / 2);
    for (int i = 0; i < COUNT; i++) {
        char *a = pd_arena_at(arena, handles[i]);
        assert_int_equal((uintptr_t)a % 64, 0);
        for (int j = 0; j < i; j++) {
            char *b = pd_arena_at(arena, handles[j]);
            bool together = begin[i] <= end[j] && begin[j] <= end[i];
            if (together)
                assert_true(a + bytes[i] <= b || b + bytes[j] <= a);
        }
    }
    pd_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_equals_pytorch),
        cmocka_unit_test(a_step_in_bf16_is_as_exact_as_autocast),
        cmocka_unit_test(recomputing_changes_no_bits),
        cmocka_unit_test(layers_of_floats_work_in_bf16),
        cmocka_unit_test(threads_change_no_bits),
        cmocka_unit_test(published_models_have_the_published_sizes),
        cmocka_unit_test(weights_come_from_the_seed),
        cmocka_unit_test(shared_nodes_add_their_gradients),
        cmocka_unit_test(building_errors_name_the_layer),
        cmocka_unit_test(cutting_keeps_what_the_new_output_depends_on),
        cmocka_unit_test(a_copy_is_stored_as_the_original),
        cmocka_unit_test(a_copy_is_planned_as_the_original),
        cmocka_unit_test(the_arena_keeps_buffers_in_use_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
