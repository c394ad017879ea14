#include "pneumo/data/image.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"

#include <errno.h>
#include <stb_image.h>
#include <stb_image_resize.h>
#include <stb_image_write.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_MAX = 256 << 20,   /* bytes */
    PIXELS_MAX = 128 << 20, /* a few times the largest radiograph; bounds the memory of a decoder */
};

static bool is_jpeg(const unsigned char *bytes, size_t size)
{
    return size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

static bool is_png(const unsigned char *bytes, size_t size)
{
    return size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0;
}

/* Walks the segments of a JPEG to its end-of-image marker. stb_image paints what is missing of a
 * file that was cut short, without an error, so this is looked at before. Bytes behind the marker
 * do no harm. */
static bool jpeg_is_whole(const unsigned char *bytes, size_t size)
{
    size_t at = 2;
    while (at + 1 < size) {
        unsigned char marker = bytes[at + 1];
        if (bytes[at] != 0xff || marker == 0xff) {
            at++; /* pixel data, or fill before a marker */
        } else if (marker == 0xd9) {
            return true;
        } else if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
            at += 2; /* an escaped 0xff, or a marker without a segment */
        } else {
            if (at + 3 >= size)
                return false;
            at += 2 + (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);
        }
    }
    return false;
}

pd_status pd_image_decode(pd_image *out, const unsigned char *bytes, size_t size)
{
    *out = (pd_image){0};
    if (size == 0)
        return pd_fail("the file is empty");
    if (size > FILE_MAX)
        return pd_fail("the file is larger than %d MiB", FILE_MAX >> 20);
    if (!is_jpeg(bytes, size) && !is_png(bytes, size))
        return pd_fail("neither a JPEG nor a PNG image, whatever its name says");

    int width, height, components;
    if (!stbi_info_from_memory(bytes, (int)size, &width, &height, &components))
        return pd_fail("the image's header is damaged (%s)", stbi_failure_reason());
    if (width < 1 || height < 1)
        return pd_fail("the image has no pixels (%d x %d)", width, height);
    if (width > PD_IMAGE_SIDE_MAX || height > PD_IMAGE_SIDE_MAX ||
        (int64_t)width * height > PIXELS_MAX)
        return pd_fail("the image is too large (%d x %d pixels; at most %d a side and %d million "
                       "in all)",
                       width, height, PD_IMAGE_SIDE_MAX, PIXELS_MAX / 1000000);
    if (is_jpeg(bytes, size) && !jpeg_is_whole(bytes, size))
        return pd_fail("the JPEG is cut short: its end is missing; copy the file again");

    out->pixels = stbi_load_from_memory(bytes, (int)size, &width, &height, &components, 1);
    if (!out->pixels)
        return pd_fail("the image is damaged (%s)", stbi_failure_reason());
    out->width = width;
    out->height = height;
    return PD_OK;
}

pd_status pd_image_read(pd_image *out, const char *path)
{
    pd_status status;
    unsigned char *bytes = NULL;
    size_t size;

    *out = (pd_image){0};
    PD_TRY(pd_file_read(&bytes, &size, path, FILE_MAX));
    PD_TRY(pd_image_decode(out, bytes, size));

cleanup:
    free(bytes);
    return status;
}

void pd_image_free(pd_image *image)
{
    free(image->pixels);
    *image = (pd_image){0};
}

pd_status pd_image_resize(uint8_t *out, int height, int width, const pd_image *image)
{
    /* Mitchell-Netravali: stb widens it with the ratio when it shrinks, so no pixel is left out. */
    if (!stbir_resize_uint8_generic(image->pixels, image->width, image->height, 0, out, width,
                                    height, 0, 1, STBIR_ALPHA_CHANNEL_NONE, 0, STBIR_EDGE_CLAMP,
                                    STBIR_FILTER_MITCHELL, STBIR_COLORSPACE_LINEAR, NULL))
        return pd_fail("no memory to resize an image of %d x %d pixels to %d x %d", image->width,
                       image->height, width, height);
    return PD_OK;
}

static void append_to_file(void *file, void *bytes, int size)
{
    fwrite(bytes, 1, (size_t)size, file); /* a failure is seen by ferror at the end */
}

/* A quality of 0 stands for PNG. */
static bool encode(FILE *out, const pd_image *image, int quality)
{
    int encoded = quality > 0
                      ? stbi_write_jpg_to_func(append_to_file, out, image->width, image->height, 1,
                                               image->pixels, quality)
                      : stbi_write_png_to_func(append_to_file, out, image->width, image->height, 1,
                                               image->pixels, image->width);
    return encoded && !ferror(out);
}

pd_status pd_image_encode_jpeg(unsigned char **bytes, size_t *size, const pd_image *image,
                               int quality)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, size);
    bool encoded = stream != NULL && encode(stream, image, quality);
    if (stream != NULL)
        encoded = fclose(stream) == 0 && encoded;
    *bytes = (unsigned char *)text;
    if (encoded)
        return PD_OK;
    free(text);
    *bytes = NULL;
    return pd_fail("no memory to encode an image of %d x %d pixels", image->width, image->height);
}

static pd_status write_encoded(const char *path, const pd_image *image, int quality)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return pd_fail("cannot write %s: %s", path, strerror(errno));
    bool encoded = encode(file, image, quality);
    encoded = fclose(file) == 0 && encoded;
    if (!encoded) {
        remove(path);
        return pd_fail("cannot write %s: is the disk full?", path);
    }
    return PD_OK;
}

pd_status pd_image_write_jpeg(const char *path, const pd_image *image, int quality)
{
    return write_encoded(path, image, quality);
}

pd_status pd_image_write_png(const char *path, const pd_image *image)
{
    return write_encoded(path, image, 0);
}
