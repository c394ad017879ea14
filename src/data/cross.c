#include "pneumo/data/cross.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"

#include <stdio.h>
#include <stdlib.h>

/* A patient with images in the train or val fold. */
typedef struct patient {
    int64_t id;
    int64_t images; /* in these folds */
    pd_label label; /* of the first of them */
    pd_cause cause;
    int part; /* from 0 */
} patient;

typedef struct deal {
    patient *patients; /* [count], by id */
    int64_t count;
    int64_t *order; /* [count]: of the patients of one label and cause */
    int parts;
    uint64_t seed;
    int64_t of_label[PD_CROSS_MOST]; /* images of the label at hand that each part has */
} deal;

static int by_id(const void *a, const void *b)
{
    const patient *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Lists the patients in self->patients, each with the label and cause of its first image. */
static pd_status list_patients(deal *self, const pd_sample *samples, int64_t count)
{
    pd_status status = pd_alloc(&self->patients, (size_t)count, sizeof *self->patients);
    int64_t images = 0, used = 0;
    for (int64_t i = 0; i < count && status == PD_OK; i++)
        if (samples[i].fold != PD_TEST)
            self->patients[images++] = (patient){.id = (int64_t)samples[i].patient * count + i,
                                                 .images = 1,
                                                 .label = samples[i].label,
                                                 .cause = samples[i].cause};
    if (status != PD_OK)
        return status;
    /* The number of the image is part of the key, so that the first image comes first. */
    qsort(self->patients, (size_t)images, sizeof *self->patients, by_id);
    for (int64_t i = 0; i < images; i++) {
        patient next = self->patients[i];
        next.id /= count;
        if (used > 0 && self->patients[used - 1].id == next.id)
            self->patients[used - 1].images++;
        else
            self->patients[used++] = next;
    }
    self->count = used;
    return pd_alloc(&self->order, (size_t)used, sizeof *self->order);
}

/* The part with the fewest images of this label and cause; of several, that with the fewest of the
 * label. */
static int emptiest(const deal *self, const int64_t *of_cause)
{
    int best = 0;
    for (int part = 1; part < self->parts; part++)
        if (of_cause[part] < of_cause[best] ||
            (of_cause[part] == of_cause[best] && self->of_label[part] < self->of_label[best]))
            best = part;
    return best;
}

/* Deals the patients of one label and cause in random order, those with many images first, so that
 * those with few even out the parts. */
static void deal_cause(deal *self, pd_label label, pd_cause cause)
{
    int64_t of_cause[PD_CROSS_MOST] = {0}, largest = 0;
    size_t size = 0;
    pd_random random = pd_random_stream(self->seed, PD_PURPOSE_FOLDS, 2,
                                        (uint64_t)label * PD_CAUSES + (uint64_t)cause);
    for (int64_t p = 0; p < self->count; p++) {
        if (self->patients[p].label != label || self->patients[p].cause != cause)
            continue;
        self->order[size++] = p;
        largest = self->patients[p].images > largest ? self->patients[p].images : largest;
    }
    pd_random_shuffle(&random, self->order, size);
    for (int64_t images = largest, below = 0; images > 0; images = below, below = 0) {
        for (size_t i = 0; i < size; i++) {
            patient *p = &self->patients[self->order[i]];
            if (p->images < images && p->images > below)
                below = p->images;
            if (p->images != images)
                continue;
            p->part = emptiest(self, of_cause);
            of_cause[p->part] += images;
            self->of_label[p->part] += images;
        }
    }
}

static pd_status deal_label(deal *self, pd_label label)
{
    int64_t patients = 0;
    for (int64_t p = 0; p < self->count; p++)
        patients += self->patients[p].label == label;
    if (patients < self->parts)
        return pd_fail("its train and val folds have %lld patients with the label %s, fewer than "
                       "the %d parts of the cross-validation: ask for fewer parts",
                       (long long)patients, pd_label_names[label], self->parts);
    for (int part = 0; part < self->parts; part++)
        self->of_label[part] = 0;
    for (int cause = 0; cause < PD_CAUSES; cause++)
        deal_cause(self, label, (pd_cause)cause);
    return PD_OK;
}

static int part_of(const deal *self, int32_t id)
{
    const patient key = {.id = id};
    const patient *found =
        bsearch(&key, self->patients, (size_t)self->count, sizeof *self->patients, by_id);
    return found->part;
}

pd_status pd_cross_assign(pd_dataset *dataset, int parts, int part, uint64_t seed)
{
    pd_status status = PD_OK;
    const pd_sample *samples = pd_dataset_samples(dataset);
    int64_t count = pd_dataset_get_info(dataset)->count;
    deal self = {.parts = parts, .seed = seed};
    pd_fold *folds = NULL;
    char policy[64];
    PD_TRY(list_patients(&self, samples, count));
    for (int label = 0; label < PD_LABELS; label++)
        PD_TRY(deal_label(&self, (pd_label)label));
    PD_TRY(pd_alloc(&folds, (size_t)count, sizeof *folds));
    for (int64_t i = 0; i < count; i++)
        folds[i] = samples[i].fold == PD_TEST                       ? PD_TEST
                   : part_of(&self, samples[i].patient) + 1 == part ? PD_VAL
                                                                    : PD_TRAIN;
    snprintf(policy, sizeof policy, "by patient, val is part %d of %d of train and val", part,
             parts);
    pd_dataset_set_folds(dataset, folds, policy);
cleanup:
    free(self.patients);
    free(self.order);
    free(folds);
    return status;
}
