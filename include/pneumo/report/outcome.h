/* The outcome of a finished run: the figures of its test fold, and its cost. */
#ifndef PNEUMO_REPORT_OUTCOME_H
#define PNEUMO_REPORT_OUTCOME_H

#include "pneumo/metrics/metrics.h"

typedef enum pd_column {
    PD_COLUMN_ACCURACY,
    PD_COLUMN_RECALL,
    PD_COLUMN_SPECIFICITY,
    PD_COLUMN_F1,
    PD_COLUMN_AUC,
    PD_COLUMN_STRESS_AUC,      /* the lowest of the validation fold's stress test */
    PD_COLUMN_STRESS_BALANCED, /* the same of the balanced accuracy */
    PD_COLUMN_PARAMETERS,
    PD_COLUMN_SECONDS, /* of training */
    PD_COLUMN_IMAGES_PER_SECOND,
    PD_COLUMNS
} pd_column;

/* accuracy, recall, specificity, f1, auc, stress_auc, stress_balanced_accuracy, parameters,
 * seconds, images_per_second; NULL */
extern const char *const pd_column_names[PD_COLUMNS + 1];

typedef struct pd_outcome {
    const char *folder; /* borrowed */
    char job[64];       /* UTF-8 in one line */
    char digest[33];    /* of the data set */
    double threshold;
    pd_confusion confusion;        /* of the test fold at the threshold */
    pd_figure columns[PD_COLUMNS]; /* value NAN: unknown; low and high NAN: no interval */
} pd_outcome;

/* Reads folder/report.json. `folder` is borrowed for as long as *out is used. A missing or damaged
 * file and a report without a test fold are errors that name the file and the member. Without a
 * stress test its columns are unknown. */
pd_status pd_outcome_read(pd_outcome *out, const char *folder);

#endif
