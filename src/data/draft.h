/* Drafts: the images of a scanned folder after decoding, before they are written to a data set. */
#ifndef PNEUMO_DATA_DRAFT_H
#define PNEUMO_DATA_DRAFT_H

#include "joins.h"
#include "parts.h"
#include "pneumo/data/identity.h"
#include "pneumo/data/image.h"
#include "pneumo/data/patient.h"
#include "pneumo/data/team.h"
#include "scan.h"

typedef struct pd_draft {
    pd_identity identity;   /* of the bytes of the file */
    pd_identity patient;    /* pd_part_record.patient */
    uint64_t hash;          /* pd_near_hash */
    int64_t slot;           /* index among the scanned samples */
    pd_place place;         /* of the image in the part files */
    uint16_t height, width; /* of the image before it was made square */
    bool is_decoded;        /* or bad; otherwise all else is unset */
    bool bad;               /* unreadable, to be left out */
    bool is_lateral;        /* a lateral view, to be left out */
    bool is_other;          /* of another modality (pd_image.is_other), to be left out */
    bool names_patient;     /* the file's path contains the identity of the patient */
    bool is_unknown;        /* no source tells the patient (pd_drafts_identify) */
    bool plain;             /* pd_near_details */
} pd_draft;

/* Whether a draft is readable and wanted. */
static inline bool pd_draft_is_good(const pd_draft *draft)
{
    return !draft->bad && !draft->is_lateral && !draft->is_other;
}

typedef struct pd_draft_options {
    const char *folder; /* that was scanned */
    bool keep_lateral;  /* lateral views are not left out */
    bool skip_bad;      /* leave out unreadable images with a warning, instead of failing */
    int threads;
    const pd_team *team;
} pd_draft_options;

/* Decodes and resizes all images of `scan` that are not in the part files yet, each rank some of
 * them into its own, and fills drafts[scan->count]. `scan` and `drafts` are rank 0's, NULL on
 * others. Shows progress. The result, including the image that an error names, does not depend on
 * the number of ranks and threads. Collective. */
pd_status pd_drafts_decode(pd_draft *drafts, pd_parts *parts, const pd_scan *scan,
                           const pd_draft_options *options);

/* Sets the patients, numbered from 0 in order of their first sample, and the causes of the readable
 * samples. The examples of *tally are indices of samples. drafts[scan->count] is in order of slot;
 * sets is_unknown of the readable ones. */
pd_status pd_drafts_identify(pd_patient_tally *tally, pd_scan *scan, pd_draft *drafts,
                             const pd_patient_rules *rules);

/* What was left out among drafts[count]. */
typedef struct pd_draft_counts {
    int64_t bad, lateral, other;
} pd_draft_counts;
pd_draft_counts pd_drafts_count(const pd_draft *drafts, int64_t count);

/* Replaces the names of samples whose paths name their patient, "NORMAL/DOE_J.dcm", by
 * "NORMAL/image-000012.dcm", with the number of the sample among the new ones, plus a number above
 * that of every such name in the scan. */
pd_status pd_drafts_hide_names(pd_scan *scan, const pd_draft *drafts, int64_t count);

/* Joins a duplicate to the sample that is kept: cause and patient. Fails if their labels differ.
 * `folder` is the folder of both, or of the duplicate if `old` is the packed set of the other. */
pd_status pd_drafts_join(pd_joins *joins, pd_scan *scan, int64_t kept, int64_t duplicate,
                         const char *folder, const char *old);

/* Leaves the readable drafts of frontal radiographs without their exact duplicates, in order of
 * slot, and updates *count. Of duplicates, the first by name is kept. Patients that share an image
 * become one patient, since the image could otherwise be in two folds; it is known if one of them
 * is. The cause is UNKNOWN if the names differ in it. Two labels for one image are an error that
 * names both files. */
pd_status pd_drafts_deduplicate(pd_draft *drafts, int64_t *count, int64_t *duplicates,
                                pd_scan *scan, const char *folder);

/* Stores at *out (free()) the samples of the drafts, with patients renumbered from 0. Their names
 * are borrowed from the scan. */
pd_status pd_drafts_collect(pd_sample **out, int32_t *patients, const pd_draft *drafts,
                            int64_t count, const pd_scan *scan);

#endif
