#include "trained.h"

#include "ensemble_data.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/data/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 }; /* images between two updates of the progress line */

/* One of the images that are searched for. */
typedef struct sought {
    pd_identity identity;
    int64_t place;
    unsigned folds; /* bit f: it is in fold f */
} sought;

static int by_identity(const void *a, const void *b)
{
    return pd_identity_compare(&((const sought *)a)->identity, &((const sought *)b)->identity);
}

static bool is_own(const pd_dataset *dataset, const pd_classifier_member *member)
{
    return strcmp(pd_dataset_get_info(dataset)->digest, member->checkpoint->data_digest) == 0;
}

/* Opens the data set of the training, or writes why the images cannot be compared with it. */
static void open_training(pd_dataset **out, char *reason, size_t size,
                          const pd_classifier_member *member, const pd_labelled *labelled)
{
    const char *path = member->job.file;
    if (pd_checkpoint_is_import(member->checkpoint)) {
        snprintf(reason, size, "%s does not name a data set of the training", member->name);
        return;
    }
    if (pd_ensemble_data_open_member(out, member, path) != PD_OK) {
        snprintf(reason, size, "%s", pd_error_message());
        return;
    }
    const pd_dataset_info *info = pd_dataset_get_info(*out);
    if (!is_own(*out, member))
        snprintf(reason, size, "%s is not the data set that the model was trained on", path);
    else if (info->height != labelled->height || info->width != labelled->width)
        snprintf(reason, size, "those in %s are packed to %d x %d pixels, these to %d x %d", path,
                 info->width, info->height, labelled->width, labelled->height);
}

/* Notes the folds in which images of `dataset` are. */
static pd_status search(sought *images, size_t count, const pd_dataset *dataset)
{
    pd_status status = PD_OK;
    pd_progress progress;
    const pd_sample *samples = pd_dataset_samples(dataset);
    int64_t total = pd_dataset_get_info(dataset)->count;
    pd_identity identities[BLOCK];
    pd_progress_begin(&progress, "comparing with the training", 0, (uint64_t)total);
    for (int64_t first = 0; first < total && status == PD_OK; first += BLOCK) {
        int64_t block = total - first < BLOCK ? total - first : BLOCK;
        status = pd_identities_read(identities, dataset, first, block);
        for (int64_t i = 0; i < block && status == PD_OK; i++) {
            const sought key = {.identity = identities[i]};
            sought *found = bsearch(&key, images, count, sizeof key, by_identity);
            if (found != NULL)
                found->folds |= 1u << samples[first + i].fold;
        }
        pd_progress_update(&progress, (uint64_t)(first + block), NULL);
    }
    pd_progress_end(&progress);
    return status;
}

static void count_found(pd_trained *out, const sought *images, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool is_taken = (images[i].folds & ~(1u << PD_VAL)) != 0;
        out->val += (images[i].folds & 1u << PD_VAL) != 0;
        out->taken += is_taken;
        if (is_taken && (out->example < 0 || images[i].place < out->example))
            out->example = images[i].place;
    }
}

pd_status pd_trained_find(pd_trained *out, const pd_classifier_member *member,
                          const pd_labelled *labelled, const pd_identity *identities, size_t count)
{
    pd_status status = PD_OK;
    pd_dataset *dataset = NULL;
    sought *images = NULL;
    *out = (pd_trained){.example = -1};
    if (labelled->dataset != NULL && is_own(labelled->dataset, member)) {
        out->val = (int64_t)count;
        return PD_OK;
    }
    open_training(&dataset, out->reason, sizeof out->reason, member, labelled);
    if (out->reason[0] != '\0')
        goto cleanup;
    PD_TRY(pd_alloc(&images, count, sizeof *images));
    for (size_t i = 0; i < count; i++)
        images[i] = (sought){.identity = identities[i], .place = (int64_t)i};
    qsort(images, count, sizeof *images, by_identity);
    PD_TRY(search(images, count, dataset));
    count_found(out, images, count);
cleanup:
    pd_dataset_destroy(&dataset);
    free(images);
    return status;
}
