/* The table of image formats: recognised by content, found by extension, named in messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/image_format.h"
#include "pneumo/base/status.h"

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

static void other_kinds_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } cases[] = {{"RIFF\x10\0\0\0WEBPVP8 ", 16, "WebP is not supported; convert it"},
                 {"II*\0\x08\0\0\0", 8, "'magick in.tif out.png'"},
                 {"MM\0*\0\0\0\x08", 8, "TIFF is not supported"},
                 {"GIF89a", 6, "GIF is not supported"},
                 {"BM\x36\0\0\0\0\0", 8, "BMP is not supported"},
                 {"\0\0\0\x0cjP  \r\n\x87\n", 12, "JPEG 2000 is not supported"},
                 {"\0\0\0\x20"
                  "ftypavif",
                  12, "AVIF is not supported"},
                 {"%PDF-1.7", 8, "pdfimages"},
                 {"PK\3\4", 4, "ZIP is not supported; unpack it"},
                 {"RIFF\x10\0\0\0WEB", 11, "not a JPEG, PNG or DICOM image"},
                 {"", 0, "not a JPEG, PNG or DICOM image"},
                 {"a text", 6, "not a JPEG, PNG or DICOM image"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const unsigned char *bytes = (const unsigned char *)cases[i].bytes;
        assert_null(pd_image_format_of_bytes(bytes, cases[i].size));
        assert_int_equal(pd_image_format_refuse(bytes, cases[i].size), PD_FAILED);
        if (!strstr(pd_error_message(), cases[i].words))
            fail_msg("'%s' does not say '%s'", pd_error_message(), cases[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_decides),
        cmocka_unit_test(extensions_ignore_case),
        cmocka_unit_test(lists_name_every_format),
        cmocka_unit_test(other_kinds_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
