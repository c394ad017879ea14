/* The packed data set: one HDF5 file of grey images with label, cause, fold and patient.
 *
 * /images uint8 [N,H,W] (one chunk per image, Fletcher32), /label, /cause, /fold enums [N],
 * /patient int32 [N], /name string [N], /shape uint16 [N,2] (height and width of the image before
 * it was made square; both 0 if unknown). The attributes of / describe how it was made. */
#ifndef PNEUMO_IO_DATASET_H
#define PNEUMO_IO_DATASET_H

#include "pneumo/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef enum pd_label { PD_NORMAL = 0, PD_PNEUMONIA = 1, PD_LABELS = 2 } pd_label;
typedef enum pd_cause {
    PD_CAUSE_NONE = 0,
    PD_CAUSE_BACTERIA = 1,
    PD_CAUSE_VIRUS = 2,
    PD_CAUSE_UNKNOWN = 3,
    PD_CAUSES = 4
} pd_cause;
typedef enum pd_fold { PD_TRAIN = 0, PD_VAL = 1, PD_TEST = 2, PD_FOLDS = 3 } pd_fold;

extern const char *const pd_label_names[PD_LABELS]; /* NORMAL, PNEUMONIA */
extern const char *const pd_cause_names[PD_CAUSES]; /* NONE, BACTERIA, VIRUS, UNKNOWN */
extern const char *const pd_fold_names[PD_FOLDS];   /* TRAIN, VAL, TEST */

typedef struct pd_sample {
    pd_label label;
    pd_cause cause;
    pd_fold fold;
    int32_t patient;        /* group id, from 0, less than the number of images */
    char *name;             /* path relative to the packed folder */
    uint16_t height, width; /* of the image before it was made square; 0 if unknown */
} pd_sample;

/* The attributes of /. */
typedef struct pd_dataset_info {
    int64_t count;
    int height, width;
    char fold_policy[64]; /* for example "by patient, 70/15/15, balanced" */
    char grouping[64];    /* how patients were identified */
    uint64_t seed;
    double mean, deviation;   /* of the train fold's pixels, 0 to 255 */
    int64_t duplicates;       /* exact duplicates dropped */
    int64_t unknown_patients; /* images whose patient is unknown; -1: the file does not say */
    int64_t counts[PD_FOLDS][PD_LABELS];
    char digest[33];  /* of everything but the version; 128 bits in hex */
    char version[32]; /* of the program that wrote it */
} pd_dataset_info;

/* Counts samples[count] by fold and label. */
void pd_samples_count(int64_t counts[PD_FOLDS][PD_LABELS], const pd_sample *samples, int64_t count);

typedef struct pd_dataset pd_dataset;

/* Fails if a file at `path` that a new data set would replace is something else. */
pd_status pd_dataset_check_replaced(const char *path);

/* Creates a temporary file next to `path` for info->count images and writes everything but the
 * images and the attributes. info->digest, mean and deviation may still be unset; pd_dataset_finish
 * writes them. `samples` is borrowed for the call. The caller owns *out. */
pd_status pd_dataset_create(pd_dataset **out, const char *path, const pd_dataset_info *info,
                            const pd_sample *samples);

/* Writes `count` images [count][height][width], starting at index `first`. */
pd_status pd_dataset_write(pd_dataset *dataset, int64_t first, int64_t count,
                           const uint8_t *images);

/* Writes the attributes, flushes the file to disk and renames it to its final path, where it
 * replaces a file that is already there. */
pd_status pd_dataset_finish(pd_dataset *dataset, const pd_dataset_info *info);

/* Opens for reading, with file locking off, and reads everything but the images. Errors name the
 * file and the problem (not HDF5, truncated, another format or version) and say to pack the images
 * again. */
pd_status pd_dataset_open(pd_dataset **out, const char *path);

/* Closes the data set and removes an unfinished new file. NULL-safe; nulls the handle. */
void pd_dataset_destroy(pd_dataset **dataset);

/* Results are owned by the data set. */
const pd_dataset_info *pd_dataset_get_info(const pd_dataset *dataset);
const pd_sample *pd_dataset_samples(const pd_dataset *dataset); /* [count] */

/* Replaces the samples' folds by folds[count], in memory only, and updates info->counts and
 * info->fold_policy. */
void pd_dataset_set_folds(pd_dataset *dataset, const pd_fold *folds, const char *policy);

/* Reads the images of ids[count], in any order, into images [count][height][width]. Fails on a
 * damaged chunk, naming the sample, and if the file was modified since it was opened. Not
 * thread-safe. */
pd_status pd_dataset_read(const pd_dataset *dataset, const int64_t *ids, int64_t count,
                          uint8_t *images);

/* Asks the system to read ahead the images of ids[count], so that pd_dataset_read need not wait for
 * them. Advisory; no effect if the chunks are not contiguous. */
void pd_dataset_prefetch(const pd_dataset *dataset, const int64_t *ids, size_t count);

#endif
