/* The images that a rank holds in memory. */
#ifndef PNEUMO_DATA_IMAGES_H
#define PNEUMO_DATA_IMAGES_H

#include "pneumo/io/dataset.h"

typedef struct pd_images pd_images;

/* Reads the images of ids[count] (distinct, any order) from the data set, and no others. The caller
 * owns *out; `dataset` is borrowed for the call. */
pd_status pd_images_create(pd_images **out, const pd_dataset *dataset, const int64_t *ids,
                           size_t count);
void pd_images_destroy(pd_images **images);

/* The image [height][width] of sample `id`, owned by `images`; NULL if it is not held. */
const uint8_t *pd_images_at(const pd_images *images, int64_t id);

#endif
