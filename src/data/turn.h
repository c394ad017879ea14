/* Turning images upright by the orientation that cameras and scanners store. */
#ifndef PNEUMO_DATA_TURN_H
#define PNEUMO_DATA_TURN_H

#include "pneumo/data/image.h"

/* The orientation, 1 to 8, in Exif data (a TIFF header and its first directory); 1, upright, if
 * there is none. */
int pd_turn_of_exif(const unsigned char *bytes, size_t size);

/* Turns and mirrors an image that was stored in this orientation (Exif 2.3, tag 0x0112) until it is
 * upright. Frees the pixels if memory runs out. */
pd_status pd_turn(pd_image *image, int orientation);

#endif
