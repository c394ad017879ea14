/* Functions of image.c for tests. */
#ifndef PNEUMO_DATA_IMAGE_INTERNAL_H
#define PNEUMO_DATA_IMAGE_INTERNAL_H

#include "pneumo/data/image.h"

/* Writes a PNG file. */
pd_status pd_image_write_png(const char *path, const pd_image *image);

#endif
