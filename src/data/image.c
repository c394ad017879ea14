#include "pneumo/data/image.h"

#include "encode.h"
#include "image_format.h"
#include "image_internal.h"
#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"

#include <ctype.h>
#include <errno.h>
#include <stb_image_resize.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A few times the largest radiograph; limits the memory of a decoder. */
enum { PIXELS_MAX = 128 << 20 };

pd_status pd_image_check_size(int height, int width)
{
    if (width < 1 || height < 1)
        return pd_fail("the image has no pixels (%d x %d)", width, height);
    if (width > PD_IMAGE_SIDE_MAX || height > PD_IMAGE_SIDE_MAX ||
        (int64_t)width * height > PIXELS_MAX)
        return pd_fail("the image is too large (%d x %d pixels; at most %d a side and %d million "
                       "in all)",
                       width, height, PD_IMAGE_SIDE_MAX, PIXELS_MAX / 1000000);
    return PD_OK;
}

pd_status pd_image_decode(pd_image *out, const unsigned char *bytes, size_t size)
{
    *out = (pd_image){0};
    if (size == 0)
        return pd_fail("the file is empty");
    if (size > PD_IMAGE_FILE_MAX)
        return pd_fail("the file is larger than %d MiB", PD_IMAGE_FILE_MAX >> 20);
    const pd_image_format *format = pd_image_format_of_bytes(bytes, size);
    if (format == NULL)
        return pd_image_format_refuse(bytes, size);
    return format->decode(out, bytes, size);
}

pd_status pd_image_check_path(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return pd_fail("cannot open: %s", strerror(errno));
    return S_ISREG(about.st_mode) || S_ISDIR(about.st_mode) ? PD_OK : pd_fail("not a regular file");
}

pd_status pd_image_read(pd_image *out, const char *path)
{
    pd_status status;
    unsigned char *bytes = NULL;
    size_t size;

    *out = (pd_image){0};
    PD_TRY(pd_file_read(&bytes, &size, path, PD_IMAGE_FILE_MAX));
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

bool pd_image_identity_in(const pd_image *image, const char *path)
{
    char *plain;
    size_t used = 0;
    bool found = false;
    if (image->identity[0] == '\0')
        return false;
    if (pd_alloc(&plain, strlen(path) + 1, 1) != PD_OK)
        return true; /* the safe answer */
    for (const unsigned char *c = (const unsigned char *)path; *c != '\0'; c++)
        if (isalnum(*c) || *c >= 0x80)
            plain[used++] = (char)tolower(*c);
    for (const char *word = image->identity; *word != '\0' && !found; word += strlen(word) + 1)
        found = strstr(plain, word) != NULL;
    free(plain);
    return found;
}

pd_status pd_image_make_alias(char **out, const char *label, int64_t number)
{
    return pd_format(out, "%s/image-%06lld.dcm", label, (long long)number);
}

pd_status pd_image_resize(uint8_t *out, int height, int width, const pd_image *image)
{
    /* Mitchell-Netravali: stb widens it with the ratio when it shrinks, so no pixel is left out. */
    if (!stbir_resize_uint8_generic(image->pixels, image->width, image->height, 0, out, width,
                                    height, 0, 1, STBIR_ALPHA_CHANNEL_NONE, 0, STBIR_EDGE_CLAMP,
                                    STBIR_FILTER_MITCHELL, STBIR_COLORSPACE_LINEAR, NULL))
        return pd_fail_system("out of memory for resizing an image of %d x %d pixels to %d x %d",
                              image->width, image->height, width, height);
    return PD_OK;
}

static pd_raster raster_of(const pd_image *image, int quality)
{
    return (pd_raster){.height = image->height,
                       .width = image->width,
                       .channels = 1,
                       .pixels = image->pixels,
                       .quality = quality};
}

pd_status pd_image_encode_jpeg(unsigned char **bytes, size_t *size, const pd_image *image,
                               int quality)
{
    const pd_raster raster = raster_of(image, quality);
    return pd_encode_memory(bytes, size, &raster);
}

pd_status pd_image_write_jpeg(const char *path, const pd_image *image, int quality)
{
    const pd_raster raster = raster_of(image, quality);
    return pd_encode_file(path, &raster);
}

pd_status pd_image_write_png(const char *path, const pd_image *image)
{
    const pd_raster raster = raster_of(image, 0);
    return pd_encode_file(path, &raster);
}
