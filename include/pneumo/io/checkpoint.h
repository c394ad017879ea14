/* The checkpoint file: a Keras model (network and weights), how images become its input, optimiser
 * state, history, train state, decision, calibration, profile of the training images, job.
 *
 * Written to a temporary file in the same folder, flushed to disk and renamed, then the folder is
 * flushed. The same content gives the same bytes (no object times). */
#ifndef PNEUMO_IO_CHECKPOINT_H
#define PNEUMO_IO_CHECKPOINT_H

#include "pneumo/base/status.h"
#include "pneumo/io/arrays.h"
#include "pneumo/io/decision.h"
#include "pneumo/io/input.h"
#include "pneumo/io/profile.h"
#include "pneumo/io/site.h"
#include "pneumo/io/train_state.h"

#include <stdbool.h>
#include <stdint.h>

/* All pointers are borrowed for saving; a loaded checkpoint owns them. */
typedef struct pd_checkpoint {
    char job_name[64];
    char model[32];
    char version[32];                   /* of the program that wrote it */
    char data_digest[33];               /* of the data set it was trained on; "": import */
    const char *job;                    /* the job's text */
    double pixel_mean, pixel_deviation; /* used to normalise the network's input; 0 to 255 */
    int64_t image_height, image_width;  /* of the packed images */
    pd_arrays arrays;
    const char *model_config; /* the network as Keras' JSON (exchange/keras_config.h); NULL in
                                 checkpoints of earlier versions */
    bool has_input;           /* checkpoints of earlier versions have none */
    pd_input input;
    pd_train_state state;
    bool has_decision;
    pd_decision decision;
    int64_t test_looks; /* how often the test fold was evaluated with these weights; stored with
                           the decision */
    pd_site site;
    bool has_profile; /* checkpoints of earlier versions have none */
    pd_profile profile;
} pd_checkpoint;

/* Whether another program trained the model, which does not tell how and on which images. */
static inline bool pd_checkpoint_is_import(const pd_checkpoint *checkpoint)
{
    return checkpoint->data_digest[0] == '\0';
}

/* Writes `checkpoint` to `path`. On failure `path` is unchanged. */
pd_status pd_checkpoint_save(const char *path, const pd_checkpoint *checkpoint);

/* The same, and keeps the previous file of `path` at `kept` (pd_file_replace). */
pd_status pd_checkpoint_replace(const char *path, const char *kept,
                                const pd_checkpoint *checkpoint);

/* Fails if a file at `path` that a new checkpoint would replace is something else. */
pd_status pd_checkpoint_check_replaced(const char *path);

/* Stores at *is whether `path` is marked as a checkpoint. Fails if it is not a readable HDF5 file.
 */
pd_status pd_checkpoint_recognise(bool *is, const char *path);

/* Reads a checkpoint; the caller owns *out. Errors name the file and the problem. */
pd_status pd_checkpoint_load(pd_checkpoint **out, const char *path);

/* Releases a loaded checkpoint. NULL-safe; nulls the handle. */
void pd_checkpoint_destroy(pd_checkpoint **checkpoint);

#endif
