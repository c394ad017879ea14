/* Inference in slices: the same bits as layer by layer with all threads, for any number of samples
 * and threads, of networks planned for inference or for training; memory; errors. */
#include "nn/network_internal.h"
#include "nn/network_slices.h"
#include "pneumo/base/memory.h"
#include "pneumo/nn/model.h"

#include "golden/hashed.h"
#include "golden/hashed_weights.h"
#include "golden/networks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LANES = 3, LANE_SAMPLES = 3, SAMPLES = LANES * LANE_SAMPLES, OUTPUTS_MAX = 3 };

static float images[SAMPLES * GOLDEN_SIZE_MAX * GOLDEN_SIZE_MAX * 3];

static pd_network *build(const golden_network *golden, pd_precision precision, int threads,
                         bool training)
{
    pd_model_spec spec = {.input = {golden->size, golden->size, golden->channels},
                          .outputs = golden->outputs,
                          .hidden = 24,
                          .width = golden->width,
                          .head = golden->head,
                          .normalise = golden->normalise,
                          .dropout = 0.5f,
                          .norm_momentum = 0.9f};
    snprintf(spec.name, sizeof spec.name, "%s", golden->model);
    const pd_plan plan = {.lanes = training ? LANES : 1,
                          .lane_samples = training ? LANE_SAMPLES : SAMPLES,
                          .total_lanes = training ? LANES : 1,
                          .threads = threads};
    pd_network *net;
    assert_int_equal(pd_model_build(&net, &spec), PD_OK);
    pd_network_set_precision(net, precision);
    assert_int_equal(pd_network_plan(net, &plan, 0, training), PD_OK);
    return net;
}

static pd_exec exec_of(int samples, int threads)
{
    return (pd_exec){.lanes = 1, .lane_samples = samples, .total_lanes = 1, .threads = threads};
}

/* The outputs of all samples, one at a time, layer by layer with all threads. */
static void infer_together(pd_network *net, int threads, float *out)
{
    size_t sample = pd_shape_size(pd_network_input(net)),
           outputs = pd_shape_size(pd_network_output(net));
    pd_exec exec = exec_of(1, threads);
    const float *y;
    exec.keeps = true;
    for (size_t i = 0; i < SAMPLES; i++) {
        assert_false(pd_slices_take(net, &exec));
        assert_int_equal(pd_network_forward(net, &exec, images + i * sample, &y), PD_OK);
        memcpy(out + i * outputs, y, outputs * sizeof *y);
    }
}

/* By OpenMP's threads, and by a crew. */
static void assert_slices_change_no_bits(const golden_network *golden, pd_precision precision,
                                         int threads, bool training)
{
    pd_crew *crew;
    assert_int_equal(pd_crew_create(&crew, threads), PD_OK);
    float together[SAMPLES * OUTPUTS_MAX];
    pd_network *net = build(golden, precision, threads, training);
    size_t outputs = pd_shape_size(pd_network_output(net));
    fill_weights(net); /* after planning: slices share the weights */
    infer_together(net, threads, together);
    for (int samples = 1; samples <= SAMPLES; samples += samples < 3 ? 1 : 3) {
        pd_exec exec = exec_of(samples, threads);
        const float *y;
        if (!training)
            assert_int_equal(pd_slices_take(net, &exec), samples >= threads);
        assert_int_equal(pd_network_forward(net, &exec, images, &y), PD_OK);
        assert_memory_equal(y, together, (size_t)samples * outputs * sizeof *y);
        exec.crew = crew;
        assert_int_equal(pd_network_forward(net, &exec, images, &y), PD_OK);
        assert_memory_equal(y, together, (size_t)samples * outputs * sizeof *y);
    }
    pd_crew_destroy(&crew);
    pd_network_destroy(&net);
}

static void slices_change_no_bits(void **state)
{
    (void)state;
    static const int threads[] = {1, 3};
    for (size_t i = 0; i < sizeof golden_networks / sizeof *golden_networks; i++)
        for (int precision = 0; precision < PD_PRECISIONS; precision++)
            for (size_t t = 0; t < sizeof threads / sizeof *threads; t++)
                for (int training = 0; training < 2; training++)
                    assert_slices_change_no_bits(&golden_networks[i], (pd_precision)precision,
                                                 threads[t], training);
}

/* So much is prepared that each slice does it for itself, for two samples. */
static void slices_of_large_networks_change_no_bits(void **state)
{
    (void)state;
    enum { MOST = 5, THREADS = 2 };
    pd_model_spec spec = {
        .name = "vgg16", .input = {112, 112, 1}, .outputs = 1, .width = 1, .norm_momentum = 0.9};
    const pd_plan plan = {.lanes = 1, .lane_samples = MOST, .total_lanes = 1, .threads = THREADS};
    size_t sample = 112 * 112;
    float together[MOST], *x;
    const float *y;
    pd_network *net;
    assert_int_equal(pd_model_build(&net, &spec), PD_OK);
    assert_int_equal(pd_network_plan(net, &plan, 0, false), PD_OK);
    assert_false(net->slices.networks[0]->is_given_prepared);
    assert_int_equal(net->slices.each, 2);
    assert_int_equal(pd_alloc(&x, MOST * sample, sizeof *x), PD_OK);
    hashed(x, MOST * sample, 2000);
    fill_weights(net);
    pd_exec exec = exec_of(1, THREADS);
    exec.keeps = true;
    for (size_t i = 0; i < MOST; i++) {
        assert_int_equal(pd_network_forward(net, &exec, x + i * sample, &y), PD_OK);
        together[i] = y[0];
    }
    for (int samples = 2; samples <= MOST; samples++) {
        exec = exec_of(samples, THREADS);
        assert_true(pd_slices_take(net, &exec));
        assert_int_equal(pd_network_forward(net, &exec, x, &y), PD_OK);
        assert_memory_equal(y, together, (size_t)samples * sizeof *y);
    }
    free(x);
    pd_network_destroy(&net);
}

/* The memory of inference does not grow with the number of samples, and that of training does not
 * grow for validation. */
static void slices_take_little_memory(void **state)
{
    (void)state;
    pd_model_spec spec = {
        .name = "cnn-deep", .input = {112, 112, 1}, .outputs = 1, .width = 1, .norm_momentum = 0.9};
    size_t bytes[2];
    for (int i = 0; i < 2; i++) {
        const pd_plan plan = {
            .lanes = 1, .lane_samples = i == 0 ? 4 : 64, .total_lanes = 1, .threads = 2};
        pd_network *net;
        assert_int_equal(pd_model_build(&net, &spec), PD_OK);
        assert_int_equal(pd_network_plan(net, &plan, 0, false), PD_OK);
        assert_int_equal(net->slices.count, 2);
        bytes[i] = pd_slices_bytes(&net->slices);
        assert_true(pd_arena_bytes(net->arena) < bytes[i]); /* no gradients, one sample */
        pd_network_destroy(&net);
    }
    assert_int_equal(bytes[0], bytes[1]);
    for (int frozen = 0; frozen < 2; frozen++) {
        const pd_plan plan = {.lanes = 2, .lane_samples = 1, .total_lanes = 2, .threads = 2};
        pd_network *net;
        assert_int_equal(pd_model_build(&net, &spec), PD_OK);
        assert_int_equal(pd_network_freeze(net, frozen ? "base" : ""), PD_OK);
        assert_int_equal(pd_network_plan(net, &plan, 0, true), PD_OK);
        assert_true(pd_slices_bytes(&net->slices) <= pd_arena_bytes(net->arena));
        pd_network_destroy(&net);
    }
}

static const golden_network *find(const char *model)
{
    const golden_network *golden = golden_networks;
    while (strcmp(golden->model, model) != 0)
        golden++;
    return golden;
}

static void heat_maps_need_the_activations(void **state)
{
    (void)state;
    pd_network *net = build(find("cnn"), PD_FLOAT32, 1, false);
    pd_exec exec = exec_of(1, 1);
    const float *y, *activation, *gradient;
    float dy[OUTPUTS_MAX] = {1};
    assert_true(pd_network_last_convolution(net) >= 0);
    fill_weights(net);
    assert_int_equal(pd_network_forward(net, &exec, images, &y), PD_OK);
    assert_int_equal(pd_network_activation(net, &exec, images, dy, &activation, &gradient),
                     PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "exec->keeps"));
    exec.keeps = true;
    assert_int_equal(pd_network_forward(net, &exec, images, &y), PD_OK);
    assert_int_equal(pd_network_activation(net, &exec, images, dy, &activation, &gradient), PD_OK);
    pd_network_destroy(&net);
}

/* A network with a batch normalisation behind its last convolution, whose reader needs its input
 * for the gradient, and a layer behind it whose memory would cover any place that is free. */
static pd_network *build_deep_head(pd_recompute recompute)
{
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 2};
    pd_network *net;
    assert_int_equal(pd_network_create(&net, (pd_shape){14, 14, 1}), PD_OK);
    int x = pd_network_add(net, "conv", "conv", PD_NETWORK_INPUT,
                           (pd_layer_spec){.units = 512, .kernel_h = 3, .kernel_w = 3});
    x = pd_network_add(net, "globalpool", "pool", x, (pd_layer_spec){0});
    x = pd_network_add(net, "dense", "hidden", x, (pd_layer_spec){.units = 256});
    x = pd_network_add(net, "batchnorm", "norm", x, (pd_layer_spec){0});
    x = pd_network_add(net, "rectifier", "leaky", x, (pd_layer_spec){.slope = 0.3f});
    x = pd_network_add(net, "dense", "wide", x, (pd_layer_spec){.units = 4096});
    pd_network_add(net, "dense", "predictions", x, (pd_layer_spec){.units = 1});
    pd_network_set_recompute(net, recompute);
    assert_int_equal(pd_network_plan(net, &plan, 0, false), PD_OK);
    fill_weights(net);
    return net;
}

/* Nothing is computed again for a heat map, so all outputs behind the convolution must be there. */
static void heat_maps_do_not_depend_on_recompute(void **state)
{
    (void)state;
    pd_exec exec = exec_of(1, 2);
    exec.keeps = true;
    float *first = NULL;
    for (int recompute = 0; recompute < PD_RECOMPUTES; recompute++) {
        pd_network *net = build_deep_head((pd_recompute)recompute);
        const float *y, *activation, *gradient;
        float dy[1] = {1};
        size_t size = 14 * 14 * 512;
        assert_int_equal(pd_network_forward(net, &exec, images, &y), PD_OK);
        assert_int_equal(pd_network_activation(net, &exec, images, dy, &activation, &gradient),
                         PD_OK);
        if (first == NULL) {
            assert_int_equal(pd_alloc(&first, size, sizeof *first), PD_OK);
            memcpy(first, gradient, size * sizeof *first);
        }
        assert_memory_equal(first, gradient, size * sizeof *first);
        pd_network_destroy(&net);
    }
    free(first);
}

/* Only the last sample overflows. */
static void the_layer_that_overflows_is_found(void **state)
{
    (void)state;
    pd_network *net = build(find("cnn"), PD_FLOAT32, 2, false);
    size_t sample = pd_shape_size(pd_network_input(net));
    const pd_exec exec = exec_of(SAMPLES, 2);
    const float *y;
    bool in_gradient;
    float *last = images + (SAMPLES - 1) * sample, kept = *last;
    fill_weights(net);
    assert_true(pd_slices_take(net, &exec));
    pd_network_check_finite(net, true);
    assert_int_equal(pd_network_forward(net, &exec, images, &y), PD_OK);
    assert_int_equal(pd_network_not_finite(net, &in_gradient), -1);
    *last = 3e38f;
    for (size_t i = 0; i < pd_network_tensor(net, 0)->size; i++)
        pd_network_tensor(net, 0)->param->value[i] = 2;
    assert_int_equal(pd_network_forward(net, &exec, images, &y), PD_OK);
    assert_int_equal(pd_network_not_finite(net, &in_gradient), 0);
    assert_false(in_gradient);
    *last = kept;
    pd_network_destroy(&net);
}

int main(void)
{
    hashed(images, sizeof images / sizeof *images, 1000);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_change_no_bits),
        cmocka_unit_test(slices_of_large_networks_change_no_bits),
        cmocka_unit_test(slices_take_little_memory),
        cmocka_unit_test(heat_maps_need_the_activations),
        cmocka_unit_test(heat_maps_do_not_depend_on_recompute),
        cmocka_unit_test(the_layer_that_overflows_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
