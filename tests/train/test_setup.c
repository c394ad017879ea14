/* The network of a checkpoint: what is checked before it takes memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/train/setup.h"

#include <string.h>
#include <sys/resource.h>

static float values[64];
static pd_array weights[] = {{"predictions", "kernel", 2, {64, 1}, values},
                             {"predictions", "bias", 1, {1}, values},
                             {"predictions", "gamma", 1, {1}, values}};

/* The largest memory of this process so far, in bytes. */
static int64_t peak(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (int64_t)usage.ru_maxrss * 1024;
}

/* Builds the network of a checkpoint with the first `count` weights and that job. */
static pd_status check_count(const char *text, const char *model, int count)
{
    pd_network *network = NULL;
    pd_input input;
    pd_job job;
    pd_checkpoint checkpoint = {.image_height = 8,
                                .image_width = 8,
                                .job = text,
                                .arrays.weight_count = count,
                                .arrays.weights = weights};
    strcpy(checkpoint.model, model);
    assert_int_equal(pd_job_parse(&job, "job", text, NULL, 0), PD_OK);
    pd_status status = pd_setup_checkpoint(&network, &input, &job, &checkpoint);
    assert_true((network == NULL) == (status != PD_OK));
    assert_int_equal(pd_setup_check(&job, &checkpoint), status);
    pd_network_destroy(&network);
    return status;
}

static pd_status check(const char *text, const char *model)
{
    return check_count(text, model, 2);
}

static void test_memory(void **state)
{
    (void)state;
    const int64_t before = peak();
    assert_int_equal(check("[data]\nsize = 224\n[model]\nname = vgg16\n", "vgg16"), PD_FAILED);
    assert_string_equal(pd_error_message(), "it has no weights 'block1_conv1/kernel': it is a "
                                            "checkpoint of another model");
    assert_int_equal(check("[data]\nsize = 4096\n[model]\nname = dense1\n", "dense1"), PD_FAILED);
    assert_non_null(
        strstr(pd_error_message(), "have another shape: it is a checkpoint of another"));
    assert_true(peak() - before < 32 << 20);
}

static void test_network(void **state)
{
    (void)state;
    assert_int_equal(check("[data]\nsize = 8\n[model]\nname = dense1\n", "dense1"), PD_OK);
    assert_int_equal(check_count("[data]\nsize = 8\n[model]\nname = dense1\n", "dense1", 1),
                     PD_FAILED);
    assert_string_equal(pd_error_message(), "it has no weights 'predictions/bias': it is a "
                                            "checkpoint of another model");
    assert_int_equal(check_count("[data]\nsize = 8\n[model]\nname = dense1\n", "dense1", 3),
                     PD_FAILED);
    assert_string_equal(pd_error_message(), "its weights 'predictions/gamma' are superfluous: it "
                                            "is a checkpoint of another model");
    assert_int_equal(check("[data]\nsize = 8\n", PD_SETUP_IMPORTED), PD_FAILED);
    assert_string_equal(pd_error_message(),
                        "its 'model_config' or '/input' is missing; import the model again");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory),
                                       cmocka_unit_test(test_network)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
