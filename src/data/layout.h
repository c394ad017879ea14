/* The folders of an image collection that hold the images of one fold and class. */
#ifndef PNEUMO_DATA_LAYOUT_H
#define PNEUMO_DATA_LAYOUT_H

#include "pneumo/io/dataset.h"

#include <stdbool.h>

typedef struct pd_class_folder {
    char *path; /* below the folder that is packed, such as "train/NORMAL" */
    pd_fold fold;
    pd_label label;
} pd_class_folder;

typedef struct pd_layout {
    pd_class_folder *folders; /* [count] */
    int count;
    size_t capacity;
    bool has_folds; /* {train,val,test}/{NORMAL,PNEUMONIA} instead of {NORMAL,PNEUMONIA} */
} pd_layout;

/* Finds out which of folder/{train,val,test}/{NORMAL,PNEUMONIA} and folder/{NORMAL,PNEUMONIA}
 * exist. Names are compared without case; "valid", "validation", "training" and "testing" are
 * folds, "0" and "1" classes as well. classes[label] replaces the names of a class unless it is
 * NULL: folders, separated by '|', which may be nested ("Viral Pneumonia/images"). Errors say what
 * is missing and which folder or option may be meant. *out is released with pd_layout_free, also
 * after a failure.
 */
pd_status pd_layout_find(pd_layout *out, const char *folder, const char *const classes[PD_LABELS]);
void pd_layout_free(pd_layout *layout);

/* The class folder in or below which a file is; NULL if there is none. *rest is its path in there.
 */
const pd_class_folder *pd_layout_of(const pd_layout *layout, const char *path, const char **rest);

/* The fold that a word such as "validation" stands for; PD_FOLDS if none. */
pd_fold pd_layout_fold(const char *word);

#endif
