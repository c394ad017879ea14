#include "encode.h"

#include <errno.h>
#include <stb_image_write.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append(void *stream, void *bytes, int size)
{
    fwrite(bytes, 1, (size_t)size, stream); /* ferror reports a failure at the end */
}

static bool encode(FILE *stream, const pd_raster *raster)
{
    int height = raster->height, width = raster->width, channels = raster->channels;
    int encoded = raster->quality > 0
                      ? stbi_write_jpg_to_func(append, stream, width, height, channels,
                                               raster->pixels, raster->quality)
                      : stbi_write_png_to_func(append, stream, width, height, channels,
                                               raster->pixels, width * channels);
    return encoded && !ferror(stream);
}

pd_status pd_encode_memory(unsigned char **bytes, size_t *size, const pd_raster *raster)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, size);
    bool encoded = stream != NULL && encode(stream, raster);
    if (stream != NULL)
        encoded = fclose(stream) == 0 && encoded;
    *bytes = (unsigned char *)text;
    if (encoded)
        return PD_OK;
    free(text);
    *bytes = NULL;
    return pd_fail("out of memory for encoding an image of %d x %d pixels", raster->width,
                   raster->height);
}

pd_status pd_encode_file(const char *path, const pd_raster *raster)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return pd_fail("cannot write %s: %s", path, strerror(errno));
    errno = 0;
    bool encoded = encode(file, raster);
    encoded = fclose(file) == 0 && encoded;
    if (encoded)
        return PD_OK;
    int reason = errno == 0 ? EIO : errno;
    remove(path);
    return pd_fail("cannot write %s: %s", path, strerror(reason));
}
