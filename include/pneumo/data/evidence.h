/* Which of a list of image files show the same patient, as pd_pack finds it, without packing. */
#ifndef PNEUMO_DATA_EVIDENCE_H
#define PNEUMO_DATA_EVIDENCE_H

#include "pneumo/data/image.h"
#include "pneumo/data/patient.h"

enum { PD_EVIDENCE_COPY = 64 * 64 };

/* What the content of a file tells of its patient. To compare within one run: neither stored nor
 * shown. */
typedef struct pd_evidence {
    bool is_read;                   /* else all else is unset */
    bool is_lateral, is_other;      /* as pd_image states: to be left out */
    bool names_patient;             /* the path contains the identity of the patient */
    bool plain;                     /* the image is too plain to find copies of it */
    char patient[PD_IMAGE_PATIENT]; /* pd_image.patient */
    uint64_t hash;                  /* perceptual hash */
    uint8_t copy[PD_EVIDENCE_COPY]; /* the image, scaled down */
} pd_evidence;

/* Reads one file. Fails only if the system does: the caller reports other unreadable files when it
 * reads their pixels. */
pd_status pd_evidence_read(pd_evidence *out, const char *path);

typedef struct pd_evidence_list {
    const pd_evidence *evidence; /* [count] */
    const char *const *paths;    /* [count]: patients are searched for in them */
    const char *const *names;    /* [count]: for messages */
    const pd_label *labels;      /* [count] */
    int64_t count;
    const char *pattern; /* pd_patient_rules_create; NULL: none */
    const char *folder;  /* for messages */
} pd_evidence_list;

/* The patient of an image that is left out: a lateral view, or of another modality. */
enum { PD_EVIDENCE_LEFT_OUT = -1 };

/* Sets patients[count], each to the index of the patient's first image or PD_EVIDENCE_LEFT_OUT, and
 * *tally (of readable images that are not left out). Near-duplicates are of one patient. Warns of
 * images that are left out, of those whose patient is unknown, and of near-duplicates of two
 * patients or labels. Fails if the pattern is not valid or matches no path.
 */
pd_status pd_evidence_group(int32_t *patients, pd_patient_tally *tally,
                            const pd_evidence_list *list);

#endif
