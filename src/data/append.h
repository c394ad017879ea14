/* Appending images to a packed data set, whose patients keep their folds.
 *
 * The old images come first, in their order, and are copied. They are known by what the packed file
 * holds: a new image is a duplicate of an old one if its packed pixels and its shape are the same,
 * and near-duplicates are found by small copies of the packed pixels. */
#ifndef PNEUMO_DATA_APPEND_H
#define PNEUMO_DATA_APPEND_H

#include "draft.h"
#include "near_pairs.h"
#include "pneumo/data/folds.h"

typedef struct pd_append {
    const char *path;       /* of the old set; borrowed */
    pd_dataset *old;        /* NULL: none. The functions below then do nothing, and return PD_OK */
    int64_t count, unknown; /* old images; those of them whose patient is unknown */
    pd_fold_options folds;  /* how the old folds were made */
    bool new_patients;      /* the new images show none of the old patients */
} pd_append;

typedef struct pd_append_options {
    const char *path;
    int size;                    /* that the user asks for; 0: any */
    const char *patient_pattern; /* NULL: none */
    bool new_patients;
} pd_append_options;

/* Opens the set options->path. Fails if images cannot be appended to it with these options:
 * another size, folds that were not made by patient, or patients that it cannot tell. *out is
 * released with pd_append_close, also after a failure. */
pd_status pd_append_open(pd_append *out, const pd_append_options *options);
void pd_append_close(pd_append *append);

/* Puts the old images before the decoded new ones, in `scan` and *drafts [scan->count]. */
pd_status pd_append_join(const pd_append *append, pd_scan *scan, pd_draft **drafts, int threads);

/* Fails if the patients of the new images, which *tally counts, come from another kind of source
 * than those of the old set, unless no new image shows an old patient. `folder` is that of the new
 * images. */
pd_status pd_append_check_sources(const pd_append *append, const pd_patient_tally *tally,
                                  const char *folder);

/* After pd_drafts_identify: unites the patients that the old set has united, and adds the old
 * images of known patients to *tally. Fails if the names tell other patients than the old set has.
 */
pd_status pd_append_identify(const pd_append *append, pd_scan *scan, pd_patient_tally *tally);

/* Leaves out the new ones of drafts[*count] that are duplicates of old ones, as
 * pd_drafts_deduplicate does, and adds to *duplicates also those that the old set left out.
 * `folder` is that of the new images. */
pd_status pd_append_deduplicate(const pd_append *append, pd_draft *drafts, int64_t *count,
                                int64_t *duplicates, pd_scan *scan, const pd_parts *parts,
                                const char *folder);

/* Keeps old patients in their folds: gives their new images the fold of their patient, and leaves
 * out, with a warning, the bridging ones of drafts[*count], which would make patients of two folds
 * one. Counts these at *bridging. */
pd_status pd_append_keep_folds(const pd_append *append, pd_draft *drafts, int64_t *count,
                               int64_t *bridging, pd_scan *scan, pd_near_pairs *near);

/* Fails if two samples have the same name. */
pd_status pd_append_check_names(const pd_append *append, const pd_sample *samples, int64_t count);

#endif
