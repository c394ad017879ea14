/* Sampling a grey image through an affine map. */
#ifndef PNEUMO_KERNELS_AFFINE_H
#define PNEUMO_KERNELS_AFFINE_H

#include <stdint.h>

/* Fills out [out_h][out_w][channels] (the same grey in every channel) from image [h][w].
 *
 * map = {a, b, c, d, e, f} takes a place (u, v) of the output, both in [0, 1] over its width and
 * height, to the place (a u + b v + c, d u + e v + f) of the image in the same units. Places beyond
 * the border take the border's value. Bilinear, averaged over points x points places in every
 * output pixel (points >= the shrinking factor avoids aliasing).
 *
 * A value p of 0 to 255 becomes (clamp(gain * p + bias, 0, 255) - mean) / deviation. */
void pd_affine_sample(const uint8_t *image, int h, int w, const float map[6], int points,
                      float gain, float bias, float mean, float deviation, float *out, int out_h,
                      int out_w, int channels);

#endif
