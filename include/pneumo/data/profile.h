/* Measuring images by a few traits, and finding images that are unlike those of a train fold.
 *
 * A network gives a confident answer for any input. An image that is not a chest radiograph, or was
 * taken very differently, is recognised by its traits:
 *
 *   side       the shorter side in pixels, before resizing
 *   ratio      width over height, before resizing
 *   black      fraction of the pixels below PD_BLACK_BELOW
 *   deviation  standard deviation of the grey values, 0 to 127.5
 *   mean       of the grey values, 0 to 255
 *   sharpness  standard deviation of the Laplacian (four neighbours, without the border) over that
 *              of the grey values, 0 to 8: low for blurred images, high for noise and text; 0 for
 *              an image of one grey value
 *   likeness   correlation with the mean image of the train fold, see pd_traits_compare
 *
 * Side and ratio belong to the original image, the others to the packed image, so they do not
 * depend on the original size. Traits are a pure function of the pixels: all sums are integers.
 */
#ifndef PNEUMO_DATA_PROFILE_H
#define PNEUMO_DATA_PROFILE_H

#include "pneumo/base/status.h"
#include "pneumo/io/checkpoint.h"

#include <stddef.h>
#include <stdint.h>

enum {
    PD_BLACK_BELOW = 8,   /* grey value; borders and collimated areas are darker */
    PD_PROFILE_SIDE = 32, /* pixels: the shortest side on which a chest can be judged */
    PD_REASON_SIZE = 192, /* bytes that are enough for any reason */
    PD_PROFILE_CELLS = PD_PROFILE_GRID * PD_PROFILE_GRID
};

typedef struct pd_traits {
    int height, width;        /* before resizing; 0: unknown */
    double values[PD_TRAITS]; /* NAN: unknown */
    /* Means over the cells of a grid on the packed image, rounded half up, row by row. */
    uint8_t thumbnail[PD_PROFILE_CELLS];
} pd_traits;

/* Measures all traits but likeness, which becomes NAN. `packed` is [height][width]; an unknown
 * original shape is 0, and side and ratio are then NAN. */
void pd_traits_measure(pd_traits *out, const uint8_t *packed, int height, int width,
                       int original_height, int original_width);

/* Sets the likeness to mean[PD_PROFILE_CELLS]: the largest correlation (Pearson) of the thumbnail
 * with it, over mirroring and zooms of 0.7, 0.85, 1, 1/0.85 and 1/0.7 of either direction about the
 * middle, so that framing and stretching of up to 30 % have no effect. Only cells that both cover
 * count. 0 where either is constant. */
void pd_traits_compare(pd_traits *traits, const float *mean);

/* Sets ranges and images of *profile from the traits of a train fold, values[count][PD_TRAITS], and
 * side_packed, the shorter side of its packed images. profile->mean is unchanged.
 *
 * low and high are the quantiles 0.05 % and 99.95 %, interpolated linearly between order statistics
 * (Hyndman and Fan's type 7, NumPy's default). The limits are wider, so that few images of the same
 * source, or of the same patients taken slightly differently, are referred:
 *
 *   side       at least the minimum of PD_PROFILE_SIDE, side_packed and low; no upper limit, since
 *              the number of pixels depends on the export
 *   ratio      low / 1.25 to 1.25 high; 1/3 to 3 if unknown or the same for all images, which then
 *              were cropped or resized before packing
 *   black      up to halfway from high to 1
 *   deviation  from half of low to halfway from high to 127.5
 *   mean       from half of low to halfway from high to 255
 *   sharpness  from a third of low to three times high
 *   likeness   from a fifth of its size below low
 *
 * Fails when memory runs out; count is at least 1. */
pd_status pd_profile_build(pd_profile *profile, const double (*values)[PD_TRAITS], size_t count,
                           int side_packed);

/* The first trait outside of its limits; PD_TRAITS if the image is like the training images.
 * Unknown traits are not checked. */
pd_trait pd_profile_check(const pd_profile *profile, const pd_traits *traits);

/* Describes in one line why the image is unlike the training images by `trait`, such as "image is
 * 5000 x 1: unlike the training images (width/height 5000, training 0.9 to 2.4)". */
void pd_profile_reason(char text[PD_REASON_SIZE], const pd_profile *profile,
                       const pd_traits *traits, pd_trait trait);

#endif
