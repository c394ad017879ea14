/* Colour pictures for reports. */
#ifndef PNEUMO_DATA_PICTURE_H
#define PNEUMO_DATA_PICTURE_H

#include "pneumo/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct pd_picture {
    int height, width;
    uint8_t *pixels; /* RGB, [height][width][3]; released with pd_picture_free */
} pd_picture;

/* Resamples values [rows][columns] to out [height][width] by cubic B-splines: smooth, and within
 * the range of the values. */
pd_status pd_picture_smooth(float *out, int height, int width, const float *values, int rows,
                            int columns);

/* Encodes as PNG in memory; *bytes is released with free(). */
pd_status pd_picture_encode(unsigned char **bytes, size_t *size, const pd_picture *picture);
void pd_picture_free(pd_picture *picture);

#endif
