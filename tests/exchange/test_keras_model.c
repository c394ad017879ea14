/* Keras' models against what Keras computes with them (tests/golden/make_keras.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/memory.h"
#include "pneumo/exchange/keras_config.h"
#include "pneumo/exchange/keras_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct keras_case {
    const char *file, *like;
    double scale; /* pixels are divided by it before they are given to the model */
    int outputs;
    const double *probabilities; /* [KERAS_IMAGES][outputs] */
    bool foreign;                /* in the folder PNEUMO_KERAS_MODELS */
} keras_case;

#include "golden/keras.h"

enum { CASES = sizeof keras_cases / sizeof *keras_cases };

/* An image of make_keras.py, as the network takes it. */
static void draw(float *x, const pd_keras_model *model, double scale, int number)
{
    const pd_input *input = &model->input;
    int n = number;
    for (int row = 0; row < input->size; row++)
        for (int column = 0; column < input->size; column++) {
            long grey = (column * (3 + n) + row * (5 + 2 * n) + column * row * (n + 1) / 7) % 256;
            for (int c = 0; c < input->channels; c++)
                *x++ = model->scaled ? ((float)grey - input->means[c]) / input->deviations[c]
                                     : (float)((double)grey / scale);
        }
}

/* Logits -> probabilities, in place. */
static void activate(const char *activation, double *values, int count)
{
    double sum = 0, most = values[0];
    for (int i = 0; i < count; i++)
        most = fmax(most, values[i]);
    for (int i = 0; i < count; i++)
        sum += exp(values[i] - most);
    for (int i = 0; i < count; i++)
        values[i] = strcmp(activation, "sigmoid") == 0 ? 1 / (1 + exp(-values[i]))
                                                       : exp(values[i] - most) / sum;
}

static void check_outputs(const keras_case *c, const pd_keras_model *model)
{
    pd_shape output = pd_network_output(model->network);
    const pd_input *input = &model->input;
    assert_int_equal(output.c, c->outputs);
    float *x;
    size_t floats = (size_t)input->size * (size_t)input->size * (size_t)input->channels;
    assert_int_equal(pd_alloc(&x, floats, sizeof *x), PD_OK);
    double worst = 0;
    for (int n = 0; n < KERAS_IMAGES; n++) {
        const pd_exec exec = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 2};
        const float *y;
        double values[16];
        draw(x, model, c->scale, n);
        assert_int_equal(pd_network_forward(model->network, &exec, x, &y), PD_OK);
        for (int i = 0; i < c->outputs; i++)
            values[i] = (double)y[i];
        activate(model->activation, values, c->outputs);
        for (int i = 0; i < c->outputs; i++)
            worst = fmax(worst, fabs(values[i] - c->probabilities[n * c->outputs + i]));
    }
    free(x);
    printf("%-28s differs from Keras by at most %.1e\n", c->file, worst);
    if (!(worst < 1e-5))
        fail_msg("%s: differs by %g", c->file, worst);
}

static pd_status open_case(pd_keras_file **file, const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return pd_keras_file_open(file, path);
}

static void check_case(const keras_case *c, const char *folder)
{
    pd_keras_file *file = NULL, *like = NULL;
    pd_keras_model model = {.network = NULL};
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 2};
    if (open_case(&file, folder, c->file) != PD_OK ||
        (c->like != NULL && open_case(&like, PNEUMO_GOLDEN "/keras", c->like) != PD_OK) ||
        pd_keras_model_read(&model, c->file, pd_keras_file_config(like != NULL ? like : file),
                            file) != PD_OK ||
        pd_network_plan(model.network, &plan, 0, false) != PD_OK)
        fail_msg("%s: %s", c->file, pd_error_message());
    pd_network_initialise(model.network, 1);
    if (pd_keras_model_load(&model, file) != PD_OK)
        fail_msg("%s: %s", c->file, pd_error_message());
    check_outputs(c, &model);
    pd_keras_model_free(&model);
    pd_keras_file_close(&like);
    pd_keras_file_close(&file);
}

static void test_own_models(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++)
        if (!keras_cases[i].foreign)
            check_case(&keras_cases[i], PNEUMO_GOLDEN "/keras");
}

static void test_models_of_others(void **state)
{
    (void)state;
    const char *folder = getenv("PNEUMO_KERAS_MODELS");
    if (folder == NULL) {
        puts("skipped: set PNEUMO_KERAS_MODELS to the folder of Keras models");
        skip();
    }
    for (int i = 0; i < CASES; i++)
        if (keras_cases[i].foreign)
            check_case(&keras_cases[i], folder);
}

/* --- Descriptions --- */

#define INPUT                                                                                      \
    "{\"class_name\":\"InputLayer\",\"config\":{\"name\":\"i\",\"batch_shape\":[null,8,8,3]}},"
#define SEQUENTIAL(layers)                                                                         \
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"m\",\"layers\":[" INPUT layers "]}}"
#define FUNCTIONAL(layers)                                                                         \
    "{\"class_name\":\"Functional\",\"config\":{\"name\":\"m\",\"layers\":[" INPUT layers "],"     \
    "\"input_layers\":[[\"i\",0,0]],\"output_layers\":[[\"x\",0,0]]}}"
#define CALLED(class_name, name, calls)                                                            \
    "{\"class_name\":\"" class_name "\",\"config\":{\"name\":\"" name                              \
    "\"},\"inbound_nodes\":[" calls "]}"
#define LAYER(class_name, config)                                                                  \
    "{\"class_name\":\"" class_name "\",\"config\":{\"name\":\"x\"" config "}}"

/* --- What is written and read again --- */

/* The convolution needs the height and width that the pooling keeps. */
static void test_pooling_keeps_dimensions(void **state)
{
    (void)state;
    static const char *const types[] = {"GlobalAveragePooling2D", "GlobalMaxPooling2D"};
    for (int i = 0; i < 2; i++) {
        pd_keras_model model = {.network = NULL}, again = {.network = NULL};
        char config[1024], *written;
        snprintf(config, sizeof config,
                 SEQUENTIAL(LAYER("%s", ",\"keepdims\":true") "," LAYER(
                     "Conv2D", ",\"filters\":1,\"kernel_size\":1") "," LAYER("Flatten", "")),
                 types[i]);
        assert_int_equal(pd_keras_model_read(&model, "m.h5", config, NULL), PD_OK);
        const pd_exchange_model described = {.name = "m",
                                             .network = model.network,
                                             .input = &model.input,
                                             .activation = model.activation};
        assert_int_equal(pd_keras_config_write(&written, &described), PD_OK);
        if (pd_keras_model_read(&again, "m.h5", written, NULL) != PD_OK)
            fail_msg("%s", pd_error_message());
        assert_int_equal(pd_network_layer_count(again.network), 3);
        free(written);
        pd_keras_model_free(&again);
        pd_keras_model_free(&model);
    }
}

/* Names become parts of paths in a file. */
static void test_names_have_no_slash(void **state)
{
    (void)state;
    pd_keras_model model = {.network = NULL};
    const char *config =
        SEQUENTIAL("{\"class_name\":\"ReLU\",\"config\":{\"name\":\"a_b\"}},"
                   "{\"class_name\":\"ReLU\",\"config\":{\"name\":\"a/b\"}}," LAYER("Flatten", ""));
    assert_int_equal(pd_keras_model_read(&model, "m.h5", config, NULL), PD_OK);
    assert_string_equal(pd_network_layer(model.network, 0)->name, "a_b");
    assert_string_equal(pd_network_layer(model.network, 1)->name, "a_b_1");
    pd_keras_model_free(&model);
}

static void test_padding_in_all_forms(void **state)
{
    (void)state;
    static const struct {
        const char *padding;
        int pad[4];
    } forms[] = {{"2", {2, 2, 2, 2}},
                 {"null", {1, 1, 1, 1}},
                 {"[1,2]", {1, 1, 2, 2}},
                 {"[[1,2],[3,4]]", {1, 2, 3, 4}},
                 {"[1,2,3,4]", {1, 2, 3, 4}}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        pd_keras_model model = {.network = NULL};
        char config[512];
        snprintf(config, sizeof config,
                 SEQUENTIAL(LAYER("ZeroPadding2D", ",\"padding\":%s") "," LAYER("Flatten", "")),
                 forms[i].padding);
        assert_int_equal(pd_keras_model_read(&model, "m.h5", config, NULL), PD_OK);
        assert_memory_equal(pd_network_layer(model.network, 0)->spec.pad, forms[i].pad,
                            sizeof forms[i].pad);
        pd_keras_model_free(&model);
    }
}

/* --- What cannot be built --- */

typedef struct refusal {
    const char *config, *expected;
} refusal;

static const refusal refusals[] = {
    {SEQUENTIAL(LAYER("Lambda", "")), "layer 'x' (Lambda): this class is not supported"},
    {SEQUENTIAL(LAYER("Conv2D", ",\"filters\":2,\"kernel_size\":3,\"groups\":3")), "groups = 3"},
    {SEQUENTIAL(LAYER("Conv2D", ",\"filters\":2,\"kernel_size\":3,\"strides\":[1,2]")),
     "strides 1 and 2 differ"},
    {SEQUENTIAL(LAYER("Conv2D", ",\"filters\":2,\"kernel_size\":3,\"dilation_rate\":2")),
     "dilation_rate 2"},
    {SEQUENTIAL(LAYER("Conv2D", ",\"filters\":2,\"kernel_size\":3,\"padding\":\"causal\"")),
     "padding 'causal'"},
    {SEQUENTIAL(LAYER("Conv2D", ",\"filters\":2,\"kernel_size\":3,\"activation\":\"mish\"")),
     "the activation 'mish'"},
    {SEQUENTIAL(LAYER("Conv2D", ",\"filters\":1e99,\"kernel_size\":3")), "'filters'"},
    {SEQUENTIAL(
         LAYER("Conv2D", ",\"filters\":2,\"kernel_size\":3,\"data_format\":\"channels_first\"")),
     "data_format 'channels_first'"},
    {SEQUENTIAL(LAYER("DepthwiseConv2D", ",\"kernel_size\":3,\"depth_multiplier\":2")),
     "depth_multiplier 2"},
    {SEQUENTIAL(LAYER("ZeroPadding2D", ",\"padding\":[1,2,3]")), "'padding' is a list of 3"},
    {SEQUENTIAL(LAYER("Dense", ",\"units\":2")), "reads an image"},
    {SEQUENTIAL(LAYER("Flatten", "") "," LAYER("BatchNormalization", ",\"axis\":3")),
     "another axis"},
    {SEQUENTIAL(LAYER("BatchNormalization", ",\"epsilon\":0")), "epsilon 0 is not supported"},
    {SEQUENTIAL(LAYER("BatchNormalization", ",\"momentum\":0")), "momentum 0 is not supported"},
    {SEQUENTIAL(LAYER("Conv2D", ",\"filters\":2,\"kernel_size\":3")), "an image, not a vector"},
    {SEQUENTIAL(LAYER("Flatten", "") "," LAYER("Softmax", "") "," LAYER("Dense", ",\"units\":2")),
     "reads a softmax"},
    {"{\"class_name\":\"Sequential\",\"config\":{\"layers\":[" LAYER("Flatten", "") "]}}",
     "not an image"},
    {"{\"class_name\":\"Subclassed\",\"config\":{}}", "class 'Subclassed'"},
    {"{\"class_name\":\"Sequential\",\"config\":{\"layers\":[]}}",
     "layer 'model' (Sequential): has no layers"},
    {"{\"class_name\":\"Functional\",\"config\":{\"layers\":[]}}",
     "layer 'model' (Functional): has no layers"},
    {"{\"class_name\":\"Functional\",\"config\":{\"layers\":[" LAYER("Flatten", "") "]}}",
     "'input_layers' is not one tensor"},
    {FUNCTIONAL(CALLED("ReLU", "r", "[[\"i\",0,0,{}]],[[\"r\",0,0,{}]]")), "is used 2 times"},
    {FUNCTIONAL(CALLED("ReLU", "x", "[[\"i\",0,1,{}]]")), "reads a second output of 'i'"},
    {"[", "not valid JSON"},
};

static void assert_refused(const char *config, const char *expected)
{
    pd_keras_model model = {.network = NULL};
    assert_int_equal(pd_keras_model_read(&model, "m.h5", config, NULL), PD_FAILED);
    pd_keras_model_free(&model);
    if (strstr(pd_error_message(), expected) == NULL ||
        strncmp(pd_error_message(), "m.h5: ", 6) != 0)
        fail_msg("message without '%s': %s", expected, pd_error_message());
}

static void test_refusals_name_the_layer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        assert_refused(refusals[i].config, refusals[i].expected);
}

static void test_deep_nesting_is_refused(void **state)
{
    (void)state;
    enum { LEVELS = 10000 };
    char *deep = malloc(LEVELS + 1);
    assert_non_null(deep);
    memset(deep, '[', LEVELS);
    deep[LEVELS] = '\0';
    assert_refused(deep, "nested too deeply");
    free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_models),
        cmocka_unit_test(test_models_of_others),
        cmocka_unit_test(test_pooling_keeps_dimensions),
        cmocka_unit_test(test_names_have_no_slash),
        cmocka_unit_test(test_padding_in_all_forms),
        cmocka_unit_test(test_refusals_name_the_layer),
        cmocka_unit_test(test_deep_nesting_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
