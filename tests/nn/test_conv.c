/* The layers conv and dense through the layer interface: shapes, params, ReLU and bias in both
 * directions, and messages. The tests of the kernels check the products. */
#include "nn/registry.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LANES = 2, LANE_SAMPLES = 3, SAMPLES = LANES * LANE_SAMPLES };

/* A planned layer with weights and all the buffers of a step. */
typedef struct fixture {
    pd_layer layer;
    pd_exec exec;
    size_t trainable, x_count, y_count;
    float *weights, *x, *y, *dy, *dx, *gradient, *prepared;
} fixture;

static float *make_array(size_t count, uint64_t seed)
{
    float *array;
    assert_int_equal(pd_alloc(&array, count, sizeof *array), PD_OK);
    pd_random random = pd_random_stream(seed, PD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < count; i++)
        array[i] = pd_random_between(&random, -1, 1);
    return array;
}

static void set_up(fixture *at, const pd_layer_type *type, pd_shape in, pd_layer_spec spec)
{
    *at = (fixture){.layer = {.type = type, .name = "layer", .spec = spec, .in = {in}}};
    pd_plan plan = {LANES, LANE_SAMPLES, LANES, 2};
    assert_int_equal(type->plan(&at->layer, &plan), PD_OK);
    at->trainable = pd_layer_trainable(&at->layer);
    at->x_count = SAMPLES * pd_shape_size(in);
    at->y_count = SAMPLES * pd_shape_size(at->layer.out);
    at->weights = make_array(at->trainable, 1);
    float *value = at->weights;
    for (int i = 0; i < at->layer.param_count; i++) {
        at->layer.params[i].value = value;
        value += pd_param_size(&at->layer.params[i]);
    }
    at->x = make_array(at->x_count, 2);
    at->y = make_array(at->y_count, 3);
    at->dy = make_array(at->y_count, 4);
    at->dx = make_array(at->x_count, 5);
    at->gradient = make_array(LANES * at->trainable, 6);
    at->prepared = make_array(at->layer.prepared_floats, 8);
    at->exec = (pd_exec){.training = true,
                         .lanes = LANES,
                         .lane_samples = LANE_SAMPLES,
                         .total_lanes = LANES,
                         .threads = 2,
                         .prepared = at->prepared,
                         .workspace =
                             make_array(at->layer.workspace_floats + at->layer.backward_floats, 7)};
}

static void tear_down(fixture *at)
{
    free(at->weights);
    free(at->x);
    free(at->y);
    free(at->dy);
    free(at->dx);
    free(at->gradient);
    free(at->prepared);
    free(at->exec.workspace);
}

static void forward(fixture *at)
{
    const void *inputs[] = {at->x, NULL};
    if (at->layer.type->prepare != NULL)
        at->layer.type->prepare(&at->layer, at->exec.threads, at->prepared);
    assert_int_equal(at->layer.type->forward(&at->layer, &at->exec, inputs, at->y, NULL), PD_OK);
}

/* The sum over the samples [first, end) of y * dy. */
static double product(fixture *at, const float *dy, int first, int end)
{
    forward(at);
    size_t size = at->y_count / SAMPLES;
    double sum = 0;
    for (size_t i = (size_t)first * size; i < (size_t)end * size; i++)
        sum += (double)at->y[i] * dy[i];
    return sum;
}

static void backward(fixture *at)
{
    const pd_backward arrays = {
        .x = {at->x}, .y = at->y, .dy = at->dy, .dx = {at->dx}, .gradient = at->gradient};
    assert_int_equal(at->layer.type->backward(&at->layer, &at->exec, &arrays), PD_OK);
}

/* The difference of the product over the samples [first, end) when *element changes by 1. Without
 * ReLU the layers are linear in every element, so this is the derivative, up to rounding. */
static double difference(fixture *at, float *element, const float *dy, int first, int end)
{
    float kept = *element;
    *element = kept + 0.5f;
    double above = product(at, dy, first, end);
    *element = kept - 0.5f;
    double below = product(at, dy, first, end);
    *element = kept;
    return above - below;
}

/* Compares dx and each lane's gradient of a layer without ReLU with differences, and those of the
 * same layer with ReLU with the former for dy masked by y > 0. */
static void assert_gradients(const pd_layer_type *type, pd_shape in, pd_layer_spec spec)
{
    fixture linear, rectified;
    spec.relu = false;
    set_up(&linear, type, in, spec);
    spec.relu = true;
    set_up(&rectified, type, in, spec);

    float *dy = make_array(linear.y_count, 4);
    forward(&linear);
    backward(&linear);
    for (size_t i = 0; i < linear.x_count; i++)
        assert_float_equal(linear.dx[i], difference(&linear, &linear.x[i], dy, 0, SAMPLES), 1e-4);
    for (size_t i = 0; i < LANES * linear.trainable; i++) {
        int first = (int)(i / linear.trainable) * LANE_SAMPLES;
        float *element = &linear.weights[i % linear.trainable];
        assert_float_equal(linear.gradient[i],
                           difference(&linear, element, dy, first, first + LANE_SAMPLES), 1e-4);
    }

    forward(&linear);
    forward(&rectified);
    int negative = 0;
    for (size_t i = 0; i < linear.y_count; i++) {
        bool positive = linear.y[i] > 0;
        assert_float_equal(rectified.y[i], positive ? linear.y[i] : 0, 0);
        linear.dy[i] = positive ? dy[i] : 0;
        negative += !positive;
    }
    assert_in_range(negative, 1, linear.y_count - 1);
    backward(&linear);
    backward(&rectified);
    assert_memory_equal(rectified.dx, linear.dx, linear.x_count * sizeof *dy);
    assert_memory_equal(rectified.gradient, linear.gradient, LANES * linear.trainable * sizeof *dy);
    free(dy);
    tear_down(&linear);
    tear_down(&rectified);
}

static void conv_gradients_are_derivatives(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++)
        assert_gradients(&pd_layer_conv, (pd_shape){5, 6, 2},
                         (pd_layer_spec){.units = 3,
                                         .kernel_h = 3,
                                         .kernel_w = 2,
                                         .stride = 1 + variant / 2,
                                         .no_bias = variant % 2});
}

static void dense_gradients_are_derivatives(void **state)
{
    (void)state;
    for (int variant = 0; variant < 2; variant++)
        assert_gradients(&pd_layer_dense, (pd_shape){3, 4, 5},
                         (pd_layer_spec){.units = 4, .no_bias = variant});
}

static void plan_sets_shapes_and_params(void **state)
{
    (void)state;
    fixture at;
    set_up(&at, &pd_layer_conv, (pd_shape){9, 8, 2},
           (pd_layer_spec){.units = 5, .kernel_h = 3, .kernel_w = 2, .padding = PD_VALID});
    assert_int_equal(at.layer.out.h, 7);
    assert_int_equal(at.layer.out.w, 7);
    assert_int_equal(at.layer.out.c, 5);
    assert_int_equal(at.trainable, 3 * 2 * 2 * 5 + 5);
    assert_string_equal(at.layer.params[0].name, "kernel");
    assert_string_equal(at.layer.params[1].name, "bias");
    assert_true(at.layer.params[0].decays);
    assert_false(at.layer.params[1].decays);
    assert_int_equal(at.layer.params[0].fan_in, 12);
    assert_int_equal(at.layer.params[0].fan_out, 30);
    assert_true(at.layer.keeps_input);
    assert_false(at.layer.keeps_output);
    tear_down(&at);

    set_up(&at, &pd_layer_dense, (pd_shape){3, 4, 5}, (pd_layer_spec){.units = 2, .relu = true});
    assert_int_equal(pd_shape_size(at.layer.out), 2);
    assert_int_equal(at.layer.params[0].fan_in, 60);
    assert_int_equal(at.layer.params[0].fan_out, 2);
    assert_true(at.layer.keeps_output);
    tear_down(&at);
}

/* In inference the batch is one lane of any size up to the planned samples. */
static void inference_and_training_give_the_same_bits(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        fixture at;
        if (i == 0)
            set_up(&at, &pd_layer_conv, (pd_shape){5, 6, 2},
                   (pd_layer_spec){.units = 17, .kernel_h = 3, .kernel_w = 3, .relu = true});
        else
            set_up(&at, &pd_layer_dense, (pd_shape){9, 9, 9}, (pd_layer_spec){.units = 17});
        forward(&at);
        float *expected = make_array(at.y_count, 0);
        memcpy(expected, at.y, at.y_count * sizeof *at.y);
        at.exec.training = false;
        at.exec.lanes = 1;
        for (int samples = 1; samples <= SAMPLES; samples++) {
            at.exec.lane_samples = samples;
            memset(at.y, 0, at.y_count * sizeof *at.y);
            forward(&at);
            assert_memory_equal(at.y, expected, at.y_count / SAMPLES * samples * sizeof *at.y);
        }
        free(expected);
        tear_down(&at);
    }
}

static void assert_plan_fails(const pd_layer_type *type, pd_layer_spec spec, const char *message)
{
    pd_layer layer = {.type = type, .name = "block1", .spec = spec, .in = {{4, 4, 1}}};
    pd_plan plan = {1, 1, 1, 1};
    assert_int_equal(type->plan(&layer, &plan), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "block1"));
    assert_non_null(strstr(pd_error_message(), message));
}

static void invalid_specs_are_errors(void **state)
{
    (void)state;
    assert_plan_fails(&pd_layer_conv, (pd_layer_spec){.units = 0, .kernel_h = 3, .kernel_w = 3},
                      "output channels");
    assert_plan_fails(&pd_layer_conv, (pd_layer_spec){.units = 1, .kernel_h = 0, .kernel_w = 3},
                      "kernel 0 x 3");
    assert_plan_fails(&pd_layer_conv,
                      (pd_layer_spec){.units = 1, .kernel_h = 3, .kernel_w = 3, .stride = -1},
                      "stride -1");
    assert_plan_fails(
        &pd_layer_conv,
        (pd_layer_spec){.units = 1, .kernel_h = 5, .kernel_w = 3, .padding = PD_VALID},
        "smaller than its kernel, 5 x 3");
    assert_plan_fails(&pd_layer_dense, (pd_layer_spec){.units = 0}, "0 units");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_sets_shapes_and_params),
        cmocka_unit_test(conv_gradients_are_derivatives),
        cmocka_unit_test(dense_gradients_are_derivatives),
        cmocka_unit_test(inference_and_training_give_the_same_bits),
        cmocka_unit_test(invalid_specs_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
