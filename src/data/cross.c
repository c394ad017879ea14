#include "pneumo/data/cross.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"
#include "pneumo/data/patient.h"

#include <stdio.h>
#include <stdlib.h>

/* A patient with images in the train or val fold. */
typedef struct dealt_patient {
    int64_t id;
    int64_t images; /* in these two folds */
    pd_label label; /* of the first of them */
    pd_cause cause;
    int part; /* from 0 */
} dealt_patient;

typedef struct dealing {
    dealt_patient *patients; /* [count], by id */
    int64_t count;
    int64_t *order; /* [count]: the patients of one label and cause */
    int parts;
    uint64_t seed;
    const char *noun;                /* what the groups of images are called */
    int64_t of_label[PD_CROSS_MOST]; /* images of the current label in each part */
} dealing;

static int by_id(const void *a, const void *b)
{
    const dealt_patient *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Fills deal->patients, each with the label and cause of its first image. */
static pd_status list_patients(dealing *deal, const pd_sample *samples, int64_t count)
{
    pd_status status = pd_alloc(&deal->patients, (size_t)count, sizeof *deal->patients);
    int64_t images = 0, used = 0;
    for (int64_t i = 0; i < count && status == PD_OK; i++) {
        const pd_sample *sample = &samples[i];
        if (sample->fold == PD_TEST)
            continue;
        deal->patients[images] = (dealt_patient){.id = (int64_t)sample->patient * count + i,
                                                 .images = 1,
                                                 .label = sample->label,
                                                 .cause = sample->cause};
        images++;
    }
    if (status != PD_OK)
        return status;
    /* The key includes the index of the image, so that the first image comes first. */
    qsort(deal->patients, (size_t)images, sizeof *deal->patients, by_id);
    for (int64_t i = 0; i < images; i++) {
        dealt_patient next = deal->patients[i];
        next.id /= count;
        if (used > 0 && deal->patients[used - 1].id == next.id)
            deal->patients[used - 1].images++;
        else
            deal->patients[used++] = next;
    }
    deal->count = used;
    return pd_alloc(&deal->order, (size_t)used, sizeof *deal->order);
}

/* The part with the fewest images of this label and cause; of equal parts, the one with the fewest
 * of the label. */
static int emptiest(const dealing *deal, const int64_t *of_cause)
{
    int best = 0;
    for (int part = 1; part < deal->parts; part++)
        if (of_cause[part] < of_cause[best] ||
            (of_cause[part] == of_cause[best] && deal->of_label[part] < deal->of_label[best]))
            best = part;
    return best;
}

/* Deals the patients of one label and cause in random order, those with the most images first: the
 * small ones at the end balance the parts. */
static void deal_cause(dealing *deal, pd_label label, pd_cause cause)
{
    int64_t of_cause[PD_CROSS_MOST] = {0}, largest = 0;
    size_t size = 0;
    pd_random random = pd_random_stream(deal->seed, PD_PURPOSE_FOLDS, 2,
                                        (uint64_t)label * PD_CAUSES + (uint64_t)cause);
    for (int64_t p = 0; p < deal->count; p++) {
        if (deal->patients[p].label != label || deal->patients[p].cause != cause)
            continue;
        deal->order[size++] = p;
        largest = deal->patients[p].images > largest ? deal->patients[p].images : largest;
    }
    pd_random_shuffle(&random, deal->order, size);
    for (int64_t images = largest, below = 0; images > 0; images = below, below = 0) {
        for (size_t i = 0; i < size; i++) {
            dealt_patient *p = &deal->patients[deal->order[i]];
            if (p->images < images && p->images > below)
                below = p->images;
            if (p->images != images)
                continue;
            p->part = emptiest(deal, of_cause);
            of_cause[p->part] += images;
            deal->of_label[p->part] += images;
        }
    }
}

static pd_status deal_label(dealing *deal, pd_label label)
{
    int64_t patients = 0;
    for (int64_t p = 0; p < deal->count; p++)
        patients += deal->patients[p].label == label;
    if (patients < deal->parts)
        return pd_fail("the train and val folds have %lld %s %s, fewer than the %d parts of the "
                       "cross-validation; ask for fewer parts",
                       (long long)patients, pd_label_names[label], deal->noun, deal->parts);
    for (int part = 0; part < deal->parts; part++)
        deal->of_label[part] = 0;
    for (int cause = 0; cause < PD_CAUSES; cause++)
        deal_cause(deal, label, (pd_cause)cause);
    return PD_OK;
}

static int part_of(const dealing *deal, int32_t id)
{
    const dealt_patient key = {.id = id};
    const dealt_patient *found =
        bsearch(&key, deal->patients, (size_t)deal->count, sizeof *deal->patients, by_id);
    return found->part;
}

pd_status pd_cross_assign(pd_dataset *dataset, int parts, int part, uint64_t seed)
{
    pd_status status = PD_OK;
    const pd_sample *samples = pd_dataset_samples(dataset);
    int64_t count = pd_dataset_get_info(dataset)->count;
    dealing deal = {.parts = parts, .seed = seed};
    pd_fold *folds = NULL;
    char policy[64];
    int64_t unknown;
    PD_TRY(pd_patients_unknown(&unknown, dataset));
    deal.noun = pd_patients_noun(unknown);
    PD_TRY(list_patients(&deal, samples, count));
    for (int label = 0; label < PD_LABELS; label++)
        PD_TRY(deal_label(&deal, (pd_label)label));
    PD_TRY(pd_alloc(&folds, (size_t)count, sizeof *folds));
    for (int64_t i = 0; i < count; i++)
        folds[i] = samples[i].fold == PD_TEST                       ? PD_TEST
                   : part_of(&deal, samples[i].patient) + 1 == part ? PD_VAL
                                                                    : PD_TRAIN;
    snprintf(policy, sizeof policy, "by %s, val is part %d of %d of train and val",
             unknown > 0 ? "group" : "patient", part, parts);
    pd_dataset_set_folds(dataset, folds, policy);
cleanup:
    free(deal.patients);
    free(deal.order);
    free(folds);
    return status;
}
