#include "near_pairs.h"

#include "joins.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"

#include <stdlib.h>

/* Candidates that are compared, per image: more of them mean that the images are so much alike that
 * the hash does not tell them apart, and comparing all would take hours. */
enum { CANDIDATES = 16, CANDIDATES_LEAST = 100000 };

typedef struct finder {
    pd_near_pairs *found;
    pd_joins joins;
    const pd_near_images *images;
    int64_t left; /* whose details are in `a`; -1: none */
    float a[PD_NEAR_BYTES], b[PD_NEAR_BYTES];
} finder;

static pd_status read_details(float *out, const finder *f, int64_t image)
{
    uint8_t copy[PD_NEAR_BYTES];
    pd_status status = f->images->read_copy(f->images->context, copy, image);
    if (status == PD_OK)
        pd_near_details(out, copy);
    return status;
}

/* Puts a pair behind the others, for which there is room. */
static void put(pd_near_pairs *pairs, const pd_near_pair *pair)
{
    if (pair->joins && pairs->joined++ == 0)
        pairs->example = pairs->count;
    pairs->pairs[pairs->count++] = *pair;
}

/* Compares a candidate; joins its patients and keeps it if it is a near-duplicate. */
static pd_status check_pair(void *context, const pd_near_pair *pair)
{
    pd_status status;
    finder *f = context;
    if (f->left != pair->a)
        PD_TRY(read_details(f->a, f, pair->a));
    f->left = pair->a;
    PD_TRY(read_details(f->b, f, pair->b));
    if (pd_near_correlation(f->a, f->b, pair->mirrored) < PD_NEAR_CORRELATION)
        return PD_OK;
    int32_t a = f->images->patients[pair->a], b = f->images->patients[pair->b];
    pd_joins_join(&f->joins, a, b);
    PD_TRY(pd_grow(&f->found->pairs, &f->found->capacity, (size_t)f->found->count + 1,
                   sizeof *f->found->pairs));
    put(f->found, &(pd_near_pair){pair->a, pair->b, pair->mirrored, a != b});

cleanup:
    return status;
}

pd_status pd_near_pairs_find(pd_near_pairs *out, const pd_near_images *images)
{
    pd_status status;
    int64_t searched, limit = CANDIDATES * images->count;
    pd_near_search *search = NULL;
    finder *f = NULL;

    *out = (pd_near_pairs){.example = -1};
    PD_TRY(pd_alloc(&f, 1, sizeof *f));
    *f = (finder){.found = out, .images = images, .left = -1};
    PD_TRY(pd_joins_create(&f->joins, images->patient_count));
    PD_TRY(pd_near_search_create(&search, images->hashes, images->plain, images->count));
    limit = limit > CANDIDATES_LEAST ? limit : CANDIDATES_LEAST;
    PD_TRY(pd_near_search_run(&searched, search, images->old, limit, check_pair, f));
    out->unsearched = images->count - searched;
    for (int64_t i = 0; i < images->count; i++)
        images->patients[i] = pd_joins_find(&f->joins, images->patients[i]);

cleanup:
    pd_near_search_destroy(&search);
    if (f != NULL)
        pd_joins_free(&f->joins);
    free(f);
    return status;
}

/* --- Drafts --- */

typedef struct draft_copies {
    const pd_draft *drafts;
    const pd_pixels *pixels;
} draft_copies;

static pd_status read_draft(void *context, uint8_t *copy, int64_t image)
{
    const draft_copies *copies = context;
    return pd_pixels_read_copy(copy, copies->pixels, &copies->drafts[image]);
}

pd_status pd_near_pairs_join(pd_near_pairs *out, pd_scan *scan, const pd_draft *drafts,
                             int64_t count, const pd_pixels *pixels)
{
    pd_status status;
    uint64_t *hashes = NULL;
    bool *plain = NULL;
    int32_t *patients = NULL;
    draft_copies copies = {drafts, pixels};

    *out = (pd_near_pairs){.example = -1};
    PD_TRY(pd_alloc(&hashes, (size_t)count, sizeof *hashes));
    PD_TRY(pd_alloc(&plain, (size_t)count, sizeof *plain));
    PD_TRY(pd_alloc(&patients, (size_t)count, sizeof *patients));
    for (int64_t i = 0; i < count; i++) {
        hashes[i] = drafts[i].hash;
        plain[i] = drafts[i].plain;
        patients[i] = scan->samples[drafts[i].slot].patient;
    }
    const pd_near_images images = {.hashes = hashes,
                                   .plain = plain,
                                   .count = count,
                                   .old = scan->old,
                                   .patients = patients,
                                   .patient_count = scan->patients,
                                   .read_copy = read_draft,
                                   .context = &copies};
    PD_TRY(pd_near_pairs_find(out, &images));
    for (int64_t i = 0; i < count; i++)
        scan->samples[drafts[i].slot].patient = patients[i];

cleanup:
    free(hashes);
    free(plain);
    free(patients);
    return status;
}

void pd_near_pairs_renumber(pd_near_pairs *pairs, const int64_t *places)
{
    const int64_t count = pairs->count;
    pairs->count = pairs->joined = 0;
    pairs->example = -1;
    for (int64_t i = 0; i < count; i++) {
        pd_near_pair pair = pairs->pairs[i];
        pair.a = places[pair.a];
        pair.b = places[pair.b];
        if (pair.a >= 0 && pair.b >= 0)
            put(pairs, &pair);
    }
}

void pd_near_pairs_free(pd_near_pairs *pairs)
{
    free(pairs->pairs);
    *pairs = (pd_near_pairs){.example = -1};
}

/* Counts the pairs for which differ() is true; *example is the first. */
static int64_t count_pairs(const pd_near_pair **example, const pd_near_pairs *pairs,
                           const pd_sample *samples,
                           bool (*differ)(const pd_sample *, const pd_sample *))
{
    int64_t count = 0;
    for (int64_t i = 0; i < pairs->count; i++)
        if (differ(&samples[pairs->pairs[i].a], &samples[pairs->pairs[i].b]) && count++ == 0)
            *example = &pairs->pairs[i];
    return count;
}

static bool labels_differ(const pd_sample *a, const pd_sample *b)
{
    return a->label != b->label;
}

static bool folds_differ(const pd_sample *a, const pd_sample *b)
{
    return a->fold != b->fold;
}

void pd_near_pairs_warn(const pd_near_pairs *pairs, const pd_sample *samples, const char *groups)
{
    const pd_near_pair *example = NULL;
    if (pairs->joined > 0) {
        example = &pairs->pairs[pairs->example];
        pd_log_warn("%lld pair%s of images %s almost the same but of different %s, for example %s "
                    "and %s: their %s count as one",
                    (long long)pairs->joined, pd_text_plural(pairs->joined),
                    pairs->joined == 1 ? "is" : "are", groups, samples[example->b].name,
                    samples[example->a].name, groups);
    }
    int64_t count = count_pairs(&example, pairs, samples, labels_differ);
    if (count > 0)
        pd_log_warn("%lld pair%s of images %s almost the same but with different labels, for "
                    "example %s and %s: check which label is right",
                    (long long)count, pd_text_plural(count), count == 1 ? "is" : "are",
                    samples[example->b].name, samples[example->a].name);
    count = count_pairs(&example, pairs, samples, folds_differ);
    if (count > 0)
        pd_log_warn("%lld pair%s of images %s almost the same but in different folds of the "
                    "folder, for example %s and %s: figures will be too good",
                    (long long)count, pd_text_plural(count), count == 1 ? "is" : "are",
                    samples[example->b].name, samples[example->a].name);
    if (pairs->unsearched > 0)
        pd_log_warn(
            "the images are too similar: the last %lld images were not checked for near-duplicates",
            (long long)pairs->unsearched);
}
