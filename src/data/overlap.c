#include "pneumo/data/overlap.h"

#include "pneumo/base/memory.h"
#include "pneumo/data/identity.h"

#include <stdlib.h>

/* An image of one of the data sets. */
typedef struct picture {
    pd_identity identity;
    int64_t id;
    int32_t patient;
    unsigned folds; /* of the patient: bit f for fold f */
} picture;

static int by_patient(const void *a, const void *b)
{
    const picture *x = a, *y = b;
    return (x->patient > y->patient) - (x->patient < y->patient);
}

static int by_identity(const void *a, const void *b)
{
    const picture *x = a, *y = b;
    int order = pd_identity_compare(&x->identity, &y->identity);
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

/* Sets the folds of every image to those of its patient. */
static void find_folds(picture *pictures, int64_t count, const pd_sample *samples)
{
    qsort(pictures, (size_t)count, sizeof *pictures, by_patient);
    for (int64_t first = 0, end; first < count; first = end) {
        unsigned folds = 0;
        for (end = first; end < count && pictures[end].patient == pictures[first].patient; end++)
            folds |= 1u << samples[pictures[end].id].fold;
        for (int64_t i = first; i < end; i++)
            pictures[i].folds = folds;
    }
}

/* Lists the images of a data set in order of identity; *out is released with free(). */
static pd_status list_pictures(picture **out, const pd_dataset *dataset)
{
    pd_status status = PD_OK;
    int64_t count = pd_dataset_get_info(dataset)->count;
    const pd_sample *samples = pd_dataset_samples(dataset);
    pd_identity *identities = NULL;
    PD_TRY(pd_alloc(out, (size_t)count, sizeof **out));
    PD_TRY(pd_alloc(&identities, (size_t)count, sizeof *identities));
    PD_TRY(pd_identities_read(identities, dataset, 0, count));
    for (int64_t id = 0; id < count; id++)
        (*out)[id] =
            (picture){.identity = identities[id], .id = id, .patient = samples[id].patient};
    find_folds(*out, count, samples);
    qsort(*out, (size_t)count, sizeof **out, by_identity);
cleanup:
    free(identities);
    return status;
}

static pd_status compare(const pd_overlap_side *a, const picture *x, const pd_overlap_side *b,
                         const picture *y)
{
    unsigned folds = x->folds | y->folds;
    if ((folds & (folds - 1)) == 0)
        return PD_OK;
    const pd_sample *left = &pd_dataset_samples(a->dataset)[x->id];
    const pd_sample *right = &pd_dataset_samples(b->dataset)[y->id];
    return pd_fail("%s and %s: their folds contradict each other: the patient of '%s' (%s) in the "
                   "first has images in another fold than the patient of '%s' (%s) in the second; "
                   "train on one data set",
                   a->name, b->name, left->name, pd_fold_names[left->fold], right->name,
                   pd_fold_names[right->fold]);
}

pd_status pd_overlap_check(const pd_overlap_side *a, const pd_overlap_side *b)
{
    pd_status status = PD_OK;
    picture *left = NULL, *right = NULL;
    int64_t left_count = pd_dataset_get_info(a->dataset)->count;
    int64_t right_count = pd_dataset_get_info(b->dataset)->count;
    PD_TRY(list_pictures(&left, a->dataset));
    PD_TRY(list_pictures(&right, b->dataset));
    for (int64_t i = 0, j = 0; i < left_count && j < right_count;) {
        int order = pd_identity_compare(&left[i].identity, &right[j].identity);
        if (order == 0)
            PD_TRY(compare(a, &left[i], b, &right[j]));
        /* Of several images with the same pixels, compare each with the last of the other side. */
        if (order < 0 || (order == 0 && i + 1 < left_count &&
                          pd_identity_compare(&left[i + 1].identity, &right[j].identity) == 0))
            i++;
        else
            j++;
    }
cleanup:
    free(left);
    free(right);
    return status;
}

/* Lists the identities of the images of the test fold in order; *out is released with free(). */
static pd_status list_tests(pd_identity **out, int64_t *count, const pd_dataset *dataset)
{
    pd_status status = PD_OK;
    int64_t total = pd_dataset_get_info(dataset)->count;
    *count = 0;
    PD_TRY(pd_alloc(out, (size_t)total, sizeof **out));
    for (int64_t id = 0; id < total; id++)
        if (pd_dataset_samples(dataset)[id].fold == PD_TEST)
            PD_TRY(pd_identities_read(&(*out)[(*count)++], dataset, id, 1));
    qsort(*out, (size_t)*count, sizeof **out, pd_identity_compare);
cleanup:
    return status;
}

pd_status pd_overlap_tests(bool *shared, const pd_dataset *a, const pd_dataset *b)
{
    pd_status status = PD_OK;
    pd_identity *left = NULL, *right = NULL;
    int64_t left_count, right_count;
    *shared = false;
    PD_TRY(list_tests(&left, &left_count, a));
    PD_TRY(list_tests(&right, &right_count, b));
    for (int64_t i = 0; i < left_count && !*shared; i++)
        *shared = bsearch(&left[i], right, (size_t)right_count, sizeof *right,
                          pd_identity_compare) != NULL;
cleanup:
    free(left);
    free(right);
    return status;
}
