#include "pneumo/data/picture.h"

#include "encode.h"

#include <stb_image_resize.h>
#include <stdlib.h>

pd_status pd_picture_smooth(float *out, int height, int width, const float *values, int rows,
                            int columns)
{
    if (!stbir_resize_float_generic(values, columns, rows, 0, out, width, height, 0, 1,
                                    STBIR_ALPHA_CHANNEL_NONE, 0, STBIR_EDGE_CLAMP,
                                    STBIR_FILTER_CUBICBSPLINE, STBIR_COLORSPACE_LINEAR, NULL))
        return pd_fail_system("out of memory for a map of %d x %d pixels", width, height);
    return PD_OK;
}

pd_status pd_picture_encode(unsigned char **bytes, size_t *size, const pd_picture *picture)
{
    const pd_raster raster = {.height = picture->height,
                              .width = picture->width,
                              .channels = 3,
                              .pixels = picture->pixels};
    return pd_encode_memory(bytes, size, &raster);
}

void pd_picture_free(pd_picture *picture)
{
    free(picture->pixels);
    *picture = (pd_picture){0};
}
