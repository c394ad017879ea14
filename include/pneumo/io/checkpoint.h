/* The checkpoint file: weights in Keras' layout, optimiser arrays, history, state, decision, what it
 * was calibrated by, profile of the training images, job.
 *
 * Written to a temporary file in the same folder, flushed to disk, renamed, folder flushed; byte
 * for byte the same for the same content (no object times). */
#ifndef PNEUMO_IO_CHECKPOINT_H
#define PNEUMO_IO_CHECKPOINT_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A named float array. For saving all pointers are borrowed; a loaded checkpoint owns them. */
typedef struct pd_array {
    const char *layer;  /* "block1_conv1" */
    const char *weight; /* "kernel" */
    int rank;
    int dims[4];
    float *data;
} pd_array;

/* One optimiser slot, such as "momentum" or "live" (the weights being trained, when the weights to
 * evaluate are their moving average): arrays in the order of the weights. */
typedef struct pd_slot {
    const char *name;
    int count;
    pd_array *arrays;
} pd_slot;

/* One row of /history: an epoch. Rates are means over the epoch. NAN where not known. */
typedef struct pd_history_row {
    int32_t epoch; /* from 1 */
    double learning_rate, train_loss, val_loss, val_auc, val_accuracy, val_sensitivity,
        val_specificity, gradient_norm;
    double val_stress_auc; /* of changed validation images, where the job looks at them; files of
                              earlier versions do not have it */
} pd_history_row;

enum { PD_SLOTS_MAX = 4 };

/* What images are described by, to tell those that are unlike the training images; data/profile.h
 * defines each. In the order in which they are checked: the plainest reason comes first. */
typedef enum pd_trait {
    PD_TRAIT_SIDE,
    PD_TRAIT_RATIO,
    PD_TRAIT_BLACK,
    PD_TRAIT_DEVIATION,
    PD_TRAIT_MEAN,
    PD_TRAIT_SHARPNESS,
    PD_TRAIT_LIKENESS,
    PD_TRAITS
} pd_trait;

extern const char *const pd_trait_names[PD_TRAITS]; /* side, ratio, ... */

typedef struct pd_trait_range {
    double low, high;   /* the train fold's; NAN where not known */
    double least, most; /* beyond these an image is unlike the training images */
} pd_trait_range;

enum { PD_PROFILE_GRID = 16 };

/* What the images of a train fold look like; see data/profile.h. */
typedef struct pd_profile {
    int64_t images; /* described by it */
    pd_trait_range ranges[PD_TRAITS];
    float mean[PD_PROFILE_GRID * PD_PROFILE_GRID]; /* the mean image, grey 0 to 255, row by row */
} pd_profile;

/* What identifies an image: a hash of its packed pixels (pd_identity_of). */
typedef struct pd_identity {
    uint8_t bytes[16];
} pd_identity;

/* The images of another site by which the decision was chosen after training. */
typedef struct pd_site {
    char source[64];      /* "fold val of a data set", "all of a data set", "two folders" */
    char data_digest[33]; /* of the data set, or of the folders' images */
    char rule[16];        /* evaluate.threshold_rule */
    double target_sensitivity, target_specificity;
    int64_t normal, pneumonia;         /* images of each class */
    int64_t image_height, image_width; /* to which images were packed */
    int64_t count;                     /* normal + pneumonia; 0: never calibrated, all else unset */
    pd_identity *images;               /* [count], ascending */
} pd_site;

typedef struct pd_checkpoint {
    /* /model_weights */
    int layer_count; /* layers with weights, in order */
    const char **layers;
    int weight_count;
    pd_array *weights;
    /* /optimizer */
    int slot_count;
    pd_slot slots[PD_SLOTS_MAX];
    /* /history */
    int history_count;
    pd_history_row *history;
    /* /state */
    int64_t epoch;      /* epochs completed */
    int64_t step;       /* optimisation steps taken over the whole run */
    int64_t epoch_step; /* steps taken of the epoch after `epoch` */
    uint64_t seed;
    int64_t lanes;
    double best_metric; /* NAN before the first */
    int64_t best_epoch;
    int64_t patience_left;   /* epochs until early stopping */
    int64_t plateau_left;    /* epochs until the learning rate is cut */
    double pixel_mean, pixel_deviation; /* that network input was normalised by, 0 to 255 */
    int64_t image_height, image_width;  /* of the packed images */
    double learning_scale;   /* factor on the schedule's learning rate (plateau cuts) */
    double epoch_loss_sum;   /* running sums of the epoch that is under way */
    double epoch_norm_sum;
    bool finished;           /* the run came to its end */
    char data_digest[33];
    char job_name[64];
    char model[32];
    char version[32];
    /* /decision */
    bool has_decision;
    double threshold;
    double target_sensitivity;
    char decision_rule[192]; /* how it was chosen */
    char decision_fold[16];  /* on which fold */
    double temperature;      /* by which logits are divided before they become probabilities */
    int64_t views;           /* over which logits are averaged (pd_view_standard); 1: none */
    double refer_low, refer_high; /* probabilities in which the model is unsure; both ends belong */
    int64_t test_looks;      /* how often the test fold was evaluated with these weights */
    pd_site site;            /* /calibration */
    /* /profile */
    bool has_profile; /* checkpoints of earlier versions have none */
    pd_profile profile;
    /* /job */
    const char *job;
} pd_checkpoint;

/* Writes `checkpoint` to `path`. On failure `path` is as it was before. */
pd_status pd_checkpoint_save(const char *path, const pd_checkpoint *checkpoint);

/* The same; the file at `path` before is then at `kept` (pd_file_replace). */
pd_status pd_checkpoint_replace(const char *path, const char *kept,
                                const pd_checkpoint *checkpoint);

/* Stores at *is whether `path` says of itself that it is a checkpoint. Fails on what is not a
 * readable HDF5 file. */
pd_status pd_checkpoint_recognise(bool *is, const char *path);

/* Reads a checkpoint; the caller owns *out. Errors name the file and what is wrong with it. */
pd_status pd_checkpoint_load(pd_checkpoint **out, const char *path);

/* Releases a loaded checkpoint. NULL-safe; nulls the handle. Never give it one made by hand. */
void pd_checkpoint_destroy(pd_checkpoint **checkpoint);

/* The array of that layer and weight name, or NULL. */
const pd_array *pd_checkpoint_find(const pd_array *arrays, int count, const char *layer,
                                   const char *weight);

#endif
