/* Checking that two data sets have the same patients in the same folds. */
#ifndef PNEUMO_DATA_OVERLAP_H
#define PNEUMO_DATA_OVERLAP_H

#include "pneumo/io/dataset.h"

/* A data set and its name in messages. */
typedef struct pd_overlap_side {
    const pd_dataset *dataset;
    const char *name;
} pd_overlap_side;

/* Fails unless every patient of both data sets is in one and the same fold in both; the message
 * gives an image as example. Patient numbers have no meaning across files: two patients are the
 * same if an image of each has the same pixels (pd_identity_of). Reads all images of both. */
pd_status pd_overlap_check(const pd_overlap_side *a, const pd_overlap_side *b);

#endif
