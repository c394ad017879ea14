/* Decoding with stb_image, which the JPEG and PNG formats share. */
#ifndef PNEUMO_DATA_STB_DECODE_H
#define PNEUMO_DATA_STB_DECODE_H

#include "pneumo/data/image.h"

/* Checks the header against the size limits of pd_image_check_size: fails before any pixel memory
 * is allocated. */
pd_status pd_stb_check(const unsigned char *bytes, size_t size);

/* Decodes to grey (Rec. 601 luma for colour, the high byte of 16 bits). */
pd_status pd_stb_decode(pd_image *out, const unsigned char *bytes, size_t size);

#endif
