/* Labelled images of a site: of a packed data set, or of two folders of files. */
#ifndef PNEUMO_EVALUATE_LABELLED_H
#define PNEUMO_EVALUATE_LABELLED_H

#include "pneumo/comm/comm.h"
#include "pneumo/data/files.h"
#include "pneumo/evaluate/classifier.h"
#include "pneumo/io/dataset.h"
#include "pneumo/metrics/scores.h"

typedef struct pd_labelled_options {
    const char *data;               /* a packed data set; NULL: the two folders */
    const char *fold;               /* train, val, test or all; NULL: val if it has both classes,
                                       else all; data sets only */
    const char *folders[PD_LABELS]; /* of normal and of pneumonia images */
    int64_t each;                   /* draw this many of each class (pd_draw_patients); 0: all */
    uint64_t seed;
    const char *patient_pattern; /* pd_patient_rules_create; NULL: none; folders only */
    int threads;                 /* that decode files */
} pd_labelled_options;

/* The same on all ranks. */
typedef struct pd_labelled {
    pd_dataset *dataset; /* NULL: folders */
    pd_files files[PD_LABELS];
    char **aliases; /* [count of files]: NULL, or what to call a file whose path names the patient;
                       on rank 0, NULL on others */
    pd_score *samples; /* [count]: id, positive and patient; normal images first, then by id */
    size_t count;
    int height, width;        /* of an image as packed */
    char source[64];          /* such as "fold val of a data set" or "two folders" */
    char grouping[64];        /* how patients are identified */
    int64_t unknown_patients; /* images whose patient is unknown, of all in the source */
} pd_labelled;

/* Lists the images. Images of folders will be packed to the size in `member`'s checkpoint; all are
 * decoded to find which are of one patient and which are lateral views or of other modalities,
 * which are left out, with the warnings of pd_evidence_group. Rank 0 holds 4 KiB per file
 * meanwhile. Of the data set that the member was trained on, with its folds, only the val fold is
 * allowed, since the network was trained on the train fold, and the test fold must stay unseen.
 * Collective; all ranks return the same status. *out is released by pd_labelled_close, also after a
 * failure. */
pd_status pd_labelled_open(pd_labelled *out, pd_comm *comm, const pd_labelled_options *options,
                           const pd_classifier_member *member);
void pd_labelled_close(pd_labelled *labelled);

/* The name of a sample for messages: the file's path or its alias, or the name in the data set. */
const char *pd_labelled_name(const pd_labelled *labelled, int64_t id);

/* Reads the images of samples[first, first + count) into images [count][height][width], decoding
 * files with `threads` threads. failed[i] (each free(), also after a failure) is a line that says
 * why file i cannot be read, or NULL. Fails if the data set is damaged, and with the message of the
 * first file that the system fails to read (pd_error_is_system), which may be good. */
pd_status pd_labelled_read(const pd_labelled *labelled, size_t first, size_t count, int threads,
                           uint8_t *images, char **failed);

#endif
