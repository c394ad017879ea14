/* Synthetic chest radiographs: lung fields, ribs, mediastinum, diaphragm, exposure and noise; a
 * focal opacity for bacteria, a diffuse one for virus. They serve for trying the program without
 * data and for tests that need the position of the opacity; they have no clinical value. */
#ifndef PNEUMO_DATA_PHANTOM_H
#define PNEUMO_DATA_PHANTOM_H

#include "pneumo/data/image.h"
#include "pneumo/io/dataset.h"

/* The opacity of a phantom in pixels of its image: an ellipse around (cx, cy) with half axes
 * (rx, ry). All 0 for a normal image. For a diffuse opacity, its bounding box. */
typedef struct pd_opacity {
    float cx, cy, rx, ry;
} pd_opacity;

/* Draws image `image` of patient `patient` (numbered per cause). A pure function of its arguments.
 * The caller frees *out with pd_image_free. */
pd_status pd_phantom_draw(pd_image *out, pd_opacity *opacity, uint64_t seed, pd_cause cause,
                          int patient, int image);

#endif
