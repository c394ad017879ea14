/* Comparing the folds of two data sets. */
#ifndef PNEUMO_DATA_OVERLAP_H
#define PNEUMO_DATA_OVERLAP_H

#include "pneumo/io/dataset.h"

#include <stdbool.h>

/* A data set and its name in messages. */
typedef struct pd_overlap_side {
    const pd_dataset *dataset;
    const char *name;
} pd_overlap_side;

/* Fails unless every patient of both data sets is in one and the same fold in both; the message
 * gives an image as example. Patient numbers have no meaning across files: two patients are the
 * same if an image of each has the same pixels (pd_identity_of). Reads all images of both. */
pd_status pd_overlap_check(const pd_overlap_side *a, const pd_overlap_side *b);

/* Sets *shared to whether the test folds of two data sets have an image in common, by its packed
 * pixels: images of two sizes are never the same. Reads the test folds of both. */
pd_status pd_overlap_tests(bool *shared, const pd_dataset *a, const pd_dataset *b);

#endif
