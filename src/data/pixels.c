#include "pixels.h"

#include "pneumo/base/memory.h"

#include <stdlib.h>

static bool is_old(const pd_pixels *pixels, const pd_draft *draft)
{
    return pixels->old != NULL && draft->place.part < 0;
}

pd_status pd_pixels_read_copy(uint8_t *copy, const pd_pixels *pixels, const pd_draft *draft)
{
    pd_image image = {0};
    if (!is_old(pixels, draft))
        return pd_parts_read_copy(pixels->parts, draft->place, copy);
    image.height = image.width = (int)pixels->parts->plan.header.side;
    pd_status status = pd_alloc(&image.pixels, pixels->parts->image_bytes, 1);
    if (status == PD_OK)
        status = pd_dataset_read(pixels->old, &draft->slot, 1, image.pixels);
    if (status == PD_OK)
        status = pd_near_copy(copy, &image);
    pd_image_free(&image);
    return status;
}

/* HDF5 serves one thread at a time. */
static pd_status read_old(uint8_t *images, const pd_pixels *pixels, const pd_draft *drafts,
                          int64_t count)
{
    pd_status status = PD_OK;
    for (int64_t i = 0; i < count && status == PD_OK; i++)
        if (is_old(pixels, &drafts[i]))
            status = pd_dataset_read(pixels->old, &drafts[i].slot, 1,
                                     images + (size_t)i * pixels->parts->image_bytes);
    return status;
}

pd_status pd_pixels_read(uint8_t *images, const pd_pixels *pixels, const pd_draft *drafts,
                         int64_t count)
{
    const pd_parts *parts = pixels->parts;
    pd_failure failure = {0};
    pd_status old = read_old(images, pixels, drafts, count);
    if (old != PD_OK)
        return old;
#pragma omp parallel num_threads(pixels->threads)
    {
        uint8_t *slot;
        pd_status status = pd_alloc(&slot, parts->slot_bytes, 1);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count; i++)
            if (status == PD_OK && !is_old(pixels, &drafts[i]))
                status = pd_parts_read(parts, drafts[i].place,
                                       images + (size_t)i * parts->image_bytes, slot);
        pd_failure_keep(&failure, status);
        free(slot);
    }
    return pd_failure_return(&failure);
}
