/* Filters of a grey image. */
#ifndef PNEUMO_KERNELS_FILTER_H
#define PNEUMO_KERNELS_FILTER_H

/* Convolves image [h][w] in place with a Gaussian of standard deviation `sigma` pixels, sampled at
 * whole pixels up to 4 sigma (at most PD_FILTER_REACH_MAX) and normalised to sum 1. Pixels beyond
 * the border have the value of the nearest pixel on it. scratch [h][w]. sigma <= 0 leaves the image
 * unchanged. */
void pd_filter_gaussian(float *image, int h, int w, float sigma, float *scratch);

enum { PD_FILTER_REACH_MAX = 64 };

#endif
