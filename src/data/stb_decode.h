/* Decoding JPEG with stb_image. */
#ifndef PNEUMO_DATA_STB_DECODE_H
#define PNEUMO_DATA_STB_DECODE_H

#include "pneumo/data/image.h"

/* Checks the header against the size limits of pd_image_check_size: fails before any pixel memory
 * is allocated. */
pd_status pd_stb_check(const unsigned char *bytes, size_t size);

/* Decodes to grey (Rec. 601 luma for colour). */
pd_status pd_stb_decode(pd_image *out, const unsigned char *bytes, size_t size);

/* Writes 8 rows of 8 pixels to out, `stride` apart, from dequantised coefficients in natural order,
 * aligned to 16 bytes: what stb_image computes from them. */
void pd_stb_inverse_dct(unsigned char *out, int stride, short block[64]);

#endif
