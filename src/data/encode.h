/* Encoding pixels as JPEG or PNG with stb_image_write. */
#ifndef PNEUMO_DATA_ENCODE_H
#define PNEUMO_DATA_ENCODE_H

#include "pneumo/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* What is encoded. */
typedef struct pd_raster {
    int height, width, channels; /* channels: 1 grey, 3 RGB */
    const uint8_t *pixels;       /* [height][width][channels] */
    int quality;                 /* of the JPEG, 1 to 100; 0: PNG */
} pd_raster;

/* Encodes to memory; *bytes is released with free(). Fails when memory runs out. */
pd_status pd_encode_memory(unsigned char **bytes, size_t *size, const pd_raster *raster);

/* Encodes to the file `path`, which is removed again if that fails. */
pd_status pd_encode_file(const char *path, const pd_raster *raster);

#endif
