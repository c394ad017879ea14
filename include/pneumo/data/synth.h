/* Drawing a folder of synthetic radiographs. */
#ifndef PNEUMO_DATA_SYNTH_H
#define PNEUMO_DATA_SYNTH_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Limits of pd_synth_options.images. */
enum { PD_SYNTH_MIN = 8, PD_SYNTH_MAX = 1000000 };

typedef struct pd_synth_options {
    const char *folder;
    int images; /* over both classes */
    uint64_t seed;
    int threads; /* 0: one per available core */
    bool truth;  /* also write folder/truth.csv */
} pd_synth_options;

#define PD_SYNTH_DEFAULTS                                                                          \
    {                                                                                              \
        .images = 2000, .seed = 1                                                                  \
    }

/* Writes a folder in the published layout and naming: train/NORMAL/IM-0001-0001.jpeg,
 * train/PNEUMONIA/person1_bacteria_1.jpeg, ...; several images of some patients, various sizes, and
 * about the published proportions of classes and causes. A folder that is not empty is an error.
 * The folder gets its content, or its name, once all is drawn; a signal removes what is drawn. The
 * bytes are a pure function of the options except the threads.
 *
 * truth.csv has the header path,row,column,row_radius,column_radius and a row per image: its path
 * below the folder, and the centre and half axes of its focal opacity in pixels, empty for normal
 * and diffuse ones. */
pd_status pd_synth(const pd_synth_options *options);

#endif
