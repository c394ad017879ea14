/* The packed data set: one HDF5 file of grey images with label, cause, fold and patient.
 *
 * /images uint8 [N,H,W] (one chunk per image, Fletcher32), /label, /cause, /fold enums [N],
 * /patient int32 [N], /name string [N], /shape uint16 [N,2] (height and width of the image before
 * it became a square; both 0 when not known); attributes of / say how it was made. */
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
    int32_t patient; /* group id, from 0 */
    char *name;      /* path below the packed folder */
    uint16_t height, width; /* of the image before it became a square; 0: not known */
} pd_sample;

/* What the attributes of / hold. */
typedef struct pd_dataset_info {
    int64_t count;
    int height, width;
    char fold_policy[64]; /* such as "by patient, 70/15/15, balanced" */
    char grouping[64];    /* how patients were told apart */
    uint64_t seed;
    double mean, deviation; /* of the train fold's pixels, 0 to 255 */
    int64_t duplicates;     /* exact duplicates dropped */
    int64_t counts[PD_FOLDS][PD_LABELS];
    char digest[33];  /* hex of the 128-bit content digest; over all but the version */
    char version[32]; /* of the program that wrote it */
} pd_dataset_info;

/* Counts samples[count] by fold and label. */
void pd_samples_count(int64_t counts[PD_FOLDS][PD_LABELS], const pd_sample *samples, int64_t count);

typedef struct pd_dataset pd_dataset;

/* Creates a temporary file beside `path` for info->count images, with everything but the images.
 * `samples` is borrowed for the call. info->digest, mean and deviation may still be empty: they are
 * written by pd_dataset_finish. The caller owns *out. */
pd_status pd_dataset_create(pd_dataset **out, const char *path, const pd_dataset_info *info,
                            const pd_sample *samples);

/* Writes `count` images [count][height][width] from index `first` on. */
pd_status pd_dataset_write(pd_dataset *dataset, int64_t first, int64_t count,
                           const uint8_t *images);

/* Writes the final attributes, flushes to disk and renames to the final path. Only now does `path`
 * exist. */
pd_status pd_dataset_finish(pd_dataset *dataset, const pd_dataset_info *info);

/* Opens for reading, file locking off, and reads everything but the images. Errors name the file
 * and what is wrong with it: not HDF5, cut short, another format or version, for which it says to
 * pack the images again. */
pd_status pd_dataset_open(pd_dataset **out, const char *path);

/* Closes; an unfinished new file is removed. NULL-safe; nulls the handle. */
void pd_dataset_destroy(pd_dataset **dataset);

/* Both owned by the data set. */
const pd_dataset_info *pd_dataset_get_info(const pd_dataset *dataset);
const pd_sample *pd_dataset_samples(const pd_dataset *dataset); /* [count] */

/* Gives the samples other folds[count] than the file says, in memory only: the samples' folds,
 * info->counts and info->fold_policy change. */
void pd_dataset_set_folds(pd_dataset *dataset, const pd_fold *folds, const char *policy);

/* Reads the images of ids[count] (any order) into images [count][height][width]. A damaged chunk is
 * an error that names the file and the sample; so is a file that was changed since it was opened.
 * One thread at a time. */
pd_status pd_dataset_read(const pd_dataset *dataset, const int64_t *ids, int64_t count,
                          uint8_t *images);

/* Asks the system to read the images of ids[count] ahead, so that pd_dataset_read will not wait for
 * them. A wish: nothing comes of it for a file that another program has arranged anew. */
void pd_dataset_prefetch(const pd_dataset *dataset, const int64_t *ids, size_t count);

#endif
