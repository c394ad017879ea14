/* Views: the sharpness, geometry, exposure and masks with which a packed image is rendered to
 * network input. Evaluation uses plain views, training random ones (augment.h). */
#ifndef PNEUMO_DATA_VIEW_H
#define PNEUMO_DATA_VIEW_H

#include "pneumo/io/input.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The members are applied in this order. Each is off at 0, but gamma, gain and resample are off at
 * 1. */
typedef struct pd_view {
    /* On the packed image: */
    float resample; /* factor by which both sides are shrunk before they are enlarged again */
    float blur;     /* standard deviation of a Gaussian, as a fraction of the width */
    /* Factor on the difference from a Gaussian of PD_SHARPEN_RADIUS, which is added. */
    float sharpen;
    float noise;         /* standard deviation of approximately normal noise, in grey values */
    uint64_t noise_seed; /* of the noise's random stream */
    /* Geometry: as in pd_affine. */
    float map[6];
    float fill;
    /* A grey value p of 0 to 255 becomes clamp(gain * 255 (p / 255)^gamma + bias, 0, 255). */
    float gamma, gain, bias;
    /* On the output, as fractions of its sides: */
    float border[4]; /* left, top, right, bottom: blacked out */
    float erase[4];  /* left, top, width, height of a rectangle of grey erase_grey */
    float erase_grey;
} pd_view;

/* Standard deviation of the unsharp mask, as a fraction of the width. */
#define PD_SHARPEN_RADIUS 0.006f

/* The whole image, unchanged. */
pd_view pd_view_plain(void);

/* Sets the geometry of the view to a field of `width` x `height` around the centre, in units of the
 * image's sides; `mirror` exchanges left and right. */
void pd_view_frame(pd_view *view, float width, float height, bool mirror);

/* The views that evaluation can average over: the plain view and its mirror image, then the fields
 * 0.9 and 1.1 times as wide and high, each followed by its mirror image. */
enum { PD_VIEWS_MAX = 6 };
pd_view pd_view_standard(int number);

/* Scratch memory for rendering an image [height][width], in floats. */
size_t pd_view_scratch(int height, int width);

/* Renders image [input->height][input->width] to out [size][size][channels]: normalised, with the
 * same grey in every channel. */
void pd_view_render(const pd_view *view, const pd_input *input, const uint8_t *image, float *out,
                    float *scratch);

/* A grey image with borrowed pixels [height][width]. */
typedef struct pd_grey_image {
    int height, width;
    const uint8_t *pixels;
} pd_grey_image;

/* Renders without normalisation: grey values 0 to 255 in out [height][width]. */
void pd_view_render_grey(const pd_view *view, const pd_grey_image *image, float *out, int height,
                         int width, float *scratch);

#endif
