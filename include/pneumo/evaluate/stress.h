/* The stress test: the figures of a fold under acquisition changes. */
#ifndef PNEUMO_EVALUATE_STRESS_H
#define PNEUMO_EVALUATE_STRESS_H

#include "pneumo/data/change.h"
#include "pneumo/metrics/metrics.h"

/* The figures of a fold's images under one change. */
typedef struct pd_stress_row {
    int change; /* number in pd_changes, or PD_CHANGE_NONE */
    pd_metrics metrics;
} pd_stress_row;

enum { PD_STRESS_ROWS = PD_CHANGES + 1, PD_STRESS_NO_ROW = -1 };

typedef struct pd_stress {
    bool present;
    int64_t images, fold_images; /* scored under each change, and in the fold, without those that
                                    evaluation leaves out */
    pd_stress_row rows[PD_STRESS_ROWS]; /* the unchanged images first, then the catalogue */
    pd_figure pooled_auc; /* of the scores under all changes together; interval by patient */
    int worst; /* row with the lowest balanced accuracy; PD_STRESS_NO_ROW: all images are of one
                  class */
} pd_stress;

/* "clean", or the name of the change. */
const char *pd_stress_name(const pd_stress_row *row);

/* Describes the row's images: "as they are", or the phrase of the change. */
const char *pd_stress_phrase(const pd_stress_row *row);

/* The family's name; "none" for the unchanged images. */
const char *pd_stress_family(const pd_stress_row *row);

#endif
