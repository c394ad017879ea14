/* Finding the radiographs of a folder, and telling from their names whose they are. */
#ifndef PNEUMO_DATA_SCAN_H
#define PNEUMO_DATA_SCAN_H

#include "pneumo/io/dataset.h"

#include <stdbool.h>

/* What a folder holds. Samples are sorted by name in byte order, and patients numbered from 0 as
 * they first appear. */
typedef struct pd_scan {
    pd_sample *samples; /* [count]; fold is the folder's own, PD_TRAIN where it has no folds */
    int64_t count;
    int32_t patients;
    int64_t skipped; /* hidden files, subfolders, files that are no .jpeg, .jpg or .png */
    bool has_folds;  /* {train,val,test}/{NORMAL,PNEUMONIA}, not {NORMAL,PNEUMONIA} alone */
} pd_scan;

/* Reads the published layout, `folder`/{train,val,test}/{NORMAL,PNEUMONIA}/ with any of the three
 * folds missing, or `folder`/{NORMAL,PNEUMONIA}/. The error names a folder that is missing, cannot
 * be read or holds no image. *out is released with pd_scan_free, also after a failure. */
pd_status pd_scan_folder(pd_scan *out, const char *folder);

void pd_scan_free(pd_scan *scan);

/* What a file's name tells. Known patterns: person12_bacteria_46.jpeg, person447_virus_921_1.jpeg,
 * IM-0115-0001.jpeg, IM-0429-0001-0002.jpeg, and the latter two behind NORMAL2-. Writes the
 * patient's typed key, such as "bacteria 12" or "NORMAL2-IM 1427", to key[size]; a name of no known
 * pattern is its own patient, and so is its key. The cause is UNKNOWN unless the name holds it. */
pd_cause pd_scan_parse(char *key, size_t size, const char *name);

#endif
