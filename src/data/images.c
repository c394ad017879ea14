#include "pneumo/data/images.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"

#include <stdlib.h>
#include <string.h>

struct pd_images {
    const pd_dataset *dataset;
    size_t image_bytes;
    size_t count;    /* held in memory */
    int64_t *ids;    /* [count], ascending; NULL: streamed */
    size_t most;     /* fetched at a time */
    uint8_t *pixels; /* of ids, or of the last fetch */
};

static pd_status hold_images(pd_images *images, const int64_t *ids, size_t count)
{
    pd_status status;
    images->count = count;
    PD_TRY(pd_alloc(&images->ids, count, sizeof *images->ids));
    PD_TRY(pd_alloc(&images->pixels, count, images->image_bytes));
    memcpy(images->ids, ids, count * sizeof *ids);
    qsort(images->ids, count, sizeof *images->ids, pd_compare_int64);
    PD_TRY(pd_dataset_read(images->dataset, images->ids, (int64_t)count, images->pixels));
cleanup:
    return status;
}

pd_status pd_images_create(pd_images **out, const pd_dataset *dataset, const int64_t *ids,
                           size_t count, bool hold, size_t most)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    pd_images *images = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&images, 1, sizeof *images));
    images->dataset = dataset;
    images->image_bytes = (size_t)info->height * (size_t)info->width;
    images->most = most;
    if (hold)
        PD_TRY(hold_images(images, ids, count));
    else
        PD_TRY(pd_alloc(&images->pixels, most, images->image_bytes));
    *out = images;
    images = NULL;
cleanup:
    pd_images_destroy(&images);
    return status;
}

void pd_images_destroy(pd_images **images)
{
    if (*images == NULL)
        return;
    free((*images)->ids);
    free((*images)->pixels);
    free(*images);
    *images = NULL;
}

pd_status pd_images_fetch(pd_images *images, const int64_t *ids, size_t count,
                          const uint8_t **pixels)
{
    if (count > images->most)
        return pd_fail("cannot fetch %zu images at a time; the limit is %zu", count, images->most);
    for (size_t i = 0; i < count; i++) {
        size_t place = i;
        if (images->ids != NULL) {
            const int64_t *found =
                bsearch(&ids[i], images->ids, images->count, sizeof *images->ids, pd_compare_int64);
            if (found == NULL)
                return pd_fail("the image of sample %lld is not in memory", (long long)ids[i]);
            place = (size_t)(found - images->ids);
        }
        pixels[i] = images->pixels + place * images->image_bytes;
    }
    return images->ids != NULL
               ? PD_OK
               : pd_dataset_read(images->dataset, ids, (int64_t)count, images->pixels);
}

void pd_images_prefetch(const pd_images *images, const int64_t *ids, size_t count)
{
    if (images->ids == NULL)
        pd_dataset_prefetch(images->dataset, ids, count);
}
