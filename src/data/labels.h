/* Tables of labels: a row per image, or per image and finding. */
#ifndef PNEUMO_DATA_LABELS_H
#define PNEUMO_DATA_LABELS_H

#include "pneumo/io/dataset.h"
#include "table.h"

#include <stdbool.h>

/* What a column says. */
typedef enum pd_label_role {
    PD_ROLE_PATH,
    PD_ROLE_LABEL,
    PD_ROLE_PATIENT,
    PD_ROLE_FOLD,
    PD_ROLE_CAUSE,
    PD_ROLE_VIEW,
    PD_ROLES
} pd_label_role;

typedef struct pd_labels_options {
    const char *file;
    const char *columns; /* "role=column,...", a line of CSV; NULL: by the header alone */
    /* The findings of each class, separated by '|'; NULL: "Normal" and "No Finding", "Pneumonia",
     * and 0 and 1. */
    const char *classes[PD_LABELS];
} pd_labels_options;

typedef struct pd_label_row {
    const char *texts[PD_ROLES]; /* in the table; "" without such a column */
    int64_t line;                /* in the file */
    unsigned classes;            /* bit l: a finding of class l */
    bool lateral;                /* by the view */
} pd_label_row;

typedef struct pd_labels {
    pd_table table;
    pd_label_row *rows; /* [count] */
    int64_t count;
    bool has_fold;
} pd_labels;

/* Reads a table of labels. Known layouts, by their columns: NIH ChestX-ray14, CheXpert (a column
 * per finding: 1 is positive, anything else, -1 for uncertain included, is not), RSNA, VinDr-CXR,
 * and the Kaggle set "Coronahack"; else, and for what the layout lacks, columns by common names. A
 * label may be a list of findings with '|' between them. Empty rows at the end are skipped. Fails
 * if there is no column for the path or the label, two columns have the name of one that is used, a
 * row has more fields than the header, or no row is of a class (and names the findings that there
 * are). *out is released with pd_labels_free, also after a failure. */
pd_status pd_labels_read(pd_labels *out, const pd_labels_options *options);
void pd_labels_free(pd_labels *labels);

#endif
