/* Whether two data sets put the same patients into different folds. */
#ifndef PNEUMO_DATA_OVERLAP_H
#define PNEUMO_DATA_OVERLAP_H

#include "pneumo/io/dataset.h"

/* A data set, and what to call it in messages. */
typedef struct pd_overlap_side {
    const pd_dataset *dataset;
    const char *name;
} pd_overlap_side;

/* Fails if a patient that both data sets have is not in one and the same fold in both, with an
 * image of that patient as the example. Numbers of patients mean something in their own file only:
 * two patients are the same if an image of each has the same pixels (XXH3, 128 bits). Reads all
 * images of both. */
pd_status pd_overlap_check(const pd_overlap_side *a, const pd_overlap_side *b);

#endif
