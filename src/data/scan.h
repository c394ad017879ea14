/* Finding the radiographs of a folder. */
#ifndef PNEUMO_DATA_SCAN_H
#define PNEUMO_DATA_SCAN_H

#include "left_out.h"
#include "pneumo/io/dataset.h"

#include <stdbool.h>

typedef struct pd_scan_options {
    const char *folder;
    const char *classes[PD_LABELS]; /* names of folders (pd_layout_find); NULL: the known ones */
    bool recursive;                 /* take images in subfolders of the classes, too */
    bool allow_rest;                /* of the images, a third or more may be left out */
} pd_scan_options;

/* The content of a folder. Samples are sorted by name in byte order. */
typedef struct pd_scan {
    /* [count]: label and fold, which is the folder's own, or PD_TRAIN without folds; cause and
     * patient are set by pd_drafts_identify */
    pd_sample *samples;
    int64_t count;
    int32_t patients; /* by pd_drafts_identify */
    int64_t left_out; /* files that are not samples */
    bool has_folds;   /* {train,val,test}/{NORMAL,PNEUMONIA} instead of {NORMAL,PNEUMONIA} */
} pd_scan;

/* Lists the images of the folders that pd_layout_find finds. An image is known by its extension, or
 * by its content if the extension is none or another. Prints what is left out. Fails if a class has
 * no image, a folder cannot be read, or a third of the images or more is left out. *out is released
 * with pd_scan_free, also after a failure. */
pd_status pd_scan_folder(pd_scan *out, const pd_scan_options *options);

void pd_scan_free(pd_scan *scan);

#endif
