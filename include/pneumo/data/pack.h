/* Packing a folder of radiographs into one data-set file. */
#ifndef PNEUMO_DATA_PACK_H
#define PNEUMO_DATA_PACK_H

#include "pneumo/data/folds.h"
#include "pneumo/data/shape.h"
#include "pneumo/io/dataset.h"

#include <stdbool.h>

typedef struct pd_pack_options {
    const char *folder, *output;
    int size; /* side of the packed images in pixels */
    pd_fold_options folds;
    bool skip_bad; /* go on without unreadable images */
    int threads;
} pd_pack_options;

/* Sides that can be asked for. */
enum { PD_PACK_SIZE_MIN = 8, PD_PACK_SIZE_MAX = 2048 };

/* 224 pixels, pd_folds_defaults, one thread per available core. */
pd_pack_options pd_pack_defaults(void);

/* What was done, for the table. */
typedef struct pd_pack_result {
    pd_dataset_info info;
    int64_t bad;     /* left out by skip_bad */
    int64_t skipped; /* files in the folder that are no images */
    int64_t leaks;   /* patients with images in two folds; only policy keep has them */
    int64_t images[PD_FOLDS][PD_LABELS][PD_CAUSES];
    int64_t patients[PD_FOLDS][PD_LABELS];
    pd_shapes shapes; /* of all packed images */
} pd_pack_result;

/* Writes options->output, or nothing. Shows progress. Same folder and options, same bytes, for any
 * number of threads. Warns of what makes figures too good: patients in two folds, and shapes that
 * tell the classes apart (pd_shapes_compare).
 *
 * Exact duplicates (by the bytes of the files) are kept once, the first by name; their patients
 * become one, and their cause UNKNOWN if the names differ in it. Errors name the file: a folder or
 * class that is missing or empty (pd_scan_folder), an image that cannot be read (unless skip_bad),
 * a duplicate under two labels, a class too small for the folds (pd_folds_assign). */
pd_status pd_pack(const pd_pack_options *options, pd_pack_result *result);

#endif
