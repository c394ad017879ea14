/* Optimisers against PyTorch; and what PyTorch has no counterpart of: moving average, threads,
 * slots. */
#include "pneumo/train/optimizer.h"

#include "pneumo/train/job.h"

#include "golden/optimizers.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const pd_plan plan = {.lanes = 1, .lane_samples = 2, .total_lanes = 1, .threads = 2};

static void check(pd_status status)
{
    if (status != PD_OK)
        fail_msg("%s", pd_error_message());
}

/* The network of the golden file: 5 inputs, 7 units, 1 unit. */
static pd_network *golden_network(void)
{
    pd_network *network;
    size_t count;
    check(pd_network_create(&network, (pd_shape){1, 1, 5}));
    int x = pd_network_add(network, "dense", "a", PD_NETWORK_INPUT, (pd_layer_spec){.units = 7});
    pd_network_add(network, "dense", "b", x, (pd_layer_spec){.units = 1});
    check(pd_network_plan(network, &plan, 0, true));
    float *weights = pd_network_weights(network, &count);
    assert_int_equal(count, GOLDEN_COUNT);
    memcpy(weights, golden_weights, sizeof(golden_weights));
    return network;
}

/* A network with several blocks of trainable weights, and state. */
static pd_network *large_network(void)
{
    pd_network *network;
    check(pd_network_create(&network, (pd_shape){1, 1, 200}));
    int x = pd_network_add(network, "dense", "a", PD_NETWORK_INPUT, (pd_layer_spec){.units = 301});
    x = pd_network_add(network, "batchnorm", "n", x, (pd_layer_spec){0});
    pd_network_add(network, "dense", "b", x, (pd_layer_spec){.units = 3});
    check(pd_network_plan(network, &plan, 0, true));
    pd_network_initialise(network, 3);
    return network;
}

static pd_job job_of(pd_optimizer_kind kind)
{
    pd_job job;
    pd_job_defaults(&job);
    job.optimizer.kind = kind;
    job.optimizer.momentum = 0;
    return job;
}

static void expect_close(const float *got, const float *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!(fabsf(got[i] - wanted[i]) <= 2e-6f * (1.0f + fabsf(wanted[i]))))
            fail_msg("weight %zu is %.9g instead of %.9g", i, got[i], wanted[i]);
    }
}

/* GOLDEN_STEPS steps at `rates` (one, or one per step) must end at `wanted`. */
static void expect_golden(const pd_job *job, const double *rates, int rate_count,
                          const float *wanted)
{
    pd_network *network = golden_network();
    pd_optimizer *optimizer;
    float gradient[GOLDEN_COUNT];
    size_t count;
    double norm;

    check(pd_optimizer_create(&optimizer, &job->optimizer, network));
    for (int step = 0; step < GOLDEN_STEPS; step++) {
        memcpy(gradient, golden_gradients + step * GOLDEN_COUNT, sizeof(gradient));
        pd_optimizer_step(optimizer, gradient, rates[step % rate_count], step, &norm);
    }
    expect_close(pd_network_weights(network, &count), wanted, GOLDEN_COUNT);
    pd_optimizer_destroy(&optimizer);
    assert_null(optimizer);
    pd_network_destroy(&network);
}

static void test_sgd(void **state)
{
    (void)state;
    const double rate = 0.1, rates[] = {0.1, 0.2, 0.05, 0.01, 0.1};
    pd_job job = job_of(PD_SGD);
    expect_golden(&job, &rate, 1, golden_sgd);
    job.optimizer.clip_norm = 0.5;
    expect_golden(&job, &rate, 1, golden_sgd_clip);
    job.optimizer.clip_norm = 1e9;
    expect_golden(&job, &rate, 1, golden_sgd);
    job.optimizer.momentum = 0.9;
    expect_golden(&job, &rate, 1, golden_sgd_momentum);
    expect_golden(&job, rates, GOLDEN_STEPS, golden_keras_sgd);
    job.optimizer.nesterov = true;
    expect_golden(&job, &rate, 1, golden_sgd_nesterov);
}

static void test_adam(void **state)
{
    (void)state;
    const double rate = 0.01;
    pd_job job = job_of(PD_ADAM);
    expect_golden(&job, &rate, 1, golden_adam);
    job.optimizer.l1 = 0.3;
    job.optimizer.l2 = 0.2;
    expect_golden(&job, &rate, 1, golden_adam_l1_l2);

    job = job_of(PD_ADAMW);
    expect_golden(&job, &rate, 1, golden_adam);
    job.optimizer.weight_decay = 0.5;
    expect_golden(&job, &rate, 1, golden_adamw);
}

static void test_rmsprop(void **state)
{
    (void)state;
    const double rate = 0.01;
    pd_job job = job_of(PD_RMSPROP);
    job.optimizer.beta2 = 0.9;
    expect_golden(&job, &rate, 1, golden_rmsprop);
    job.optimizer.momentum = 0.8;
    expect_golden(&job, &rate, 1, golden_rmsprop_momentum);
}

/* With a gradient of 0 only kernels move, towards 0. */
static void test_decay_is_for_kernels(void **state)
{
    (void)state;
    pd_job jobs[] = {job_of(PD_ADAMW), job_of(PD_SGD), job_of(PD_SGD)};
    jobs[0].optimizer.weight_decay = 0.1;
    jobs[1].optimizer.l1 = 0.01;
    jobs[2].optimizer.l2 = 0.1;
    for (int j = 0; j < 3; j++) {
        pd_network *network = golden_network();
        pd_optimizer *optimizer;
        float gradient[GOLDEN_COUNT] = {0};
        double norm;
        size_t count;
        check(pd_optimizer_create(&optimizer, &jobs[j].optimizer, network));
        pd_optimizer_step(optimizer, gradient, 0.1, 0, &norm);

        const float *weights = pd_network_weights(network, &count);
        for (int t = 0; t < pd_network_tensor_count(network); t++) {
            const pd_tensor *tensor = pd_network_tensor(network, t);
            bool kernel = strcmp(tensor->param->name, "kernel") == 0;
            for (size_t i = tensor->offset; i < tensor->offset + tensor->size; i++) {
                float before = golden_weights[i];
                if (kernel && before != 0)
                    assert_true(fabsf(weights[i]) < fabsf(before));
                else
                    assert_true(weights[i] == before);
            }
        }
        pd_optimizer_destroy(&optimizer);
        pd_network_destroy(&network);
    }
}

static void test_norm_and_penalty(void **state)
{
    (void)state;
    pd_network *network = golden_network();
    pd_optimizer *optimizer;
    pd_job job = job_of(PD_SGD);
    float gradient[GOLDEN_COUNT];
    double norm, squares = 0;

    job.optimizer.l1 = 0.5;
    job.optimizer.l2 = 0.25;
    check(pd_optimizer_create(&optimizer, &job.optimizer, network));
    memcpy(gradient, golden_gradients, sizeof(gradient));
    for (int i = 0; i < GOLDEN_COUNT; i++) {
        double w = golden_weights[i], g = golden_gradients[i];
        bool kernel = i < 35 || (i >= 42 && i < 49);
        if (kernel)
            g += 0.5 * ((w > 0) - (w < 0)) + 0.5 * w;
        squares += g * g;
    }
    pd_optimizer_step(optimizer, gradient, 0.1, 0, &norm);
    assert_true(fabs(norm - sqrt(squares)) < 1e-5);
    pd_optimizer_destroy(&optimizer);
    pd_optimizer_destroy(&optimizer);
    pd_network_destroy(&network);
}

static void test_not_finite(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 3; k++) {
        pd_network *network = golden_network();
        pd_optimizer *optimizer;
        pd_optimizer_slot slots[PD_OPTIMIZER_SLOTS_MAX];
        pd_job job = job_of(PD_ADAMW);
        float gradient[GOLDEN_COUNT];
        double norm = 0;
        size_t count;

        job.optimizer.weight_decay = 0.1;
        job.optimizer.ema = 0.9;
        job.optimizer.clip_norm = 1;
        check(pd_optimizer_create(&optimizer, &job.optimizer, network));
        memcpy(gradient, golden_gradients, sizeof(gradient));
        gradient[49] = bad[k];
        pd_optimizer_step(optimizer, gradient, 0.1, 0, &norm);
        assert_false(isfinite(norm));
        assert_memory_equal(pd_network_weights(network, &count), golden_weights,
                            sizeof(golden_weights));
        assert_int_equal(pd_optimizer_slots(optimizer, slots), 4);
        for (int i = 0; i < GOLDEN_COUNT; i++) {
            assert_true(slots[0].vector[i] == 0 && slots[1].vector[i] == 0);
            assert_true(slots[2].vector[i] == golden_weights[i]);
        }
        pd_optimizer_destroy(&optimizer);
        pd_network_destroy(&network);
    }
}

static void test_slots(void **state)
{
    (void)state;
    static const struct {
        pd_optimizer_kind kind;
        double momentum, ema;
        const char *names[5];
    } cases[] = {
        {PD_SGD, 0, 0, {NULL}},
        {PD_SGD, 0.9, 0, {"momentum", NULL}},
        {PD_ADAM, 0.9, 0, {"mean", "variance", NULL}},
        {PD_ADAMW, 0.9, 0.5, {"mean", "variance", "average", "average_state", NULL}},
        {PD_RMSPROP, 0, 0, {"variance", NULL}},
        {PD_RMSPROP, 0.9, 0.5, {"momentum", "variance", "average", "average_state", NULL}},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        pd_network *network = golden_network();
        pd_optimizer *optimizer;
        pd_optimizer_slot slots[PD_OPTIMIZER_SLOTS_MAX];
        pd_job job = job_of(cases[c].kind);
        job.optimizer.momentum = cases[c].momentum;
        job.optimizer.ema = cases[c].ema;
        check(pd_optimizer_create(&optimizer, &job.optimizer, network));
        int count = pd_optimizer_slots(optimizer, slots);
        for (int i = 0; i < count; i++) {
            assert_non_null(cases[c].names[i]);
            assert_string_equal(slots[i].name, cases[c].names[i]);
            assert_int_equal(slots[i].of_state, strcmp(slots[i].name, "average_state") == 0);
        }
        assert_null(cases[c].names[count]);
        pd_optimizer_destroy(&optimizer);
        pd_network_destroy(&network);
    }
}

/* A synthetic gradient for a large network. */
static void fill_gradient(float *gradient, size_t count, int step)
{
    for (size_t i = 0; i < count; i++)
        gradient[i] = (float)sin(0.37 * (double)i + 1.3 * step);
}

static void test_average(void **state)
{
    (void)state;
    pd_network *network = large_network();
    pd_optimizer *optimizer;
    pd_job job = job_of(PD_SGD);
    size_t count, state_count;
    double norm;
    float *weights = pd_network_weights(network, &count);
    float *moving = pd_network_state(network, &state_count);
    assert_int_equal(state_count, 2 * 301);

    job.optimizer.ema = 0.3; /* the warm-up of the decay passes it at step 3 */
    float *gradient = calloc(count, sizeof(float));
    double *average = calloc(count + state_count, sizeof(double));
    for (size_t i = 0; i < count; i++)
        average[i] = weights[i];
    for (size_t i = 0; i < state_count; i++)
        average[count + i] = moving[i];
    check(pd_optimizer_create(&optimizer, &job.optimizer, network));

    for (int step = 0; step < 6; step++) {
        fill_gradient(gradient, count, step);
        for (size_t i = 0; i < state_count; i++)
            moving[i] += 0.1f * (float)(i % 5); /* as a forward pass would */
        pd_optimizer_step(optimizer, gradient, 0.1, step, &norm);
        double decay = fmin(0.3, (1.0 + step) / (10.0 + step));
        for (size_t i = 0; i < count; i++)
            average[i] = decay * average[i] + (1 - decay) * weights[i];
        for (size_t i = 0; i < state_count; i++)
            average[count + i] = decay * average[count + i] + (1 - decay) * moving[i];
    }

    float *kept = malloc(count * sizeof(float)), *kept_state = malloc(state_count * sizeof(float));
    memcpy(kept, weights, count * sizeof(float));
    memcpy(kept_state, moving, state_count * sizeof(float));
    pd_optimizer_swap_ema(optimizer);
    for (size_t i = 0; i < count; i++)
        assert_true(fabs(weights[i] - average[i]) < 1e-5);
    for (size_t i = 0; i < state_count; i++)
        assert_true(fabs(moving[i] - average[count + i]) < 1e-5);
    assert_memory_not_equal(weights, kept, count * sizeof(float));
    pd_optimizer_swap_ema(optimizer);
    assert_memory_equal(weights, kept, count * sizeof(float));
    assert_memory_equal(moving, kept_state, state_count * sizeof(float));
    pd_optimizer_destroy(&optimizer);

    /* Without a moving average a swap does nothing. */
    job.optimizer.ema = 0;
    check(pd_optimizer_create(&optimizer, &job.optimizer, network));
    pd_optimizer_swap_ema(optimizer);
    assert_memory_equal(weights, kept, count * sizeof(float));
    pd_optimizer_destroy(&optimizer);

    free(kept);
    free(kept_state);
    free(average);
    free(gradient);
    pd_network_destroy(&network);
}

/* --- Fine-tuning --- */

enum { DEEP_COUNT = 4 * 3 + 3 + 3 * 2 + 2 + 2 * 1 + 1 };

/* Layers a, b and c of 3, 2 and 1 units on 4 inputs, frozen up to `freeze`. The weights are
 * deep_weight(i). */
static float deep_weight(size_t i)
{
    return (float)sin(0.7 * (double)i + 0.2);
}

static pd_network *deep_network(const char *freeze)
{
    pd_network *network;
    size_t count;
    check(pd_network_create(&network, (pd_shape){1, 1, 4}));
    int x = pd_network_add(network, "dense", "a", PD_NETWORK_INPUT, (pd_layer_spec){.units = 3});
    x = pd_network_add(network, "dense", "b", x, (pd_layer_spec){.units = 2});
    pd_network_add(network, "dense", "c", x, (pd_layer_spec){.units = 1});
    check(pd_network_freeze(network, freeze));
    check(pd_network_plan(network, &plan, 0, true));
    float *weights = pd_network_weights(network, &count);
    assert_int_equal(count, DEEP_COUNT);
    for (size_t i = 0; i < count; i++)
        weights[i] = deep_weight(i);
    return network;
}

/* Weight i: of which layer, and whether it is of a kernel. */
static int layer_of(size_t i)
{
    return i < 15 ? 0 : i < 23 ? 1 : 2;
}

static bool of_kernel(size_t i)
{
    return i < 12 || (i >= 15 && i < 21) || (i >= 23 && i < 25);
}

/* The learning rate falls by the factor from each layer to the next one below. */
static void test_rate_decay(void **state)
{
    (void)state;
    pd_network *network = deep_network("");
    pd_optimizer *optimizer;
    pd_job job = job_of(PD_SGD);
    float gradient[DEEP_COUNT];
    size_t count;
    double norm;
    job.optimizer.rate_decay = 0.5;
    check(pd_optimizer_create(&optimizer, &job.optimizer, network));
    fill_gradient(gradient, DEEP_COUNT, 0);
    pd_optimizer_step(optimizer, gradient, 0.1, 0, &norm);
    const float *weights = pd_network_weights(network, &count);
    for (size_t i = 0; i < DEEP_COUNT; i++) {
        double rate = 0.1 * (layer_of(i) == 2 ? 1 : layer_of(i) == 1 ? 0.5 : 0.25);
        assert_true(fabs(weights[i] - (deep_weight(i) - rate * gradient[i])) < 1e-6);
    }
    pd_optimizer_destroy(&optimizer);
    pd_network_destroy(&network);
}

/* The kernels of all layers but the last are drawn to where they began. */
static void test_l2_sp(void **state)
{
    (void)state;
    pd_network *network = deep_network("");
    pd_optimizer *optimizer;
    pd_job job = job_of(PD_SGD);
    float gradient[DEEP_COUNT];
    double wanted[DEEP_COUNT], norm;
    size_t count;
    job.optimizer.l2_sp = 0.3;
    job.optimizer.l2 = 0.05;
    check(pd_optimizer_create(&optimizer, &job.optimizer, network));
    const float *weights = pd_network_weights(network, &count);
    for (size_t i = 0; i < DEEP_COUNT; i++)
        wanted[i] = deep_weight(i);
    for (int step = 0; step < 4; step++) {
        double squares = 0;
        fill_gradient(gradient, DEEP_COUNT, step);
        for (size_t i = 0; i < DEEP_COUNT; i++) {
            double g = gradient[i];
            g += of_kernel(i) ? 2 * 0.05 * wanted[i] : 0;
            g += of_kernel(i) && layer_of(i) < 2 ? 2 * 0.3 * (wanted[i] - deep_weight(i)) : 0;
            squares += g * g;
            wanted[i] -= 0.1 * g;
        }
        pd_optimizer_step(optimizer, gradient, 0.1, step, &norm);
        assert_true(fabs(norm - sqrt(squares)) < 1e-5);
    }
    for (size_t i = 0; i < DEEP_COUNT; i++)
        assert_true(fabs(weights[i] - wanted[i]) < 1e-5);
    pd_optimizer_slot slots[PD_OPTIMIZER_SLOTS_MAX];
    assert_int_equal(pd_optimizer_slots(optimizer, slots), 1);
    assert_string_equal(slots[0].name, "start");
    assert_null(pd_optimizer_slot_at(&slots[0], pd_network_tensor(network, 4)));
    const float *start = pd_optimizer_slot_at(&slots[0], pd_network_tensor(network, 2));
    for (size_t i = 0; i < 6; i++)
        assert_true(start[i] == deep_weight(15 + i));
    pd_optimizer_destroy(&optimizer);
    pd_network_destroy(&network);
}

/* Steps [first, end) with the gradients of the last `count` weights. */
static void take_steps(pd_optimizer *optimizer, size_t count, int first, int end)
{
    float gradient[DEEP_COUNT];
    double norm;
    for (int step = first; step < end; step++) {
        fill_gradient(gradient, DEEP_COUNT, step);
        pd_optimizer_step(optimizer, gradient + DEEP_COUNT - count, 0.01, step, &norm);
    }
}

/* Frozen weights, and their average, stay. From the step on at which a layer is trained, its
 * weights move as in a new run; those of other layers as if nothing had happened. */
static void test_unfreezing(void **state)
{
    (void)state;
    enum { FROZEN = 15, TRAINED = DEEP_COUNT - FROZEN, SWITCH = 5, END = 9 };
    for (int kind = PD_SGD; kind <= PD_RMSPROP; kind++) {
        pd_job job = job_of((pd_optimizer_kind)kind);
        job.optimizer.momentum = 0.9;
        job.optimizer.ema = 0.99;
        job.optimizer.l2_sp = 0.1;
        job.optimizer.weight_decay = kind == PD_ADAMW ? 0.1 : 0;
        pd_network *frozen = deep_network("a"), *all = deep_network(""), *fresh = deep_network("");
        pd_optimizer *optimizer, *other;
        size_t count;
        check(pd_optimizer_create(&optimizer, &job.optimizer, frozen));
        take_steps(optimizer, TRAINED, 0, SWITCH);
        float *before = pd_network_weights(frozen, &count),
              *after = pd_network_weights(all, &count);
        for (size_t i = 0; i < FROZEN; i++)
            assert_true(before[i] == deep_weight(i));
        pd_optimizer_swap_ema(optimizer);
        for (size_t i = 0; i < FROZEN; i++)
            assert_true(before[i] == deep_weight(i));
        pd_optimizer_swap_ema(optimizer);
        memcpy(after, before, DEEP_COUNT * sizeof *after);
        check(pd_optimizer_unfreeze(&optimizer, all, SWITCH));
        pd_network_destroy(&frozen);
        take_steps(optimizer, DEEP_COUNT, SWITCH, END);

        /* The same gradients from step 0 on for the frozen layer, and all along for the others. */
        check(pd_optimizer_create(&other, &job.optimizer, fresh));
        float gradient[DEEP_COUNT];
        double norm;
        for (int step = SWITCH; step < END; step++) {
            fill_gradient(gradient, DEEP_COUNT, step);
            pd_optimizer_step(other, gradient, 0.01, step - SWITCH, &norm);
        }
        float *wanted = pd_network_weights(fresh, &count);
        assert_memory_equal(after, wanted, FROZEN * sizeof *after);
        pd_optimizer_swap_ema(optimizer);
        pd_optimizer_swap_ema(other);
        assert_memory_equal(after, wanted, FROZEN * sizeof *after);
        pd_optimizer_swap_ema(optimizer);
        pd_optimizer_destroy(&other);
        pd_network_destroy(&fresh);

        fresh = deep_network("a");
        check(pd_optimizer_create(&other, &job.optimizer, fresh));
        take_steps(other, TRAINED, 0, END);
        wanted = pd_network_weights(fresh, &count);
        assert_memory_equal(after + FROZEN, wanted + FROZEN, TRAINED * sizeof *after);
        pd_optimizer_swap_ema(optimizer);
        pd_optimizer_swap_ema(other);
        assert_memory_equal(after + FROZEN, wanted + FROZEN, TRAINED * sizeof *after);
        pd_optimizer_destroy(&other);
        pd_optimizer_destroy(&optimizer);
        pd_network_destroy(&fresh);
        pd_network_destroy(&all);
    }
}

/* Moving statistics of frozen layers join the average when their layers are trained, as in a new
 * run. */
static void test_unfreezing_state(void **state)
{
    (void)state;
    enum { SWITCH = 40, END = 43, UNITS = 2 };
    pd_job job = job_of(PD_SGD);
    pd_network *networks[2];
    pd_optimizer *optimizer;
    size_t count, states;
    double norm, wanted = 1;
    job.optimizer.ema = 0.99;
    for (int i = 0; i < 2; i++) {
        check(pd_network_create(&networks[i], (pd_shape){1, 1, 3}));
        int x = pd_network_add(networks[i], "dense", "a", PD_NETWORK_INPUT,
                               (pd_layer_spec){.units = UNITS});
        x = pd_network_add(networks[i], "batchnorm", "n", x, (pd_layer_spec){0});
        x = pd_network_add(networks[i], "dense", "b", x, (pd_layer_spec){.units = 1});
        pd_network_add(networks[i], "batchnorm", "m", x, (pd_layer_spec){0});
        check(pd_network_freeze(networks[i], i == 0 ? "n" : ""));
        check(pd_network_plan(networks[i], &plan, 0, true));
        float *moving = pd_network_state(networks[i], &states);
        assert_int_equal(states, 2 * UNITS + 2);
        for (size_t j = 0; j < states; j++)
            moving[j] = 1;
    }
    float gradient[32] = {0}, *moving = pd_network_state(networks[1], &count);
    check(pd_optimizer_create(&optimizer, &job.optimizer, networks[0]));
    pd_optimizer_step(optimizer, gradient, 0.1, SWITCH - 1, &norm);
    check(pd_optimizer_unfreeze(&optimizer, networks[1], SWITCH));
    for (int step = SWITCH; step < END; step++) {
        for (size_t j = 0; j < states; j++)
            moving[j] += 1;
        pd_optimizer_step(optimizer, gradient, 0.1, step, &norm);
        double decay = (1.0 + step - SWITCH) / (10.0 + step - SWITCH);
        wanted = decay * wanted + (1 - decay) * moving[0];
    }
    double later = 1; /* of the layer that was trained all along */
    for (int step = SWITCH; step < END; step++) {
        double decay = (1.0 + step) / (10.0 + step);
        later = decay * later + (1 - decay) * (2 + step - SWITCH);
    }
    pd_optimizer_swap_ema(optimizer);
    for (size_t j = 0; j < states; j++)
        assert_true(fabs(moving[j] - (j < 2 * UNITS ? wanted : later)) < 1e-5);
    pd_optimizer_destroy(&optimizer);
    pd_network_destroy(&networks[0]);
    pd_network_destroy(&networks[1]);
}

/* Steps of a large network on `threads` threads; *out (free()) holds weights, average and norms. */
static size_t run_threads(int threads, pd_optimizer_kind kind, float **out)
{
    pd_network *network = large_network();
    pd_optimizer *optimizer;
    pd_job job = job_of(kind);
    size_t count;
    float *weights = pd_network_weights(network, &count);
    float *gradient = malloc(count * sizeof(float));
    double norms[3];

    job.optimizer.momentum = 0.9;
    job.optimizer.ema = 0.9;
    job.optimizer.clip_norm = 1;
    job.optimizer.l1 = 1e-3;
    job.optimizer.l2 = 1e-2;
    omp_set_num_threads(threads);
    check(pd_optimizer_create(&optimizer, &job.optimizer, network));
    for (int step = 0; step < 3; step++) {
        fill_gradient(gradient, count, step);
        pd_optimizer_step(optimizer, gradient, 0.01, step, &norms[step]);
    }

    *out = malloc(2 * count * sizeof(float) + sizeof(norms));
    memcpy(*out, weights, count * sizeof(float));
    pd_optimizer_swap_ema(optimizer);
    memcpy(*out + count, weights, count * sizeof(float));
    memcpy(*out + 2 * count, norms, sizeof(norms));
    pd_optimizer_destroy(&optimizer);
    pd_network_destroy(&network);
    free(gradient);
    return 2 * count * sizeof(float) + sizeof(norms);
}

static void test_same_bits_on_any_threads(void **state)
{
    (void)state;
    for (int kind = PD_SGD; kind <= PD_RMSPROP; kind++) {
        float *one, *more;
        size_t size = run_threads(1, (pd_optimizer_kind)kind, &one);
        for (int threads = 2; threads <= 3; threads++) {
            run_threads(threads, (pd_optimizer_kind)kind, &more);
            assert_memory_equal(one, more, size);
            free(more);
        }
        free(one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd),
        cmocka_unit_test(test_adam),
        cmocka_unit_test(test_rmsprop),
        cmocka_unit_test(test_decay_is_for_kernels),
        cmocka_unit_test(test_norm_and_penalty),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_rate_decay),
        cmocka_unit_test(test_l2_sp),
        cmocka_unit_test(test_unfreezing),
        cmocka_unit_test(test_unfreezing_state),
        cmocka_unit_test(test_same_bits_on_any_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
