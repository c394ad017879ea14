/* The images that a rank works on: all held in memory, or streamed from the file, each read
 * whenever it is needed. The pixels are the same. */
#ifndef PNEUMO_DATA_IMAGES_H
#define PNEUMO_DATA_IMAGES_H

#include "pneumo/io/dataset.h"

#include <stdbool.h>

typedef struct pd_images pd_images;

/* The images of ids[count] (distinct, any order), of which at most `most` are fetched at a time.
 * With `hold` they are read now, and no others; else there is memory for `most` images only. The
 * caller owns *out; `dataset` is borrowed until pd_images_destroy. */
pd_status pd_images_create(pd_images **out, const pd_dataset *dataset, const int64_t *ids,
                           size_t count, bool hold, size_t most);
void pd_images_destroy(pd_images **images);

/* Sets pixels[i] to the image [height][width] of sample ids[i], for `count` of them; they may
 * repeat. The images are owned by `images` and there until the next fetch. Streamed images can be
 * damaged: the errors are those of pd_dataset_read. One thread at a time. */
pd_status pd_images_fetch(pd_images *images, const int64_t *ids, size_t count,
                          const uint8_t **pixels);

/* Says that ids[count] will be fetched soon, so that the system reads them ahead. */
void pd_images_prefetch(const pd_images *images, const int64_t *ids, size_t count);

#endif
