/* Augmentation: the random views of the images that training uses. */
#ifndef PNEUMO_DATA_AUGMENT_H
#define PNEUMO_DATA_AUGMENT_H

#include "pneumo/data/view.h"

#include <stdbool.h>
#include <stdint.h>

/* The strength of each augmentation: the keys of a job's section [augment]. Each is off at 0, but
 * crop_min, crop_max, crop_ratio and resample_min are off at 1. The job's defaults turn everything
 * off except crop_ratio (1.33), which has no effect without a crop. */
typedef struct pd_augment {
    /* Random resized crop: its area, as a fraction of the image's, is log-uniform in [crop_min,
     * crop_max], so zooming in and out by the same factor is equally likely. A crop larger than 1
     * extends beyond the image. */
    double crop_min;
    double crop_max;
    double crop_ratio; /* aspect: log-uniform in [1 / crop_ratio, crop_ratio] */
    bool flip;         /* mirrors left and right in half of the views */
    double rotate;     /* maximum angle in degrees, either way */
    double translate;  /* maximum shift as a fraction of the side, either way */
    double brightness; /* maximum offset as a fraction of the grey range, either way */
    double contrast;   /* c: factor on the distance to mid-grey, uniform in [1 - c, 1 + c] */
    double black;      /* fraction of the views in which pixels beyond the image are black; in the
                          others they repeat the nearest edge pixel */
    double gamma;      /* g: exponent on the grey value, log-uniform in [1 / (1 + g), 1 + g] */
    /* Each of these is applied to half of the views, with a uniform strength up to the given one:
     */
    double blur; /* standard deviation of a Gaussian, as a fraction of the width */
    /* Minimum factor by which the image is shrunk before it is enlarged again. */
    double resample_min;
    double sharpen; /* amount of an unsharp mask */
    double noise;   /* standard deviation of noise, as a fraction of the grey range */
    double border;  /* width of a black border at each side, as a fraction of the side */
    double erase;   /* area of a rectangle of one random grey, as a fraction of the image */
    /* Applied to pairs of views (pd_mixup_draw): */
    double mixup; /* alpha of the Beta distribution of the mixing weights */
} pd_augment;

/* Draws the view of `sample` in `epoch`: a pure function of its arguments. `repeat` is how often
 * the sample was already used in this epoch. */
pd_view pd_augment_draw(const pd_augment *augment, uint64_t seed, uint32_t epoch, int64_t sample,
                        uint32_t repeat);

#endif
