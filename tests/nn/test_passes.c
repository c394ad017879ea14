/* The gradient has the same bits for any number of passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "nn/network_internal.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"
#include "pneumo/kernels/tree.h"
#include "pneumo/nn/model.h"

#include <stdlib.h>
#include <string.h>

enum { SIZE = 16, LANE_SAMPLES = 2, LANES_MAX = 13 };

static float images[LANES_MAX * LANE_SAMPLES * SIZE * SIZE];

static pd_status sum_own_lanes(void *context, double *parts, size_t count, double *total)
{
    const int *lanes = context;
    pd_tree_fold_doubles(*lanes, parts, count, total);
    return PD_OK;
}

static size_t ready_from;

static pd_status note_ready(void *context, size_t offset, size_t count)
{
    (void)context;
    assert_int_equal(offset + count, ready_from);
    ready_from = offset;
    return PD_OK;
}

/* The gradient of one step of `lanes` lanes from `first` on, and its number of passes. The caller
 * frees *out. */
static size_t take_step(const char *model, int first, int lanes, int total, int pass_lanes,
                        float **out, int *passes)
{
    pd_model_spec spec = {.input = {SIZE, SIZE, 1},
                          .outputs = 1,
                          .hidden = 8,
                          .width = 0.2f,
                          .dropout = 0.4f,
                          .norm_momentum = 0.9f};
    snprintf(spec.name, sizeof spec.name, "%s", model);
    const pd_plan plan = {
        .lanes = lanes, .lane_samples = LANE_SAMPLES, .total_lanes = total, .threads = 2};
    pd_network *net;
    assert_int_equal(pd_model_build(&net, &spec), PD_OK);
    assert_int_equal(pd_network_plan_passes(net, &plan, first, pass_lanes), PD_OK);
    pd_network_initialise(net, 1);
    size_t count = net->weight_count, floats = (size_t)net->subtree_count * count;
    assert_int_equal(pd_alloc(out, floats, sizeof **out), PD_OK);
    pd_network_use_gradient(net, *out);
    ready_from = count;
    *passes = pd_network_pass_count(net);
    int next = first;
    for (int i = 0; i < *passes; i++) {
        int first_lane, pass_size;
        pd_network_pass(net, i, &first_lane, &pass_size);
        assert_int_equal(first_lane, next);
        next += pass_size;
        const pd_exec exec = {.training = true,
                              .lanes = pass_size,
                              .lane_samples = LANE_SAMPLES,
                              .total_lanes = total,
                              .first_sample = (int64_t)first_lane * LANE_SAMPLES,
                              .seed = 1,
                              .threads = 2,
                              .lane_sum = sum_own_lanes,
                              .lane_sum_context = &lanes};
        const float *x = images + (size_t)first_lane * LANE_SAMPLES * SIZE * SIZE, *logits;
        float dlogits[LANES_MAX * LANE_SAMPLES];
        assert_int_equal(pd_network_forward(net, &exec, x, &logits), PD_OK);
        memcpy(dlogits, logits, (size_t)pd_exec_samples(&exec) * sizeof *logits);
        assert_int_equal(ready_from, count);
        assert_int_equal(pd_network_backward(net, &exec, i, x, dlogits, note_ready, NULL), PD_OK);
    }
    assert_int_equal(next, first + lanes);
    assert_int_equal(ready_from, 0);
    pd_network_destroy(&net);
    return floats;
}

static void test_passes_do_not_change_bits(void **state)
{
    (void)state;
    /* All lanes and some of them; numbers that are powers of two and others. */
    static const struct {
        int first, lanes, total;
    } cases[] = {{0, 8, 8}, {0, 13, 13}, {0, 6, 6}, {0, 3, 8}, {3, 5, 8}, {5, 8, 13}, {2, 1, 3}};
    static const int limits[] = {1, 2, 3, 5, 7};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int lanes = cases[i].lanes, passes;
        float *whole, *parts;
        take_step("cnn", cases[i].first, lanes, cases[i].total, lanes, &whole, &passes);
        assert_int_equal(passes, 1);
        for (size_t j = 0; j < sizeof limits / sizeof *limits && limits[j] < lanes; j++) {
            int limit = limits[j];
            size_t floats =
                take_step("cnn", cases[i].first, lanes, cases[i].total, limit, &parts, &passes);
            assert_true(passes > 1 && passes * limit >= lanes);
            assert_memory_equal(whole, parts, floats * sizeof *whole);
            free(parts);
        }
        free(whole);
    }
}

/* Statistics of the whole batch need all lanes in one pass. */
static void test_batch_statistics_take_one_pass(void **state)
{
    (void)state;
    float *gradient;
    int passes;
    take_step("cnn-deep", 0, 8, 8, 2, &gradient, &passes);
    assert_int_equal(passes, 1);
    free(gradient);
}

/* Large activations are cut into passes, but not into passes too small to be fast. */
static void test_number_of_passes(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        int size, lane_samples, threads, largest;
    } cases[] = {
        {"vgg16", 224, 2, 1, 2}, {"vgg16", 224, 2, 8, 8}, {"vgg16", 112, 8, 2, 1},
        {"vgg16", 32, 1, 1, 8},  {"mlp2", 112, 8, 2, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_model_spec spec = {
            .input = {cases[i].size, cases[i].size, 1}, .outputs = 1, .hidden = 8, .width = 1};
        snprintf(spec.name, sizeof spec.name, "%s", cases[i].model);
        const pd_plan plan = {.lanes = 8,
                              .lane_samples = cases[i].lane_samples,
                              .total_lanes = 8,
                              .threads = cases[i].threads};
        pd_network *net;
        assert_int_equal(pd_model_build(&net, &spec), PD_OK);
        assert_int_equal(pd_network_plan(net, &plan, 0, true), PD_OK);
        assert_int_equal(net->passes.largest, cases[i].largest);
        pd_network_destroy(&net);
    }
}

int main(void)
{
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < sizeof images / sizeof *images; i++)
        images[i] = pd_random_normal(&random);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes_do_not_change_bits),
        cmocka_unit_test(test_batch_statistics_take_one_pass),
        cmocka_unit_test(test_number_of_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
