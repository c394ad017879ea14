#include "pneumo/data/images.h"

#include "pneumo/base/memory.h"

#include <stdlib.h>
#include <string.h>

struct pd_images {
    size_t count, image_bytes;
    int64_t *ids; /* ascending */
    uint8_t *pixels;
};

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

pd_status pd_images_create(pd_images **out, const pd_dataset *dataset, const int64_t *ids,
                           size_t count)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    pd_images *self = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&self, 1, sizeof *self));
    self->count = count;
    self->image_bytes = (size_t)info->height * (size_t)info->width;
    PD_TRY(pd_alloc(&self->ids, count, sizeof *self->ids));
    PD_TRY(pd_alloc(&self->pixels, count, self->image_bytes));
    memcpy(self->ids, ids, count * sizeof *ids);
    qsort(self->ids, count, sizeof *self->ids, by_value);
    PD_TRY(pd_dataset_read(dataset, self->ids, (int64_t)count, self->pixels));
    *out = self;
    self = NULL;
cleanup:
    pd_images_destroy(&self);
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

const uint8_t *pd_images_at(const pd_images *images, int64_t id)
{
    const int64_t *found = bsearch(&id, images->ids, images->count, sizeof *images->ids, by_value);
    return found == NULL ? NULL
                         : images->pixels + (size_t)(found - images->ids) * images->image_bytes;
}
