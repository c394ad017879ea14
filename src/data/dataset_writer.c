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

/* What is written. */
typedef struct writer {
    const pd_draft *drafts;
    const pd_parts *parts;
    int threads;
    int64_t block;   /* images per block: what fits in a fixed amount of memory */
    uint8_t *images; /* [block][image_bytes] */
} writer;

static pd_status create_block(writer *w)
{
    w->block = (int64_t)(BLOCK_BYTES / w->parts->image_bytes);
    w->block = w->block < BLOCK_MIN ? BLOCK_MIN : w->block;
    w->block = w->block > BLOCK_MAX ? BLOCK_MAX : w->block;
    return pd_alloc(&w->images, (size_t)w->block, w->parts->image_bytes);
}

/* Reads the images of drafts [first, first + count) into the block. The first failure counts. */
static pd_status read_block(const writer *w, int64_t first, int64_t count)
{
    pd_status outcome = PD_OK;
    char *message = NULL;
#pragma omp parallel num_threads(w->threads)
    {
        uint8_t *slot;
        pd_status status = pd_alloc(&slot, w->parts->slot_bytes, 1);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count; i++)
            if (status == PD_OK)
                status = pd_parts_read(w->parts, w->drafts[first + i].place,
                                       w->images + (size_t)i * w->parts->image_bytes, slot);
#pragma omp critical(pd_dataset_writer)
        if (status != PD_OK && outcome == PD_OK) {
            outcome = status;
            if (pd_strdup(&message, pd_error_message()) != PD_OK)
                message = NULL;
        }
        free(slot);
    }
    if (outcome != PD_OK)
        pd_fail("%s", message != NULL ? message : "out of memory");
    free(message);
    return outcome;
}

pd_status pd_dataset_writer_run(pd_dataset_info *info, const char *output, const pd_sample *samples,
                                const pd_draft *drafts, const pd_parts *parts, int threads)
{
    pd_status status;
    pd_dataset *dataset = NULL;
    pd_digest *digest = NULL;
    pd_grey_sums sums = {0};
    writer w = {.drafts = drafts, .parts = parts, .threads = threads};
    pd_progress progress;

    pd_progress_begin(&progress, "writing", 0, (uint64_t)info->count);
    PD_TRY(create_block(&w));
    PD_TRY(pd_digest_create(&digest, info));
    PD_TRY(pd_dataset_create(&dataset, output, info, samples));
    for (int64_t first = 0; first < info->count; first += w.block) {
        int64_t left = info->count - first, count = left < w.block ? left : w.block;
        PD_TRY(read_block(&w, first, count));
        for (int64_t i = 0; i < count; i++) {
            const uint8_t *image = w.images + (size_t)i * parts->image_bytes;
            pd_digest_add(digest, &samples[first + i], image, parts->image_bytes);
            if (samples[first + i].fold == PD_TRAIN)
                add_grey(&sums, image, parts->image_bytes);
        }
        PD_TRY(pd_dataset_write(dataset, first, count, w.images));
        pd_progress_update(&progress, (uint64_t)(first + count), NULL);
    }
    set_mean(info, &sums);
    pd_digest_write(info->digest, digest);
    PD_TRY(pd_dataset_finish(dataset, info));

cleanup:
    pd_progress_end(&progress);
    pd_dataset_destroy(&dataset);
    pd_digest_destroy(&digest);
    free(w.images);
    return status;
}
