/* The pixels of drafts: in part files, or in the data set that images are appended to. */
#ifndef PNEUMO_DATA_PIXELS_H
#define PNEUMO_DATA_PIXELS_H

#include "draft.h"

typedef struct pd_pixels {
    const pd_parts *parts;
    const pd_dataset *old; /* NULL: none. Its sample i is draft i. */
    int threads;
} pd_pixels;

/* Reads the small copy of a draft. That of an old image is made of its packed pixels. */
pd_status pd_pixels_read_copy(uint8_t *copy, const pd_pixels *pixels, const pd_draft *draft);

/* Reads the packed pixels of drafts[count] into images [count][image_bytes]. */
pd_status pd_pixels_read(uint8_t *images, const pd_pixels *pixels, const pd_draft *drafts,
                         int64_t count);

#endif
