/* Finding the radiographs of a folder. */
#ifndef PNEUMO_DATA_SCAN_H
#define PNEUMO_DATA_SCAN_H

#include "left_out.h"
#include "pneumo/io/dataset.h"
#include "pneumo/io/site.h"

#include <stdbool.h>

typedef struct pd_scan_options {
    const char *folder;
    /* Names of folders (pd_layout_find), or findings (pd_labels_options); NULL: the known ones. */
    const char *classes[PD_LABELS];
    bool recursive;  /* take images in subfolders of the classes, too */
    bool allow_rest; /* of the images, a third or more may be left out */
    /* Only for pd_scan_labels: */
    const char *labels, *columns; /* pd_labels_options.file and .columns */
    bool allow_missing;           /* images of rows may be missing */
    bool keep_folds;              /* the fold of every image must be known */
    bool keep_lateral;            /* take lateral views too */
} pd_scan_options;

/* What a table says of an image, besides its class and fold. */
typedef struct pd_scan_hint {
    char *patient;  /* NULL: nothing */
    bool is_old;    /* the patient is that of a packed set (pd_append_join), not of the table */
    pd_cause cause; /* UNKNOWN: the name of the file decides */
} pd_scan_hint;

/* The content of a folder. Samples are sorted by name in byte order. */
typedef struct pd_scan {
    /* [count]: label and fold, which is the folder's own, or PD_TRAIN without folds; cause and
     * patient are set by pd_drafts_identify */
    pd_sample *samples;
    int64_t count;
    pd_identity *keys;   /* [count]: pd_entry_key of the files */
    pd_scan_hint *hints; /* [count]; NULL: there is no table */
    int32_t patients;    /* by pd_drafts_identify */
    int64_t old;         /* the first of the samples are of a packed set (pd_append_join) */
    int64_t left_out;    /* files that are not samples */
    bool has_folds;      /* {train,val,test}/{NORMAL,PNEUMONIA} instead of {NORMAL,PNEUMONIA} */
} pd_scan;

/* Lists the images of the folders that pd_layout_find finds. An image is known by its extension, or
 * by its content if the extension is none or another. Prints what is left out. Fails if a class has
 * no image, a folder cannot be read, or a third of the images or more is left out. *out is released
 * with pd_scan_free, also after a failure. */
pd_status pd_scan_folder(pd_scan *out, const pd_scan_options *options);

/* Lists the images of a table of labels (pd_labels_read), wherever they are below the folder
 * (pd_file_index_find). Rows of one image are united: it is of the class PNEUMONIA if a row is, and
 * NORMAL if all are. Prints what is left out: images of neither class, lateral views (unless
 * keep_lateral), and those that no row lists. Fails if rows of an image contradict each other, a
 * class has no image, images of rows are missing (unless allow_missing), or a third of the images
 * or more is in no row. *out is released with pd_scan_free, also after a failure. */
pd_status pd_scan_labels(pd_scan *out, const pd_scan_options *options);

void pd_scan_free(pd_scan *scan);

#endif
