/* The images that a rank works on: held in memory, or streamed from the file, which is read at
 * every fetch. The pixels are the same. */
#ifndef PNEUMO_DATA_IMAGES_H
#define PNEUMO_DATA_IMAGES_H

#include "pneumo/io/dataset.h"

#include <stdbool.h>

typedef struct pd_images pd_images;

/* Gives access to the images of ids[count] (distinct, in any order), at most `most` per fetch. With
 * `hold` they are read now and stay in memory; otherwise memory is allocated for `most` images. The
 * caller owns *out; `dataset` is borrowed until pd_images_destroy. */
pd_status pd_images_create(pd_images **out, const pd_dataset *dataset, const int64_t *ids,
                           size_t count, bool hold, size_t most);
void pd_images_destroy(pd_images **images);

/* Sets pixels[i] to the image [height][width] of sample ids[i] for i below `count`; ids may repeat.
 * The pixels are owned by `images` and valid until the next fetch. Streaming fails with the errors
 * of pd_dataset_read. One thread at a time. */
pd_status pd_images_fetch(pd_images *images, const int64_t *ids, size_t count,
                          const uint8_t **pixels);

/* Announces that ids[count] are fetched soon, so that the system can read them ahead. */
void pd_images_prefetch(const pd_images *images, const int64_t *ids, size_t count);

#endif
