/* Acquisition changes: a radiograph as another device, room or archive would have produced it. The
 * stress test applies each change of this fixed catalogue. */
#ifndef PNEUMO_DATA_CHANGE_H
#define PNEUMO_DATA_CHANGE_H

#include "pneumo/base/status.h"
#include "pneumo/data/view.h"

#include <stdint.h>

typedef enum pd_change_family {
    PD_CHANGE_GEOMETRY = 0,
    PD_CHANGE_EXPOSURE = 1,
    PD_CHANGE_SHARPNESS = 2,
    PD_CHANGE_COMBINED = 3,
    PD_CHANGE_FAMILIES = 4
} pd_change_family;

extern const char *const pd_change_family_names[PD_CHANGE_FAMILIES]; /* geometry, exposure, ... */

/* One change with its strength. A member that is 0 has no effect. */
typedef struct pd_change {
    const char *name;   /* "zoom-in-0.85" */
    const char *phrase; /* describes such images: "zoomed in by 15 %" */
    pd_change_family family;
    float width, height; /* of the visible field, in units of the image's sides; pixels beyond the
                            image repeat the nearest edge pixel */
    bool black;          /* pixels beyond the image are black instead */
    float shift;         /* fraction of the side, in a random direction per sample */
    float turn;          /* degrees, to a random side per sample */
    bool mirror;         /* left and right exchanged */
    float gamma;         /* exponent on the grey value as a fraction of 255 */
    float contrast;      /* factor on the distance to mid-grey */
    float blur;          /* standard deviation of a Gaussian, as a fraction of the width */
    float resample;      /* factor by which the image is shrunk before it is enlarged again */
    float sharpen;       /* amount of an unsharp mask */
    float noise;  /* standard deviation of approximately normal noise, as a fraction of 255 */
    float border; /* fraction of the side that is black along each edge */
    int jpeg;     /* quality at which the image is compressed and decoded */
} pd_change;

enum { PD_CHANGES = 25 };
extern const pd_change pd_changes[PD_CHANGES];

/* The view of `sample` under a change, except for its `jpeg`: a pure function of its arguments. */
pd_view pd_change_view(const pd_change *change, uint64_t seed, int64_t sample);

/* Applies a change to the image of `sample`. out has the same shape and must not overlap the image.
 * A pure function of the image and the arguments of pd_change_view. scratch has pd_change_scratch
 * floats. Fails when memory for JPEG runs out. */
pd_status pd_change_apply(const pd_change *change, uint64_t seed, int64_t sample,
                          const pd_grey_image *image, uint8_t *out, float *scratch);
size_t pd_change_scratch(int height, int width);

#endif
