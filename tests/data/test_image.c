/* Decoding, resizing and encoding images, and the errors for bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/image_internal.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"
#include "pneumo/io/file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A smooth image, on which JPEG has a small error. */
static pd_image make_image(int height, int width)
{
    pd_image image = {.height = height, .width = width};
    assert_int_equal(pd_alloc(&image.pixels, (size_t)height * (size_t)width, 1), PD_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            image.pixels[y * width + x] = (uint8_t)(40 + 100 * y / height + 100 * x / width);
    return image;
}

static void expect_near(const pd_image *a, const pd_image *b, int most)
{
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->width, b->width);
    for (int i = 0; i < a->height * a->width; i++)
        assert_in_range(abs(a->pixels[i] - b->pixels[i]), 0, most);
}

static void refuse(const unsigned char *bytes, size_t size, const char *words)
{
    pd_image image;
    assert_int_equal(pd_image_decode(&image, bytes, size), PD_FAILED);
    assert_null(image.pixels);
    if (!strstr(pd_error_message(), words))
        fail_msg("'%s' does not say '%s'", pd_error_message(), words);
}

static void jpeg_and_png_are_written_and_read(void **state)
{
    (void)state;
    pd_image image = make_image(37, 61), again;
    assert_int_equal(pd_image_write_jpeg("image.jpeg", &image, 95), PD_OK);
    assert_int_equal(pd_image_read(&again, "image.jpeg"), PD_OK);
    expect_near(&again, &image, 4);
    pd_image_free(&again);
    assert_int_equal(pd_image_write_png("image.png", &image), PD_OK);
    assert_int_equal(pd_image_read(&again, "image.png"), PD_OK);
    expect_near(&again, &image, 0);
    pd_image_free(&again);
    pd_image_free(&image);
    remove("image.jpeg");
    remove("image.png");
}

/* Red in a PNG of 2 x 1 pixels of 8 bits with alpha, and mid-grey in one of 16 bits. */
static void colour_alpha_and_16_bits_become_grey(void **state)
{
    (void)state;
    static const unsigned char rgba[] = {
        0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44,
        0x52, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, 0x00, 0x00, 0x00, 0xf4,
        0x22, 0x7f, 0x8a, 0x00, 0x00, 0x00, 0x0e, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xf8,
        0xcf, 0xc0, 0xf0, 0x1f, 0x84, 0x01, 0x11, 0xf7, 0x03, 0xfd, 0xfe, 0xad, 0xbb, 0x99, 0x00,
        0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
    static const unsigned char deep[] = {
        0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
        0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x10, 0x00, 0x00, 0x00,
        0x00, 0x6a, 0xee, 0x47, 0x16, 0x00, 0x00, 0x00, 0x0b, 0x49, 0x44, 0x41, 0x54, 0x78,
        0xda, 0x63, 0x68, 0x70, 0x00, 0x00, 0x01, 0x43, 0x00, 0xc1, 0xcc, 0x70, 0xe2, 0xea,
        0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
    pd_image image;
    assert_int_equal(pd_image_decode(&image, rgba, sizeof rgba), PD_OK);
    assert_int_equal(image.width, 2);
    assert_in_range(image.pixels[0], 75, 77); /* 0.299 * 255 */
    pd_image_free(&image);
    assert_int_equal(pd_image_decode(&image, deep, sizeof deep), PD_OK);
    assert_int_equal(image.pixels[0], 0x80);
    pd_image_free(&image);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    static const char text[] = "This is a text file with a wrong name.";
    static const unsigned char huge[] = {0xff, 0xd8, 0xff, 0xc0, 0x00, 0x0b, 8,    0x75, 0x30,
                                         0x75, 0x30, 1,    1,    0x11, 0,    0xff, 0xd9};
    static const unsigned char empty[] = {0xff, 0xd8, 0xff, 0xc0, 0x00, 0x0b, 8,    0,   0,
                                          0,    0,    1,    1,    0x11, 0,    0xff, 0xd9};
    pd_image image;
    refuse((const unsigned char *)text, sizeof text - 1, "not a JPEG, PNG or DICOM");
    refuse((const unsigned char *)text, 0, "empty");
    refuse(huge, sizeof huge, "30000");
    refuse(empty, sizeof empty, "header is damaged");
    refuse(huge, 3, "header is damaged");
    assert_int_equal(pd_image_read(&image, "no-such-file.jpeg"), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "no-such-file.jpeg"));
}

static void a_jpeg_cut_short_is_refused(void **state)
{
    (void)state;
    pd_image image = make_image(64, 64), again;
    unsigned char *bytes;
    size_t size;
    assert_int_equal(pd_image_write_jpeg("cut.jpeg", &image, 90), PD_OK);
    assert_int_equal(pd_file_read(&bytes, &size, "cut.jpeg", 1 << 20), PD_OK);
    for (size_t cut = 1; cut < size; cut += 7) {
        assert_int_equal(pd_image_decode(&again, bytes, size - cut), PD_FAILED);
        assert_null(again.pixels);
    }
    refuse(bytes, size - 2, "cut short");
    refuse(bytes, size - 40, "cut short");

    /* Bytes after the end are ignored. */
    unsigned char *padded;
    assert_int_equal(pd_alloc(&padded, size + 3000, 1), PD_OK);
    memcpy(padded, bytes, size);
    assert_int_equal(pd_image_decode(&again, padded, size + 3000), PD_OK);
    expect_near(&again, &image, 6);
    pd_image_free(&again);
    free(padded);
    free(bytes);
    pd_image_free(&image);
    remove("cut.jpeg");
}

/* Damaged bytes may be an error but must not crash. */
static void damaged_bytes_do_not_crash(void **state)
{
    (void)state;
    pd_image image = make_image(40, 40), again;
    assert_int_equal(pd_image_write_jpeg("damaged", &image, 80), PD_OK);
    for (int round = 0; round < 2; round++) {
        unsigned char *bytes;
        size_t size;
        assert_int_equal(pd_file_read(&bytes, &size, "damaged", 1 << 20), PD_OK);
        for (uint64_t trial = 0; trial < 300; trial++) {
            pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, (uint32_t)round, trial);
            size_t at[3];
            unsigned char before[3];
            for (int i = 0; i < 3; i++) {
                at[i] = pd_random_below(&random, (uint32_t)size);
                before[i] = bytes[at[i]];
                bytes[at[i]] = (unsigned char)pd_random_bits(&random);
            }
            if (pd_image_decode(&again, bytes, size) == PD_OK)
                pd_image_free(&again);
            for (int i = 3; i-- > 0;)
                bytes[at[i]] = before[i];
        }
        free(bytes);
        assert_int_equal(pd_image_write_png("damaged", &image), PD_OK);
    }
    pd_image_free(&image);
    remove("damaged");
}

static void shrinking_uses_every_pixel(void **state)
{
    (void)state;
    uint8_t small[8 * 8];
    /* Stripes of one pixel: a filter that skips pixels gives black or white. */
    pd_image image = make_image(160, 240);
    for (int i = 0; i < 160 * 240; i++)
        image.pixels[i] = i % 2 ? 255 : 0;
    assert_int_equal(pd_image_resize(small, 8, 8, &image), PD_OK);
    for (int i = 0; i < 64; i++) {
        bool border =
            i % 8 == 0 || i % 8 == 7; /* except where the last stripe is repeated beyond the edge */
        assert_in_range(small[i], border ? 100 : 126, border ? 155 : 129);
    }
    pd_image_free(&image);
}

static void resizing_keeps_positions(void **state)
{
    (void)state;
    uint8_t out[50 * 20];
    pd_image image = make_image(100, 300), wanted = make_image(50, 20);
    assert_int_equal(pd_image_resize(out, 50, 20, &image), PD_OK);
    pd_image got = {.height = 50, .width = 20, .pixels = out};
    expect_near(&got, &wanted, 6);
    pd_image_free(&image);
    pd_image_free(&wanted);

    pd_image dot = make_image(1, 1);
    assert_int_equal(pd_image_resize(out, 50, 20, &dot), PD_OK);
    for (int i = 0; i < 50 * 20; i++)
        assert_int_equal(out[i], dot.pixels[0]);
    pd_image_free(&dot);
}

static void writing_into_a_missing_folder_fails(void **state)
{
    (void)state;
    pd_image image = make_image(8, 8);
    assert_int_equal(pd_image_write_jpeg("no-such-folder/a.jpeg", &image, 90), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "no-such-folder/a.jpeg"));
    pd_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_and_png_are_written_and_read),
        cmocka_unit_test(colour_alpha_and_16_bits_become_grey),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(a_jpeg_cut_short_is_refused),
        cmocka_unit_test(damaged_bytes_do_not_crash),
        cmocka_unit_test(shrinking_uses_every_pixel),
        cmocka_unit_test(resizing_keeps_positions),
        cmocka_unit_test(writing_into_a_missing_folder_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
