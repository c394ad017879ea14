/* PNG: depths, palettes, interlacing, the range of 16 bits, checksums, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/memory.h"
#include "pneumo/data/image.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

enum { HEIGHT = 37, WIDTH = 29, ROOM = 1 << 16 };

typedef struct buffer {
    unsigned char bytes[ROOM];
    size_t size;
} buffer;

static void append(png_structp png, png_bytep bytes, size_t count)
{
    buffer *out = png_get_io_ptr(png);
    assert_in_range(out->size + count, 0, ROOM);
    memcpy(out->bytes + out->size, bytes, count);
    out->size += count;
}

static void no_flush(png_structp png)
{
    (void)png;
}

/* What is written: `value` of pixel (y, x), scaled to `bits`, in every channel. */
typedef struct variant {
    int colour, bits, interlace;
    unsigned largest; /* of the values */
} variant;

static unsigned value_at(const variant *kind, int y, int x)
{
    return y + x == 0 ? kind->largest : (unsigned)((y * 7 + x * 5) * 7919) % (kind->largest + 1);
}

static void put_value(unsigned char *row, int index, int bits, unsigned value)
{
    if (bits == 16) {
        row[2 * index] = (unsigned char)(value >> 8);
        row[2 * index + 1] = (unsigned char)value;
    } else {
        int at = index * bits;
        row[at / 8] |= (unsigned char)(value << (8 - bits - at % 8));
    }
}

static void fill(unsigned char *row, const variant *kind, int y, int channels)
{
    bool alpha = kind->colour & PNG_COLOR_MASK_ALPHA;
    for (int x = 0; x < WIDTH; x++)
        for (int c = 0; c < channels; c++)
            put_value(row, x * channels + c, kind->bits,
                      alpha && c == channels - 1 ? 0 : value_at(kind, y, x));
}

static void write_png(buffer *out, const variant *kind)
{
    static unsigned char rows[HEIGHT][WIDTH * 8];
    png_bytep pointers[HEIGHT];
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    memset(out, 0, sizeof *out);
    png_set_write_fn(png, out, append, no_flush);
    png_set_IHDR(png, info, WIDTH, HEIGHT, kind->bits, kind->colour, kind->interlace,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (kind->colour == PNG_COLOR_TYPE_PALETTE) { /* grey, in reverse */
        png_color palette[256];
        int count = 1 << kind->bits;
        for (int i = 0; i < count; i++)
            palette[i].red = palette[i].green = palette[i].blue =
                (png_byte)(255 - 255 * i / (count - 1));
        png_set_PLTE(png, info, palette, count);
    }
    png_write_info(png, info);
    memset(rows, 0, sizeof rows);
    for (int y = 0; y < HEIGHT; y++) {
        fill(rows[y], kind, y, png_get_channels(png, info));
        pointers[y] = rows[y];
    }
    png_write_image(png, pointers);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
}

/* The grey of a pixel; `shift` is that of 16 bits. */
static int grey_of(const variant *kind, unsigned value, int shift)
{
    if (kind->bits == 16)
        return (int)(value >> shift);
    unsigned white = (1u << kind->bits) - 1;
    int grey = (int)(255 * value / white);
    return kind->colour == PNG_COLOR_TYPE_PALETTE ? 255 - grey : grey;
}

static void expect(const variant *kind, int shift)
{
    static buffer file;
    pd_image image;
    write_png(&file, kind);
    if (pd_image_decode(&image, file.bytes, file.size) != PD_OK)
        fail_msg("%s", pd_error_message());
    assert_int_equal(image.height, HEIGHT);
    assert_int_equal(image.width, WIDTH);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            int wanted = grey_of(kind, value_at(kind, y, x), shift);
            if (image.pixels[y * WIDTH + x] != wanted)
                fail_msg("colour %d, %d bits, interlace %d: (%d, %d) is %d instead of %d",
                         kind->colour, kind->bits, kind->interlace, y, x,
                         image.pixels[y * WIDTH + x], wanted);
        }
    pd_image_free(&image);
}

static void every_kind_is_read(void **state)
{
    (void)state;
    static const int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                                  PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA,
                                  PNG_COLOR_TYPE_PALETTE};
    for (int c = 0; c < 5; c++)
        for (int bits = 1; bits <= 16; bits *= 2)
            for (int interlace = 0; interlace < 2; interlace++) {
                bool palette = colours[c] == PNG_COLOR_TYPE_PALETTE;
                if ((palette && bits > 8) ||
                    (!palette && colours[c] != PNG_COLOR_TYPE_GRAY && bits < 8))
                    continue; /* not in PNG */
                expect(&(variant){colours[c], bits, interlace, (1u << bits) - 1}, 8);
            }
}

/* 16-bit samples that hold fewer bits. */
static void the_range_is_that_of_the_values(void **state)
{
    (void)state;
    static const struct {
        unsigned largest;
        int shift;
    } cases[] = {{65535, 8}, {32768, 8}, {32767, 7}, {16383, 6}, {4095, 4},
                 {4000, 4},  {1023, 2},  {256, 1},   {255, 0},   {90, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect(&(variant){PNG_COLOR_TYPE_GRAY, 16, 0, cases[i].largest}, cases[i].shift);
        expect(&(variant){PNG_COLOR_TYPE_RGB, 16, 1, cases[i].largest}, cases[i].shift);
    }
}

/* One flipped bit anywhere, or a missing end, is an error. */
static void damage_is_found(void **state)
{
    (void)state;
    static buffer file;
    pd_image image;
    for (int interlace = 0; interlace < 2; interlace++) {
        write_png(&file, &(variant){PNG_COLOR_TYPE_GRAY, 8, interlace, 255});
        for (size_t i = 0; i < file.size; i++) {
            file.bytes[i] ^= (unsigned char)(1 << i % 8);
            if (pd_image_decode(&image, file.bytes, file.size) != PD_FAILED)
                fail_msg("byte %zu of %zu is damaged, which is not found", i, file.size);
            assert_null(image.pixels);
            file.bytes[i] ^= (unsigned char)(1 << i % 8);
        }
        for (size_t size = 0; size < file.size; size++)
            assert_int_equal(pd_image_decode(&image, file.bytes, size), PD_FAILED);
    }
    assert_int_equal(pd_image_decode(&image, file.bytes, file.size - 20), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "cut short"));
}

/* Bytes behind the end are ignored. */
static void bytes_behind_the_end_are_ignored(void **state)
{
    (void)state;
    static buffer file;
    pd_image image;
    write_png(&file, &(variant){PNG_COLOR_TYPE_GRAY, 8, 0, 255});
    assert_int_equal(pd_image_decode(&image, file.bytes, file.size + 500), PD_OK);
    pd_image_free(&image);
}

static void a_forged_size_is_refused(void **state)
{
    (void)state;
    static buffer file;
    pd_image image;
    write_png(&file, &(variant){PNG_COLOR_TYPE_GRAY, 8, 0, 255});
    memcpy(file.bytes + 16, "\0\0\xff\xff\0\0\xff\xff", 8);
    uint32_t crc = 0xffffffff;
    for (int i = 12; i < 29; i++) {
        crc ^= file.bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    crc = ~crc;
    for (int i = 0; i < 4; i++)
        file.bytes[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    assert_int_equal(pd_image_decode(&image, file.bytes, file.size), PD_FAILED);
    if (!strstr(pd_error_message(), "too large (65535 x 65535"))
        fail_msg("%s", pd_error_message());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_read),
        cmocka_unit_test(the_range_is_that_of_the_values),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(bytes_behind_the_end_are_ignored),
        cmocka_unit_test(a_forged_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
