/* The near-duplicates among the images that are being packed. */
#ifndef PNEUMO_DATA_NEAR_PAIRS_H
#define PNEUMO_DATA_NEAR_PAIRS_H

#include "draft.h"
#include "near.h"
#include "pixels.h"

typedef struct pd_near_pairs {
    pd_near_pair *pairs; /* [count]: indices of drafts */
    int64_t count;
    size_t capacity;
    int64_t joined;     /* pairs of two patients, which are one now */
    int64_t example;    /* the index of the first of them; -1: none */
    int64_t unsearched; /* images that were not looked at, since too many are alike */
} pd_near_pairs;

/* The images to search. */
typedef struct pd_near_images {
    const uint64_t *hashes; /* [count] */
    const bool *plain;      /* [count] */
    int64_t count;
    int64_t old;       /* pairs of two of the first `old` images are not looked for */
    int32_t *patients; /* [count]: in [0, patient_count); those of near-duplicates become one */
    int32_t patient_count;
    /* Reads the small copy of an image. */
    pd_status (*read_copy)(void *context, uint8_t *copy, int64_t image);
    void *context;
} pd_near_images;

/* Finds the near-duplicates among images by their hashes and their small copies, and makes their
 * patients one, the lowest of them. *out is released with pd_near_pairs_free, also after a failure.
 */
pd_status pd_near_pairs_find(pd_near_pairs *out, const pd_near_images *images);

/* The same among drafts[count], whose patients are in `scan`. Pairs of two old images (scan->old)
 * are not looked for. *out is released with pd_near_pairs_free, also after a failure. */
pd_status pd_near_pairs_join(pd_near_pairs *out, pd_scan *scan, const pd_draft *drafts,
                             int64_t count, const pd_pixels *pixels);
void pd_near_pairs_free(pd_near_pairs *pairs);

/* Drops the pairs of a draft that is left out, places[draft] == -1, and renumbers the others: draft
 * i is now places[i]. */
void pd_near_pairs_renumber(pd_near_pairs *pairs, const int64_t *places);

/* Warns of near-duplicates of two patients, under two labels, and in two folds; `groups` is what
 * patients are called (pd_patients_noun). samples[i] is that of draft i. */
void pd_near_pairs_warn(const pd_near_pairs *pairs, const pd_sample *samples, const char *groups);

#endif
