/* Decoding radiographs and bringing them to one size. */
#ifndef PNEUMO_DATA_IMAGE_H
#define PNEUMO_DATA_IMAGE_H

#include "pneumo/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* No side longer than this is decoded: the header is looked at first, so that a hostile header
 * costs no memory. */
enum { PD_IMAGE_SIDE_MAX = 16384 };

typedef struct pd_image {
    int height, width;
    uint8_t *pixels; /* grey, [height][width]; released by pd_image_free */
} pd_image;

/* Reads a JPEG or PNG file as grey (Rec. 601 luma for colour). The error says what is wrong but not
 * with which file: the caller knows whether to name it (pd_error_prefix). A JPEG that ends before
 * its end-of-image marker is an error. */
pd_status pd_image_read(pd_image *out, const char *path);

/* The same from memory. */
pd_status pd_image_decode(pd_image *out, const unsigned char *bytes, size_t size);

void pd_image_free(pd_image *image);

/* Resizes to out [height][width] with a filter fit for shrinking (every source pixel counts). The
 * aspect is not kept: size and aspect must not reach the model. */
pd_status pd_image_resize(uint8_t *out, int height, int width, const pd_image *image);

/* The image as JPEG in memory; *bytes is released by free(). */
pd_status pd_image_encode_jpeg(unsigned char **bytes, size_t *size, const pd_image *image,
                               int quality);

/* Encode for synth and for tests. */
pd_status pd_image_write_jpeg(const char *path, const pd_image *image, int quality);
pd_status pd_image_write_png(const char *path, const pd_image *image);

#endif
