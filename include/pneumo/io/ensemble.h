/* The ensemble file: several checkpoints and the decision of their average.
 *
 * It has the attributes format, format_version, program_version and data_digest (of the data set on
 * which the decision was chosen), the group /decision of a checkpoint, and a group per member,
 * /members/1, /members/2, ..., with the content of its checkpoint file except the optimiser's
 * arrays. Written atomically; the same content gives the same bytes. */
#ifndef PNEUMO_IO_ENSEMBLE_H
#define PNEUMO_IO_ENSEMBLE_H

#include "pneumo/io/checkpoint.h"

enum { PD_MEMBERS_MAX = 64 };

/* A single checkpoint is an ensemble of one. */
typedef struct pd_ensemble {
    int count;
    pd_checkpoint *members[PD_MEMBERS_MAX]; /* owned */
    char *names[PD_MEMBERS_MAX];            /* in messages: "a.h5", or "average.h5, member 2" */
    /* The ensemble seen as one checkpoint: what the members have in common, and the decision on
     * their average. Arrays, job and history are borrowed from the first member. */
    pd_checkpoint whole;
    bool is_file; /* loaded from an ensemble file, not from a checkpoint */
} pd_ensemble;

/* Adds a member, of which the ensemble takes ownership, and a copy of its name. */
pd_status pd_ensemble_add(pd_ensemble *ensemble, const char *name, pd_checkpoint **member);

/* Fills ensemble->whole from the members. One member is copied with its decision; several give what
 * they have in common, no decision, and the maximum of test_looks. */
void pd_ensemble_summarise(pd_ensemble *ensemble);

/* Writes the members and the decision of `whole`. On failure `path` is unchanged. */
pd_status pd_ensemble_save(const char *path, const pd_ensemble *ensemble);

/* Fails if a file at `path` that a new ensemble would replace is something else. */
pd_status pd_ensemble_check_replaced(const char *path);

/* Stores at *is whether `path` is marked as an ensemble. Fails if it is not a readable HDF5 file.
 */
pd_status pd_ensemble_recognise(bool *is, const char *path);

/* Reads an ensemble file, or a checkpoint as an ensemble of one; the caller owns *out. Errors name
 * the file and the member. */
pd_status pd_ensemble_load(pd_ensemble **out, const char *path);

/* NULL-safe; nulls the handle. */
void pd_ensemble_destroy(pd_ensemble **ensemble);

#endif
