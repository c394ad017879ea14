/* How a packed image reaches the network: sharpness, geometry, exposure and masks of one look at
 * it, plain for evaluation, drawn at random for training. */
#ifndef PNEUMO_DATA_VIEW_H
#define PNEUMO_DATA_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Applied in this order, each off when 0 but for gamma, gain and resample, which are off at 1. */
typedef struct pd_view {
    /* On the packed image: */
    float resample;      /* factor on both sides, by which it is shrunk and enlarged again */
    float blur;          /* standard deviation of a Gaussian, as a share of the width */
    float sharpen;       /* adds this times the difference from a Gaussian of PD_SHARPEN_RADIUS */
    float noise;         /* standard deviation of nearly normal noise, in grey values */
    uint64_t noise_seed; /* of the noise's random stream */
    /* Geometry: as in pd_affine. */
    float map[6];
    float fill;
    /* A grey value p of 0 to 255 becomes clamp(gain * 255 (p / 255)^gamma + bias, 0, 255). */
    float gamma, gain, bias;
    /* On the output, as shares of its sides: */
    float border[4]; /* left, top, right, bottom: blacked out */
    float erase[4];  /* left, top, width, height of a rectangle of grey erase_grey */
    float erase_grey;
} pd_view;

/* Of the unsharp mask, as a share of the width. */
#define PD_SHARPEN_RADIUS 0.006f

/* The whole image as it is. */
pd_view pd_view_plain(void);

/* Turns the view's geometry into one of the field `width` x `height` around the centre, in units of
 * the image's sides; with `mirror` left and right are exchanged. */
void pd_view_frame(pd_view *view, float width, float height, bool mirror);

/* The views over which evaluation may average: the first is the plain one, the second its mirror
 * image, the others the field 0.9 and 1.1 times as wide and high, each with its mirror image. */
enum { PD_VIEWS_MAX = 6 };
pd_view pd_view_standard(int number);

/* What network input is normalised by. */
typedef enum pd_grey_scaling {
    PD_GREY_FOLD = 0, /* mean and deviation of the train fold */
    PD_GREY_IMAGE = 1 /* the image's own, of what the network sees of it */
} pd_grey_scaling;

/* How views become network input. A job sets `scaling`, `size` and `channels`; the rest follows
 * from its data set. */
typedef struct pd_input {
    int height, width;     /* of the packed image */
    float mean, deviation; /* of the train fold */
    pd_grey_scaling scaling;
    int size, channels; /* of the output, [size][size][channels]; in a job, size 0 stands for the
                           packed images' height */
} pd_input;

/* Floats of scratch memory that rendering images [height][width] takes. */
size_t pd_view_scratch(int height, int width);

/* Renders image [input->height][input->width] to out [size][size][channels], the same grey in every
 * channel, normalised. */
void pd_view_render(const pd_view *view, const pd_input *input, const uint8_t *image, float *out,
                    float *scratch);

/* The same without normalisation: grey values 0 to 255 in out [out_height][out_width]. */
void pd_view_render_grey(const pd_view *view, const uint8_t *image, int height, int width,
                         float *out, int out_height, int out_width, float *scratch);

#endif
