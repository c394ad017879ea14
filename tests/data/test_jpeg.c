/* JPEG: the pixels of stb_image, and damage that stb_image alone does not find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "data/stb_decode.h"
#include "pneumo/base/random.h"
#include "pneumo/data/image.h"

#include <jpeglib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { HEIGHT = 61, WIDTH = 83 };

typedef struct variant {
    J_COLOR_SPACE space; /* in the file */
    int channels;
    int across, down; /* sampling of the first component */
    bool progressive;
    int restart;     /* rows of blocks between restart markers */
    int orientation; /* 0: no Exif data */
} variant;

static void set_kind(struct jpeg_compress_struct *jpeg, const variant *kind)
{
    jpeg->image_width = WIDTH;
    jpeg->image_height = HEIGHT;
    jpeg->input_components = kind->channels;
    jpeg->in_color_space = kind->channels == 1   ? JCS_GRAYSCALE
                           : kind->channels == 3 ? JCS_RGB
                                                 : JCS_CMYK;
    jpeg_set_defaults(jpeg);
    jpeg_set_colorspace(jpeg, kind->space);
    jpeg_set_quality(jpeg, 90, TRUE);
    jpeg->comp_info[0].h_samp_factor = kind->across;
    jpeg->comp_info[0].v_samp_factor = kind->down;
    jpeg->restart_in_rows = kind->restart;
    if (kind->progressive)
        jpeg_simple_progression(jpeg);
}

/* Smooth shades with noise. */
static void fill(unsigned char *row, int y, int channels)
{
    for (int x = 0; x < WIDTH; x++)
        for (int c = 0; c < channels; c++) {
            pd_random random =
                pd_random_stream(3, PD_PURPOSE_TEST, (uint32_t)c, (uint64_t)(y * WIDTH + x));
            row[x * channels + c] =
                (unsigned char)(60 + 2 * y + x / (c + 1) + (int)pd_random_below(&random, 9));
        }
}

static void write_exif(struct jpeg_compress_struct *jpeg, int orientation)
{
    unsigned char exif[] = "Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0";
    exif[25] = (unsigned char)orientation;
    jpeg_write_marker(jpeg, JPEG_APP0 + 1, exif, sizeof exif - 1);
}

/* *bytes is released with free(). */
static void write_jpeg(unsigned char **bytes, unsigned long *size, const variant *kind)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char row[WIDTH * 4];
    JSAMPROW rows[] = {row};
    *bytes = NULL;
    *size = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, bytes, size);
    set_kind(&jpeg, kind);
    jpeg_start_compress(&jpeg, TRUE);
    if (kind->orientation > 0)
        write_exif(&jpeg, kind->orientation);
    for (int y = 0; y < HEIGHT; y++) {
        fill(row, y, kind->channels);
        jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
}

/* The packed images of earlier versions were decoded by stb_image alone. */
static void pixels_are_those_of_stb_image(void **state)
{
    (void)state;
    static const variant kinds[] = {
        {JCS_GRAYSCALE, 1, 1, 1, false, 0, 0}, {JCS_GRAYSCALE, 1, 2, 2, false, 0, 0},
        {JCS_GRAYSCALE, 1, 1, 1, true, 0, 0},  {JCS_GRAYSCALE, 1, 1, 1, false, 1, 0},
        {JCS_YCbCr, 3, 1, 1, false, 0, 0},     {JCS_YCbCr, 3, 2, 1, false, 2, 0},
        {JCS_YCbCr, 3, 2, 2, true, 0, 0},      {JCS_YCbCr, 3, 1, 2, true, 1, 0},
        {JCS_RGB, 3, 1, 1, false, 0, 0},       {JCS_CMYK, 4, 1, 1, false, 0, 0},
        {JCS_YCCK, 4, 2, 2, false, 0, 0}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        unsigned char *bytes;
        unsigned long size;
        pd_image image, reference = {0};
        write_jpeg(&bytes, &size, &kinds[i]);
        if (pd_image_decode(&image, bytes, size) != PD_OK)
            fail_msg("kind %zu: %s", i, pd_error_message());
        assert_int_equal(pd_stb_decode(&reference, bytes, size), PD_OK);
        assert_int_equal(image.height, HEIGHT);
        assert_int_equal(image.width, WIDTH);
        assert_memory_equal(image.pixels, reference.pixels, HEIGHT * WIDTH);
        pd_image_free(&image);
        pd_image_free(&reference);
        free(bytes);
    }
}

static void exif_turns_the_image(void **state)
{
    (void)state;
    unsigned char *bytes;
    unsigned long size;
    pd_image image, reference = {0};
    write_jpeg(&bytes, &size, &(variant){JCS_YCbCr, 3, 2, 2, false, 0, 6});
    assert_int_equal(pd_image_decode(&image, bytes, size), PD_OK);
    assert_int_equal(pd_stb_decode(&reference, bytes, size), PD_OK);
    assert_int_equal(image.height, WIDTH);
    assert_int_equal(image.width, HEIGHT);
    for (int y = 0; y < HEIGHT; y++) /* the stored rows become columns from right to left */
        for (int x = 0; x < WIDTH; x++)
            assert_int_equal(image.pixels[x * HEIGHT + HEIGHT - 1 - y],
                             reference.pixels[y * WIDTH + x]);
    pd_image_free(&image);
    pd_image_free(&reference);
    free(bytes);
}

static size_t find_scan(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xda)
            return i + 12;
    fail_msg("no scan");
    return 0;
}

/* Zeros in the middle of the scan, as a broken copy has, and half of it: grey for stb_image. */
static void zeros_in_the_scan_are_found(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2)
        for (int count = 60; count <= 600; count += 60) {
            unsigned char *bytes;
            unsigned long size;
            pd_image image;
            write_jpeg(
                &bytes, &size,
                &(variant){channels == 1 ? JCS_GRAYSCALE : JCS_YCbCr, channels, 1, 1, false, 0, 0});
            size_t scan = find_scan(bytes, size);
            assert_in_range(scan + 300 + (size_t)count, 0, size - 20);
            memset(bytes + scan + 300, 0, (size_t)count);
            if (pd_image_decode(&image, bytes, size) != PD_FAILED)
                fail_msg("%d zeros of %d channels are not found", count, channels);
            assert_null(image.pixels);
            assert_non_null(strstr(pd_error_message(), "the JPEG is"));
            free(bytes);
        }
}

static void a_missing_end_is_found(void **state)
{
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        unsigned char *bytes;
        unsigned long size;
        pd_image image;
        write_jpeg(&bytes, &size, &(variant){JCS_YCbCr, 3, 2, 2, progressive, 0, 0});
        for (unsigned long cut = 0; cut < size; cut += 13)
            assert_int_equal(pd_image_decode(&image, bytes, cut), PD_FAILED);
        assert_int_equal(pd_image_decode(&image, bytes, size - 1), PD_FAILED);
        assert_non_null(strstr(pd_error_message(), "cut short"));
        free(bytes);
    }
}

/* Hundreds of scans, each as slow as an image. */
static void many_scans_are_refused(void **state)
{
    (void)state;
    unsigned char *bytes, *longer;
    unsigned long size;
    pd_image image;
    write_jpeg(&bytes, &size, &(variant){JCS_GRAYSCALE, 1, 1, 1, true, 0, 0});
    size_t start = find_scan(bytes, size) - 12, end = start + 2;
    while (bytes[end] != 0xff || bytes[end + 1] == 0)
        end++;
    size_t scan = end - start, total = 0;
    longer = malloc(size + 1000 * scan);
    assert_non_null(longer);
    memcpy(longer, bytes, end);
    total = end;
    for (int i = 0; i < 1000; i++, total += scan)
        memcpy(longer + total, bytes + start, scan);
    memcpy(longer + total, bytes + end, size - end);
    total += size - end;
    assert_int_equal(pd_image_decode(&image, longer, total), PD_FAILED);
    free(longer);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_those_of_stb_image), cmocka_unit_test(exif_turns_the_image),
        cmocka_unit_test(zeros_in_the_scan_are_found),   cmocka_unit_test(a_missing_end_is_found),
        cmocka_unit_test(many_scans_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
