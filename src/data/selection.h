/* Choosing whole patients whose images add up to a given number. */
#ifndef PNEUMO_DATA_SELECTION_H
#define PNEUMO_DATA_SELECTION_H

#include "pneumo/base/random.h"
#include "pneumo/io/dataset.h"

#include <stdbool.h>

typedef struct pd_patient {
    int32_t images;   /* in the folds that patients are taken from */
    pd_label label;   /* of the first image */
    pd_cause cause;   /* of the first image */
    bool both_labels; /* has images of the other class too */
} pd_patient;

/* Samples, their patients, and which of the patients are chosen. */
typedef struct pd_selection {
    pd_sample *samples; /* [count] */
    int64_t count;
    int32_t patient_count;
    pd_patient *patients; /* [patient_count] */
    int32_t *weight;      /* [patient_count]: what a patient adds to the fold; 0: not available */
    bool *chosen;         /* [patient_count] */
} pd_selection;

/* Lists the patients of samples[count], numbered in [0, patients), by their images in fold `only`
 * or in all folds (PD_FOLDS). All weights are 0 and nothing is chosen. The samples are borrowed.
 * *out is released with pd_selection_free, also after a failure. */
pd_status pd_selection_create(pd_selection *out, pd_sample *samples, int64_t count,
                              int32_t patients, pd_fold only);
void pd_selection_free(pd_selection *selection);

/* Chooses patients of one class whose weights add up to `need`, or nearly, each cause in proportion
 * to its share of the class; *total is the sum. Of each cause, patients are drawn until 512 images
 * are left to choose, for which the nearest possible sum is found. Patients with a weight of 0 are
 * not chosen. Fails when memory runs out. */
pd_status pd_selection_choose(int64_t *total, pd_selection *selection, pd_label label, int64_t need,
                              pd_random *random);

#endif
