/* Synthetic chest radiographs: lung fields, ribs, mediastinum, diaphragm, exposure and noise; a
 * focal opacity for bacteria, a diffuse one for virus. For trying the program without data and for
 * tests in which the place of the opacity is known; they teach nothing about patients. */
#ifndef PNEUMO_DATA_PHANTOM_H
#define PNEUMO_DATA_PHANTOM_H

#include "pneumo/data/image.h"
#include "pneumo/io/dataset.h"

#include <stdbool.h>

/* Where the opacity of a phantom lies, in pixels of its own image: an ellipse around (cx, cy) with
 * half axes (rx, ry). All 0 for a normal one. Diffuse opacities give the box around all of it. */
typedef struct pd_opacity {
    float cx, cy, rx, ry;
} pd_opacity;

/* Draws image `image` of patient `patient` (numbers count per type). A pure function of its
 * arguments. The caller frees *out with pd_image_free. */
pd_status pd_phantom_draw(pd_image *out, pd_opacity *opacity, uint64_t seed, pd_cause cause,
                          int patient, int image);

/* How many images can be asked for. */
enum { PD_SYNTH_MIN = 8, PD_SYNTH_MAX = 1000000 };

typedef struct pd_synth_options {
    const char *folder;
    int images; /* over both classes */
    uint64_t seed;
    int threads;
    bool truth; /* also write folder/truth.csv */
} pd_synth_options;

/* 2000 images, seed 1, one thread per usable core. */
pd_synth_options pd_synth_defaults(void);

/* Writes a folder in the published layout and naming: train/NORMAL/IM-0001-0001.jpeg,
 * train/PNEUMONIA/person1_bacteria_1.jpeg, ...; several images to some patients, several sizes,
 * about the published shares of classes and causes. A folder that already holds files is an error.
 * Same seed, same bytes.
 *
 * truth.csv has the header path,row,column,row_radius,column_radius and a row per image: its path
 * below the folder, and the middle and half axes of its focal opacity in pixels, empty for normal
 * and diffuse ones. */
pd_status pd_synth(const pd_synth_options *options);

#endif
