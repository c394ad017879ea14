#include "pneumo/data/subset.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* An image of one class. */
typedef struct image {
    size_t place;    /* in ids */
    uint32_t draw;   /* of its patient */
    int32_t patient; /* decides where two draws are equal */
} image;

static int by_draw(const void *a, const void *b)
{
    const image *x = a, *y = b;
    if (x->draw != y->draw)
        return x->draw < y->draw ? -1 : 1;
    if (x->patient != y->patient)
        return x->patient < y->patient ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static uint32_t draw_patient(uint64_t seed, int label, int32_t patient)
{
    pd_random random =
        pd_random_stream(seed, PD_PURPOSE_SUBSET, 16 + (uint32_t)label, (uint64_t)(int64_t)patient);
    return pd_random_bits(&random);
}

/* Clears drop[] of the first `wanted` images of the class. */
static void keep_class(bool *drop, image *images, size_t count, size_t wanted)
{
    qsort(images, count, sizeof *images, by_draw);
    for (size_t i = 0; i < wanted; i++)
        drop[images[i].place] = false;
}

/* x * part / whole, rounded. */
static size_t share(size_t x, size_t part, size_t whole)
{
    return (size_t)((double)x * (double)part / (double)whole + 0.5);
}

pd_status pd_subset_choose(int64_t *ids, int32_t *labels, size_t *count, const pd_sample *samples,
                           int classes, size_t images, uint64_t seed)
{
    pd_status status = PD_OK;
    bool *drop = NULL;
    image *own = NULL;
    size_t all = *count, before = 0, kept = 0;
    if (images >= all)
        return PD_OK;
    PD_TRY(pd_alloc(&drop, all, sizeof *drop));
    PD_TRY(pd_alloc(&own, all, sizeof *own));
    memset(drop, true, all * sizeof *drop);
    for (int label = 0; label < classes; label++) {
        size_t size = 0;
        for (size_t i = 0; i < all; i++)
            if (labels[i] == label) {
                int32_t patient = samples[ids[i]].patient;
                own[size++] = (image){i, draw_patient(seed, label, patient), patient};
            }
        size_t wanted = share(images, before + size, all) - share(images, before, all);
        if (size > 0 && wanted == 0) {
            status = pd_fail("too few for one image of each class");
            goto cleanup;
        }
        keep_class(drop, own, size, wanted);
        before += size;
    }
    for (size_t i = 0; i < all; i++)
        if (!drop[i]) {
            ids[kept] = ids[i];
            labels[kept++] = labels[i];
        }
    *count = kept;

cleanup:
    free(own);
    free(drop);
    return status;
}
