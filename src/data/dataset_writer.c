#include "dataset_writer.h"

#include "digest.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"

#include <math.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 32 << 20, BLOCK_MIN = 8, BLOCK_MAX = 256 };

/* Exact sums over the pixels of the train fold. */
typedef struct pd_grey_sums {
    uint64_t pixels, sum, squares;
} pd_grey_sums;

static void add_grey(pd_grey_sums *sums, const uint8_t *image, size_t size)
{
    sums->pixels += size;
    for (size_t p = 0; p < size; p++) {
        sums->sum += image[p];
        sums->squares += (uint64_t)image[p] * image[p];
    }
}

static void set_mean(pd_dataset_info *info, const pd_grey_sums *sums)
{
    if (sums->pixels == 0)
        return;
    double pixels = (double)sums->pixels;
    info->mean = (double)sums->sum / pixels;
    info->deviation = sqrt(fmax(0, (double)sums->squares / pixels - info->mean * info->mean));
}

/* Images per block: what fits in a fixed amount of memory. */
static int64_t block_of(size_t image_bytes)
{
    int64_t block = (int64_t)(BLOCK_BYTES / image_bytes);
    block = block < BLOCK_MIN ? BLOCK_MIN : block;
    return block > BLOCK_MAX ? BLOCK_MAX : block;
}

pd_status pd_dataset_writer_run(pd_dataset_info *info, const char *output, const pd_sample *samples,
                                const pd_draft *drafts, const pd_pixels *pixels)
{
    pd_status status;
    pd_dataset *dataset = NULL;
    pd_digest *digest = NULL;
    pd_grey_sums sums = {0};
    size_t image_bytes = pixels->parts->image_bytes;
    int64_t block = block_of(image_bytes);
    uint8_t *images = NULL; /* [block][image_bytes] */
    pd_progress progress;

    pd_progress_begin(&progress, "writing", 0, (uint64_t)info->count);
    PD_TRY(pd_alloc(&images, (size_t)block, image_bytes));
    PD_TRY(pd_digest_create(&digest, info));
    PD_TRY(pd_dataset_create(&dataset, output, info, samples));
    for (int64_t first = 0; first < info->count; first += block) {
        int64_t left = info->count - first, count = left < block ? left : block;
        PD_TRY(pd_pixels_read(images, pixels, drafts + first, count));
        for (int64_t i = 0; i < count; i++) {
            const uint8_t *image = images + (size_t)i * image_bytes;
            pd_digest_add(digest, &samples[first + i], image, image_bytes);
            if (samples[first + i].fold == PD_TRAIN)
                add_grey(&sums, image, image_bytes);
        }
        PD_TRY(pd_dataset_write(dataset, first, count, images));
        pd_progress_update(&progress, (uint64_t)(first + count), NULL);
    }
    set_mean(info, &sums);
    pd_digest_write(info->digest, digest);
    PD_TRY(pd_dataset_finish(dataset, info));

cleanup:
    pd_progress_end(&progress);
    pd_dataset_destroy(&dataset);
    pd_digest_destroy(&digest);
    free(images);
    return status;
}
