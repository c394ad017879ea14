/* Acquisition changes: the same radiograph as another machine, room or archive would have given it.
 * A fixed catalogue, which the stress test goes through. */
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

/* One change with its strength. A member that is 0 leaves the image as it is. */
typedef struct pd_change {
    const char *name;   /* "zoom-in-0.85" */
    const char *phrase; /* what such images are: "zoomed in by 15 %" */
    pd_change_family family;
    float width, height; /* of the field that is seen, in units of the image's sides; what lies
                            beyond the image takes the grey of the nearest pixel at the edge */
    bool black;          /* or is black */
    float shift;         /* share of the side, in a direction drawn per sample */
    float turn;          /* degrees, to a side drawn per sample */
    bool mirror;         /* left and right exchanged */
    float gamma;         /* exponent on the grey value as a share of 255 */
    float contrast;      /* factor on the distance to mid-grey */
    float blur;          /* standard deviation of a Gaussian, as a share of the width */
    float resample;      /* factor by which the image is shrunk and enlarged again */
    float sharpen;       /* amount of an unsharp mask */
    float noise;         /* standard deviation of nearly normal noise, as a share of the range */
    float border;        /* share of the side blacked out along each edge */
    int jpeg;            /* quality at which the image is compressed and decoded again */
} pd_change;

enum { PD_CHANGES = 25 };
extern const pd_change pd_changes[PD_CHANGES];

/* The view of `sample` under a change, but for its `jpeg`: a pure function of its arguments. */
pd_view pd_change_view(const pd_change *change, uint64_t seed, int64_t sample);

/* Applies a change to image [height][width] of `sample`: out has the same shape, and must not
 * overlap. A pure function of the image and of what pd_change_view depends on. scratch has
 * pd_change_scratch floats. Fails when memory for JPEG runs out. */
pd_status pd_change_apply(const pd_change *change, uint64_t seed, int64_t sample,
                          const uint8_t *image, int height, int width, uint8_t *out,
                          float *scratch);
size_t pd_change_scratch(int height, int width);

#endif
