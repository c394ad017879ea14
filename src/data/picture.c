#include "pneumo/data/picture.h"

#include <stb_image_resize.h>
#include <stb_image_write.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

pd_status pd_picture_smooth(float *out, int height, int width, const float *values, int rows,
                            int columns)
{
    if (!stbir_resize_float_generic(values, columns, rows, 0, out, width, height, 0, 1,
                                    STBIR_ALPHA_CHANNEL_NONE, 0, STBIR_EDGE_CLAMP,
                                    STBIR_FILTER_CUBICBSPLINE, STBIR_COLORSPACE_LINEAR, NULL))
        return pd_fail("no memory for a map of %d x %d pixels", width, height);
    return PD_OK;
}

static void append_to_stream(void *stream, void *bytes, int size)
{
    fwrite(bytes, 1, (size_t)size, stream); /* a failure is seen by ferror at the end */
}

pd_status pd_picture_encode(unsigned char **bytes, size_t *size, const pd_picture *picture)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, size);
    bool encoded = stream != NULL &&
                   stbi_write_png_to_func(append_to_stream, stream, picture->width, picture->height,
                                          3, picture->pixels, 3 * picture->width) &&
                   !ferror(stream);
    if (stream != NULL)
        encoded = fclose(stream) == 0 && encoded;
    *bytes = (unsigned char *)text;
    if (encoded)
        return PD_OK;
    free(text);
    *bytes = NULL;
    return pd_fail("no memory to encode a picture of %d x %d pixels", picture->width,
                   picture->height);
}

void pd_picture_free(pd_picture *picture)
{
    free(picture->pixels);
    *picture = (pd_picture){0};
}
