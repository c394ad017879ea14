#include "outside.h"

#include "pneumo/base/memory.h"
#include "pneumo/data/image.h"
#include "pneumo/data/profile.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 }; /* images in memory */

typedef struct pd_outside_counter {
    const pd_checkpoint *checkpoint;
    const pd_dataset *dataset;
    int threads;
    uint8_t *images;                 /* [CHUNK] at the size of the data set */
    uint8_t *packed;                 /* [CHUNK] at the size of the training images */
    int64_t by_trait[PD_TRAITS + 1]; /* the last one counts images like the training images */
} pd_outside_counter;

/* The first trait by which image `i` of the chunk is unlike the training images. */
static pd_status check_image(const pd_outside_counter *counter, int i, const pd_sample *sample,
                             pd_trait *found)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(counter->dataset);
    const pd_profile *profile = &counter->checkpoint->profile;
    int height = (int)counter->checkpoint->image_height,
        width = (int)counter->checkpoint->image_width;
    pd_traits traits;
    pd_image image = {.height = info->height,
                      .width = info->width,
                      .pixels = counter->images + (size_t)i * info->height * info->width};
    const uint8_t *packed = image.pixels;
    if (image.height != height || image.width != width) {
        uint8_t *resized = counter->packed + (size_t)i * height * width;
        PD_TRY(pd_image_resize(resized, height, width, &image));
        packed = resized;
    }
    pd_traits_measure(&traits, packed, height, width, sample->height, sample->width);
    pd_traits_compare(&traits, profile->mean);
    *found = pd_profile_check(profile, &traits);
cleanup:
    return status;
}

static pd_status check_chunk(pd_outside_counter *counter, const int64_t *ids, int count)
{
    const pd_sample *samples = pd_dataset_samples(counter->dataset);
    pd_trait found[CHUNK];
    bool failed = false;
    pd_status status = pd_dataset_read(counter->dataset, ids, count, counter->images);
    if (status != PD_OK)
        return status;
#pragma omp parallel for num_threads(counter->threads) reduction(|| : failed)
    for (int i = 0; i < count; i++)
        failed = check_image(counter, i, &samples[ids[i]], &found[i]) != PD_OK || failed;
    if (failed) /* messages are thread-local */
        return pd_fail("out of memory to resize the images of a fold");
    for (int i = 0; i < count; i++)
        counter->by_trait[found[i]]++;
    return PD_OK;
}

/* Checks this rank's slice of the images. */
static pd_status check_share(pd_outside_counter *counter, const int64_t *ids, size_t count)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(counter->dataset);
    size_t pixels = (size_t)info->height * (size_t)info->width;
    size_t packed = (size_t)(counter->checkpoint->image_height * counter->checkpoint->image_width);
    PD_TRY(pd_alloc(&counter->images, CHUNK * pixels, sizeof *counter->images));
    PD_TRY(pd_alloc(&counter->packed, CHUNK * packed, sizeof *counter->packed));
    for (size_t i = 0; i < count; i += CHUNK)
        PD_TRY(check_chunk(counter, ids + i, (int)(count - i < CHUNK ? count - i : CHUNK)));
cleanup:
    return status;
}

pd_status pd_outside_count(pd_outside *out, pd_comm *comm, const pd_checkpoint *checkpoint,
                           const pd_dataset *dataset, const int64_t *ids, size_t count, int threads)
{
    pd_status status = PD_OK;
    pd_outside_counter counter = {.checkpoint = checkpoint, .dataset = dataset, .threads = threads};
    size_t rank = (size_t)pd_comm_rank(comm), ranks = (size_t)pd_comm_size(comm), bytes;
    size_t begin = rank * count / ranks, end = (rank + 1) * count / ranks;
    void *all = NULL;
    *out = (pd_outside){.checked = checkpoint->has_profile};
    if (!checkpoint->has_profile)
        return PD_OK;
    PD_TRY(pd_comm_agree(comm, check_share(&counter, ids + begin, end - begin)));
    PD_TRY(pd_comm_gather(comm, counter.by_trait, sizeof counter.by_trait, &all, &bytes));
    for (size_t i = 0; i < bytes / sizeof *counter.by_trait; i++)
        if (i % (PD_TRAITS + 1) != PD_TRAITS) {
            int64_t images = ((const int64_t *)all)[i];
            out->by_trait[i % (PD_TRAITS + 1)] += images;
            out->count += images;
        }
cleanup:
    free(counter.images);
    free(counter.packed);
    free(all);
    return status;
}
