/* Cross-validation: other folds for a data set that is open, in memory only. */
#ifndef PNEUMO_DATA_CROSS_H
#define PNEUMO_DATA_CROSS_H

#include "pneumo/io/dataset.h"

/* The most parts that the train and val folds are dealt into. */
enum { PD_CROSS_MOST = 20 };

/* Deals the patients of the file's train and val folds into `parts` (2 to PD_CROSS_MOST) and makes
 * part number `part` (from 1) the val fold and the others the train fold. The test fold stays as it
 * is. Each patient is in exactly one part with all images that are not in the test fold; each label
 * and cause is spread as evenly over the parts as the sizes of patients allow, so a part has the
 * class ratio of both folds together. A pure function of the samples and (parts, seed).
 *
 * Fails if a class has fewer patients than parts; then the folds are as before. The mean and
 * deviation of the pixels stay those of the file's train fold. */
pd_status pd_cross_assign(pd_dataset *dataset, int parts, int part, uint64_t seed);

#endif
