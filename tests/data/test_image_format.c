/* The table of image formats: recognised by content, found by extension, named in messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/image_format.h"

#include <string.h>

static void content_decides(void **state)
{
    (void)state;
    const unsigned char jpeg[] = "\xff\xd8\xff\xe0", png[] = "\x89PNG\r\n\x1a\n", text[] = "text";
    assert_ptr_equal(pd_image_format_of_bytes(jpeg, sizeof jpeg - 1), &pd_image_format_jpeg);
    assert_ptr_equal(pd_image_format_of_bytes(png, sizeof png - 1), &pd_image_format_png);
    assert_null(pd_image_format_of_bytes(text, sizeof text - 1));
    assert_null(pd_image_format_of_bytes(png, 7));
    assert_null(pd_image_format_of_bytes(jpeg, 0));
}

static void extensions_ignore_case(void **state)
{
    (void)state;
    assert_ptr_equal(pd_image_format_of_path("a.b/c.JPeg"), &pd_image_format_jpeg);
    assert_ptr_equal(pd_image_format_of_path("c.jpg"), &pd_image_format_jpeg);
    assert_ptr_equal(pd_image_format_of_path("/a/c.jpg.png"), &pd_image_format_png);
    static const char *const others[] = {"", "png", "c.txt", "c.png.gz", "c.", "a.png/c", "c.pngs"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(pd_image_format_of_path(others[i]));
}

static void lists_name_every_format(void **state)
{
    (void)state;
    char text[PD_IMAGE_FORMAT_TEXT];
    assert_string_equal(pd_image_format_names(text), "JPEG, PNG or DICOM");
    assert_string_equal(pd_image_format_extensions(text), ".jpeg, .jpg, .png, .dcm or .dicom");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_decides),
        cmocka_unit_test(extensions_ignore_case),
        cmocka_unit_test(lists_name_every_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
