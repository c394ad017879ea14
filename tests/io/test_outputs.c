#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/io/outputs.h"

#include "io/files.h"

static const char *const FOLDER = "io-outputs";

static int setup(void **state)
{
    (void)state;
    fresh_folder(FOLDER);
    spill("io-outputs/in", (const unsigned char *)"x", 1);
    spill("io-outputs/other", (const unsigned char *)"x", 1);
    assert_int_equal(mkdir("io-outputs/folder", 0777), 0);
    return 0;
}

static void check_refused(const char *output, const char *input)
{
    char message[256];
    const char *const inputs[] = {NULL, "io-outputs/none", "io-outputs/other", input};
    assert_int_equal(pd_output_check(output, inputs, 4), PD_FAILED);
    snprintf(message, sizeof message,
             "%s: is an input of this command and would be overwritten; give another file", output);
    assert_string_equal(pd_error_message(), message);
}

static void test_input_is_refused(void **state)
{
    (void)state;
    assert_int_equal(symlink("in", "io-outputs/link"), 0);
    assert_int_equal(link("io-outputs/in", "io-outputs/second"), 0);
    check_refused("io-outputs/in", "io-outputs/in");
    check_refused("io-outputs/folder/..//in", "io-outputs/in");
    check_refused("io-outputs/link", "io-outputs/in");
    check_refused("io-outputs/in", "io-outputs/link");
    check_refused("io-outputs/second", "io-outputs/in");
}

static void test_dangling_link_is_its_target(void **state)
{
    (void)state;
    assert_int_equal(symlink("folder/new", "io-outputs/link"), 0);
    const char *const outputs[] = {"io-outputs/link", "io-outputs/folder/new"};
    assert_int_equal(pd_outputs_check(outputs, 2, NULL, 0), PD_FAILED);
    assert_message("is given for two outputs");
    assert_int_equal(pd_outputs_check(outputs, 1, NULL, 0), PD_OK);
}

static void test_others_pass(void **state)
{
    (void)state;
    const char *const outputs[] = {"io-outputs/other",    NULL,
                                   "io-outputs/new",      NULL,
                                   "io-outputs/none/new", "io-outputs/folder/in"};
    const char *const inputs[] = {"io-outputs/in", "io-outputs/new", "io-outputs/folder", NULL};
    assert_int_equal(pd_outputs_check(outputs, 6, inputs, 4), PD_OK);
    assert_int_equal(pd_outputs_check(NULL, 0, inputs, 4), PD_OK);
    assert_int_equal(pd_output_check(NULL, inputs, 4), PD_OK);
    assert_int_equal(pd_output_check("io-outputs-none", NULL, 0), PD_OK);
}

static void test_two_outputs_are_one(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"io-outputs/in", "io-outputs/./in"},
        {"io-outputs/new", "io-outputs/folder/../new"},
        {"io-outputs/none/a", "io-outputs//none/.//a"},
        {"io-outputs-none/a", "./io-outputs-none/a"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *const outputs[] = {pairs[i][0], "io-outputs/other", NULL, pairs[i][1]};
        assert_int_equal(pd_outputs_check(outputs, 4, NULL, 0), PD_FAILED);
        assert_message("is given for two outputs; give each a file of its own");
        assert_message(i < 3 ? "io-outputs/" : "io-outputs-none/a");
    }
    const char *const apart[] = {"io-outputs/none/a", "io-outputs/none/aa", "io-outputs/none/a/a",
                                 "io-outputs/nonea"};
    assert_int_equal(pd_outputs_check(apart, 4, NULL, 0), PD_OK);
}

static void test_what_cannot_be_written(void **state)
{
    (void)state;
    const char *const outputs[] = {"io-outputs/new", "io-outputs/folder"};
    assert_int_equal(pd_outputs_check(outputs, 2, NULL, 0), PD_FAILED);
    assert_message("io-outputs/folder: cannot write: it is not a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_input_is_refused, setup),
        cmocka_unit_test_setup(test_dangling_link_is_its_target, setup),
        cmocka_unit_test_setup(test_others_pass, setup),
        cmocka_unit_test_setup(test_two_outputs_are_one, setup),
        cmocka_unit_test_setup(test_what_cannot_be_written, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
