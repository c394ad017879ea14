/* A temporary store for the images that are being packed.
 *
 * Images are decoded once, before duplicates and folds are known. Until then they are in an unnamed
 * file beside the output, which the system removes when the process ends. */
#ifndef PNEUMO_DATA_SPOOL_H
#define PNEUMO_DATA_SPOOL_H

#include "pneumo/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct pd_spool {
    int file;           /* descriptor; -1: not open */
    const char *output; /* the path beside which the file is; borrowed */
    size_t image_bytes;
    int64_t block;   /* images per block: what fits in a fixed amount of memory */
    uint8_t *images; /* [block][image_bytes] */
} pd_spool;

/* Opens an empty spool for images [size][size] beside `output`, whose folder is created if missing.
 * *out is released with pd_spool_close, also after a failure. */
pd_status pd_spool_open(pd_spool *out, const char *output, int size);
void pd_spool_close(pd_spool *spool);

/* Writes the first `count` images of spool->images to the slots from `slot` on. */
pd_status pd_spool_write(const pd_spool *spool, int64_t slot, int64_t count);

/* Reads the image of `slot` into spool->images[index]. */
pd_status pd_spool_read(const pd_spool *spool, int64_t slot, int64_t index);

#endif
