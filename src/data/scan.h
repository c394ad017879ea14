/* Finding the radiographs of a folder. */
#ifndef PNEUMO_DATA_SCAN_H
#define PNEUMO_DATA_SCAN_H

#include "pneumo/io/dataset.h"

#include <stdbool.h>

/* The content of a folder. Samples are sorted by name in byte order. */
typedef struct pd_scan {
    /* [count]: label and fold, which is the folder's own, or PD_TRAIN without folds; cause and
     * patient are set by pd_drafts_identify */
    pd_sample *samples;
    int64_t count;
    int32_t patients; /* by pd_drafts_identify */
    int64_t
        skipped;    /* hidden files, subfolders, and files without an extension of image_format.h */
    bool has_folds; /* {train,val,test}/{NORMAL,PNEUMONIA} instead of {NORMAL,PNEUMONIA} */
} pd_scan;

/* Reads the published layout, `folder`/{train,val,test}/{NORMAL,PNEUMONIA}/ with any of the three
 * folds missing, or `folder`/{NORMAL,PNEUMONIA}/. The error names a folder that is missing, cannot
 * be read or contains no image. *out is released with pd_scan_free, also after a failure. */
pd_status pd_scan_folder(pd_scan *out, const char *folder);

void pd_scan_free(pd_scan *scan);

#endif
