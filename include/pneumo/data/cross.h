/* Cross-validation: replaces the folds of an open data set, in memory only. */
#ifndef PNEUMO_DATA_CROSS_H
#define PNEUMO_DATA_CROSS_H

#include "pneumo/io/dataset.h"

/* Maximum number of parts. */
enum { PD_CROSS_MOST = 20 };

/* Deals the patients of the file's train and val folds into `parts` (2 to PD_CROSS_MOST) and makes
 * part number `part` (from 1) the val fold and the others the train fold. The test fold stays as it
 * is. Each patient is in exactly one part with all images outside the test fold. Each label and
 * cause is spread over the parts as evenly as the sizes of the patients allow, so the class ratio
 * of a part is that of both folds together. A pure function of the samples and (parts, seed).
 *
 * Fails if a class has fewer patients than parts, and leaves the folds unchanged. The mean and
 * deviation of the pixels remain those of the file's train fold. */
pd_status pd_cross_assign(pd_dataset *dataset, int parts, int part, uint64_t seed);

#endif
