/* What the images of a train fold look like; data/profile.h computes it. */
#ifndef PNEUMO_IO_PROFILE_H
#define PNEUMO_IO_PROFILE_H

#include <stdint.h>

/* Properties by which an image can differ from the training images, in the order in which they are
 * checked: the simplest explanation comes first. Defined in data/profile.h. */
typedef enum pd_trait {
    PD_TRAIT_SIDE,
    PD_TRAIT_RATIO,
    PD_TRAIT_BLACK,
    PD_TRAIT_DEVIATION,
    PD_TRAIT_MEAN,
    PD_TRAIT_SHARPNESS,
    PD_TRAIT_LIKENESS,
    PD_TRAITS
} pd_trait;

extern const char *const pd_trait_names[PD_TRAITS]; /* side, ratio, ... */

typedef struct pd_trait_range {
    double low, high;   /* of the train fold; NAN if unknown */
    double least, most; /* an image outside is unlike the training images */
} pd_trait_range;

enum { PD_PROFILE_GRID = 16 };

typedef struct pd_profile {
    int64_t images; /* number of images measured */
    pd_trait_range ranges[PD_TRAITS];
    float mean[PD_PROFILE_GRID * PD_PROFILE_GRID]; /* mean image, grey 0 to 255, row by row */
} pd_profile;

#endif
