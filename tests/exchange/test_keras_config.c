/* Keras' JSON of a network with every layer type and fused activation against a golden, which
 * tests/exchange/test_keras.sh opens with Keras; the order of Xception's layers; scaling; errors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/exchange/keras_config.h"
#include "pneumo/io/file.h"
#include "pneumo/nn/model.h"

#include "exchange/network.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void write_config(char **json, pd_network *net, const pd_input *input,
                         const char *activation)
{
    const pd_exchange_model model = {
        .name = "network", .network = net, .input = input, .activation = activation};
    assert_int_equal(pd_keras_config_write(json, &model), PD_OK);
}

/* Compares JSON texts by value; leaves `found` in the test's folder if they differ. */
static void assert_json(const char *found, const char *golden)
{
    cJSON *left = cJSON_Parse(found), *right = cJSON_Parse(golden);
    bool same = cJSON_Compare(left, right, true);
    cJSON_Delete(left);
    cJSON_Delete(right);
    if (!same)
        pd_file_write("keras_config.json", found, strlen(found));
    assert_true(same);
}

static void every_layer_is_as_in_the_golden(void **state)
{
    (void)state;
    const pd_input input = {.size = SIDE, .channels = 3, .scaling = PD_GREY_IMAGE};
    unsigned char *golden;
    size_t size;
    pd_network *net = make_network();
    char *built, *planned;
    assert_int_equal(pd_file_read(&golden, &size, PNEUMO_GOLDEN "/keras_config.json", 1 << 20),
                     PD_OK);
    write_config(&built, net, &input, "softmax");
    assert_json(built, (char *)golden);
    /* Planning moves activations; the description stays as built. */
    assert_int_equal(pd_network_plan(net, &plan, 0, true), PD_OK);
    write_config(&planned, net, &input, "softmax");
    assert_string_equal(planned, built);
    free(built);
    free(planned);
    free(golden);
    pd_network_destroy(&net);
}

static pd_network *make_model(const char *name, int channels)
{
    const pd_model_spec spec = {.input = {SIDE, SIDE, channels},
                                .outputs = 1,
                                .hidden = 4,
                                .width = 0.1,
                                .norm_momentum = 0.9};
    pd_model_spec named = spec;
    pd_network *net;
    strcpy(named.name, name);
    assert_int_equal(pd_model_build(&net, &named), PD_OK);
    assert_int_equal(pd_network_plan(net, &plan, 0, false), PD_OK);
    return net;
}

static double number_after(const char *json, const char *key)
{
    const char *found = strstr(json, key);
    assert_non_null(found);
    return strtod(found + strlen(key), NULL);
}

static void grey_is_scaled_in_the_model(void **state)
{
    (void)state;
    const pd_input input = {.size = SIDE, .channels = 1, .mean = 120.0f, .deviation = 60.0f};
    pd_network *net = make_model("cnn", 1);
    char *json;
    write_config(&json, net, &input, "sigmoid");
    assert_non_null(strstr(json, "\"Rescaling\""));
    assert_true(fabs(number_after(json, "\"scale\":") - 1.0 / 60) < 1e-9);
    assert_true(fabs(number_after(json, "\"offset\":") + 2.0) < 1e-6);
    assert_null(strstr(json, "Concatenate"));
    assert_non_null(strstr(json, "\"units\":1,\"use_bias\":true,\"activation\":\"sigmoid\""));
    free(json);
    pd_network_destroy(&net);
}

/* Keras reads weights in this order: a swap of two batch normalisations of one width would give no
 * error. The places are those of keras.applications.Xception(classes=1). */
static void xception_is_in_keras_order(void **state)
{
    (void)state;
    enum { LAYERS = 36 + 4 + 40 + 1 }; /* convolutions, shortcuts, normalisations, dense */
    static const struct {
        int place;
        const char *name;
    } expected[] = {{3, "block1_conv2_bn"},     {4, "block2_sepconv1"},
                    {7, "block2_sepconv2_bn"},  {8, "conv2d"},
                    {9, "batch_normalization"}, {10, "block3_sepconv1"},
                    {72, "block13_sepconv2"},   {73, "block13_sepconv2_bn"},
                    {74, "conv2d_3"},           {75, "batch_normalization_3"},
                    {LAYERS - 1, "predictions"}};
    const pd_input input = {.size = SIDE, .channels = 1, .mean = 120.0f, .deviation = 60.0f};
    pd_network *net = make_model("xception", 1);
    const pd_exchange_model model = {
        .name = "xception", .network = net, .input = &input, .activation = "sigmoid"};
    int *order, count;
    assert_int_equal(pd_keras_config_order(&order, &count, &model), PD_OK);
    assert_int_equal(count, LAYERS);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_string_equal(pd_network_layer(net, order[expected[i].place])->name,
                            expected[i].name);
    free(order);
    pd_network_destroy(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_is_as_in_the_golden),
        cmocka_unit_test(grey_is_scaled_in_the_model),
        cmocka_unit_test(xception_is_in_keras_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
