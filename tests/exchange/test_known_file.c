/* Files that are recognised by their MD5. */
#include "exchange/donor_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* RFC 1321, A.5. */
static void the_md5_of_a_file_is_that_of_its_bytes(void **state)
{
    (void)state;
    char hex[PD_MD5_HEX];
    write_file("empty", "");
    assert_int_equal(pd_known_md5(hex, "empty"), PD_OK);
    assert_string_equal(hex, "d41d8cd98f00b204e9800998ecf8427e");
    write_file("digits", "1234567890123456789012345678901234567890"
                         "1234567890123456789012345678901234567890");
    assert_int_equal(pd_known_md5(hex, "digits"), PD_OK);
    assert_string_equal(hex, "57edf4a22be3c955ac49da2e2107b67a");
    assert_int_equal(pd_known_md5(hex, "gone"), PD_FAILED);
}

static void official_files_are_known_by_their_md5(void **state)
{
    (void)state;
    assert_string_equal(pd_known_name("64373286793e3c8b2b4e3219cbf3544b"), "VGG16");
    assert_string_equal(pd_known_name("253f8cb515780f3b799900260a226db6"), "VGG19 without its top");
    assert_string_equal(pd_known_name("b0042744bf5b25fce3cb969f33bebb97"),
                        "Xception without its top");
    assert_null(pd_known_name("d41d8cd98f00b204e9800998ecf8427e"));
}

static void other_files_are_not_named(void **state)
{
    (void)state;
    char what[64] = "before";
    write_file("other", "abc");
    assert_int_equal(pd_known_file(what, sizeof what, "other"), PD_OK);
    assert_string_equal(what, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_md5_of_a_file_is_that_of_its_bytes),
        cmocka_unit_test(official_files_are_known_by_their_md5),
        cmocka_unit_test(other_files_are_not_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
