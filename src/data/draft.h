/* Drafts: the images of a scanned folder after decoding, before they are written to a data set. */
#ifndef PNEUMO_DATA_DRAFT_H
#define PNEUMO_DATA_DRAFT_H

#include "pneumo/data/identity.h"
#include "pneumo/data/image.h"
#include "pneumo/data/patient.h"
#include "scan.h"
#include "spool.h"

typedef struct pd_draft {
    pd_identity identity;           /* of the bytes of the file */
    int64_t slot;                   /* index in the spool and among the scanned samples */
    uint16_t height, width;         /* of the image before it was made square */
    bool bad;                       /* unreadable, to be left out */
    bool plain;                     /* pd_near_details */
    uint64_t hash;                  /* pd_near_hash */
    char patient[PD_IMAGE_PATIENT]; /* pd_image.patient */
} pd_draft;

typedef struct pd_draft_options {
    const char *folder; /* that was scanned */
    int size;           /* side of the images in pixels; that of the spool */
    bool skip_bad;      /* count unreadable images in *bad with a warning, instead of failing */
    int threads;
} pd_draft_options;

/* Decodes and resizes all images of `scan` into the spool, their small copies (pd_near_copy) into
 * the spool `copies` of that size, and fills drafts[scan->count]. Shows progress. The result,
 * including the image that an error names, does not depend on the number of threads. */
pd_status pd_drafts_decode(pd_draft *drafts, pd_spool *spool, pd_spool *copies, int64_t *bad,
                           const pd_scan *scan, const pd_draft_options *options);

/* Sets the patients, numbered from 0 in order of their first sample, and the causes of the readable
 * samples. The examples of *tally are indices of samples. drafts[scan->count] is in order of slot.
 */
pd_status pd_drafts_identify(pd_patient_tally *tally, pd_scan *scan, const pd_draft *drafts,
                             const pd_patient_rules *rules);

/* Leaves the readable drafts without their exact duplicates, in order of slot, and updates *count.
 * Of duplicates, the first by name is kept. Patients that share an image become one patient, since
 * the image could otherwise be in two folds; its cause is UNKNOWN if the names differ in it. Two
 * labels for one image are an error that names both files. */
pd_status pd_drafts_deduplicate(pd_draft *drafts, int64_t *count, int64_t *duplicates,
                                pd_scan *scan, const char *folder);

/* Stores at *out (free()) the samples of the drafts, with patients renumbered from 0. Their names
 * are borrowed from the scan. */
pd_status pd_drafts_collect(pd_sample **out, int32_t *patients, const pd_draft *drafts,
                            int64_t count, const pd_scan *scan);

#endif
