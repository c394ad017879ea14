#include "draw.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Uses of random numbers: majors of PD_PURPOSE_CALIBRATE. */
enum { DRAW = 0, DEAL = 1 };

/* A sample's index, and its patient. */
typedef struct place {
    int32_t patient;
    size_t index;
} place;

/* A patient: places [begin, begin + counts[0] + counts[1]) and the samples of each class. */
typedef struct group {
    size_t begin;
    int64_t counts[2];
} group;

typedef struct pd_patient_groups {
    place *places;   /* [count], by patient */
    group *patients; /* [patient_count] */
    int64_t *order;  /* [patient_count], in drawn order */
    size_t patient_count;
} pd_patient_groups;

static int compare_places(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->patient != y->patient)
        return x->patient < y->patient ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static void groups_free(pd_patient_groups *groups)
{
    free(groups->places);
    free(groups->patients);
    free(groups->order);
}

/* Released by groups_free, also after a failure. */
static pd_status groups_make(pd_patient_groups *groups, const pd_score *samples, size_t count,
                             uint64_t seed, uint32_t major)
{
    pd_status status = PD_OK;
    *groups = (pd_patient_groups){0};
    PD_TRY(pd_alloc(&groups->places, count, sizeof *groups->places));
    PD_TRY(pd_alloc(&groups->patients, count, sizeof *groups->patients));
    PD_TRY(pd_alloc(&groups->order, count, sizeof *groups->order));
    for (size_t i = 0; i < count; i++)
        groups->places[i] = (place){samples[i].patient, i};
    qsort(groups->places, count, sizeof *groups->places, compare_places);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || groups->places[i].patient != groups->places[i - 1].patient)
            groups->patients[groups->patient_count++].begin = i;
        group *patient = &groups->patients[groups->patient_count - 1];
        patient->counts[samples[groups->places[i].index].positive != 0]++;
    }
    for (size_t i = 0; i < groups->patient_count; i++)
        groups->order[i] = (int64_t)i;
    pd_random random = pd_random_stream(seed, PD_PURPOSE_CALIBRATE, major, 0);
    pd_random_shuffle(&random, groups->order, groups->patient_count);
cleanup:
    return status;
}

static pd_status check_draw(const pd_score *samples, size_t count, int64_t each)
{
    int64_t counts[2] = {0};
    for (size_t i = 0; i < count; i++)
        counts[samples[i].positive != 0]++;
    if (counts[0] < each || counts[1] < each)
        return pd_fail("%" PRId64 " images of each class cannot be drawn: there are %" PRId64
                       " normal and %" PRId64 " pneumonia images",
                       each, counts[0], counts[1]);
    return PD_OK;
}

pd_status pd_draw_patients(pd_score *samples, size_t *count, int64_t each, uint64_t seed)
{
    pd_status status = PD_OK;
    pd_patient_groups all = {0};
    bool *taken = NULL;
    int64_t counts[2] = {0};
    size_t kept = 0;
    PD_TRY(check_draw(samples, *count, each));
    PD_TRY(pd_alloc(&taken, *count, sizeof *taken));
    PD_TRY(groups_make(&all, samples, *count, seed, DRAW));
    for (size_t i = 0; i < all.patient_count; i++) {
        const group *patient = &all.patients[all.order[i]];
        if (counts[0] + patient->counts[0] > each || counts[1] + patient->counts[1] > each)
            continue;
        counts[0] += patient->counts[0];
        counts[1] += patient->counts[1];
        for (int64_t j = 0; j < patient->counts[0] + patient->counts[1]; j++)
            taken[all.places[patient->begin + (size_t)j].index] = true;
    }
    for (size_t i = 0; i < *count; i++)
        if (taken[i])
            samples[kept++] = samples[i];
    *count = kept;
cleanup:
    groups_free(&all);
    free(taken);
    return status;
}

/* Patients of the rarer class. */
static int64_t rarer_patients(const pd_patient_groups *all)
{
    int64_t patients[2] = {0};
    for (size_t i = 0; i < all->patient_count; i++)
        patients[all->patients[i].counts[1] > 0]++;
    return patients[0] < patients[1] ? patients[0] : patients[1];
}

pd_status pd_draw_parts(int *part, int *parts, const pd_score *samples, size_t count, int most,
                        uint64_t seed)
{
    pd_status status = PD_OK;
    pd_patient_groups all = {0};
    int64_t(*sizes)[2] = NULL; /* samples of patients of each class, by part */
    *parts = 0;
    PD_TRY(groups_make(&all, samples, count, seed, DEAL));
    int64_t rarer = rarer_patients(&all);
    *parts = rarer < most ? (int)rarer : most;
    PD_TRY(pd_alloc(&sizes, (size_t)*parts, sizeof *sizes));
    for (size_t i = 0; i<all.patient_count && * parts> 0; i++) {
        const group *patient = &all.patients[all.order[i]];
        int class = patient->counts[1] > 0, least = 0;
        int64_t size = patient->counts[0] + patient->counts[1];
        for (int p = 1; p < *parts; p++)
            if (sizes[p][class] < sizes[least][class])
                least = p;
        sizes[least][class] += size;
        for (int64_t j = 0; j < size; j++)
            part[all.places[patient->begin + (size_t)j].index] = least;
    }
cleanup:
    groups_free(&all);
    free(sizes);
    return status;
}
