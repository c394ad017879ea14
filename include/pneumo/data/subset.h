/* A part of a large train fold, for learning curves. */
#ifndef PNEUMO_DATA_SUBSET_H
#define PNEUMO_DATA_SUBSET_H

#include "pneumo/io/dataset.h"

#include <stddef.h>
#include <stdint.h>

/* Keeps `images` of ids[*count], sample numbers of classes labels[*count] in [0, classes), and
 * their order; all if there are no more. Every class keeps its share, rounded. Within a class the
 * patients are taken in a random order that depends on the seed alone, each with all its images,
 * the last one with as many as are left: a larger part has the images of a smaller one, but for
 * rounding. Fails if a class would have none. */
pd_status pd_subset_choose(int64_t *ids, int32_t *labels, size_t *count, const pd_sample *samples,
                           int classes, size_t images, uint64_t seed);

#endif
