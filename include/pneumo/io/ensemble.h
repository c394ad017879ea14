/* The ensemble file: several checkpoints and the decision of their average.
 *
 * Attributes of / (format, format_version, program_version, and data_digest of the data set that
 * the decision was chosen on), /decision with the attributes that a checkpoint's has, and for each
 * member a group /members/1, /members/2, ... with all that its checkpoint file has below /, but for
 * the optimiser's arrays. Written all or nothing; byte for byte the same for the same content. */
#ifndef PNEUMO_IO_ENSEMBLE_H
#define PNEUMO_IO_ENSEMBLE_H

#include "pneumo/io/checkpoint.h"

enum { PD_MEMBERS_MAX = 64 };

/* A checkpoint by itself is an ensemble of one. */
typedef struct pd_ensemble {
    int count;
    pd_checkpoint *members[PD_MEMBERS_MAX]; /* owned */
    char *names[PD_MEMBERS_MAX];            /* for messages: "a.h5", or "average.h5, member 2" */
    /* What the members have in common, and the decision of their average: of several members' mean,
     * else the decision of the only one. Its arrays, job and history are the first member's, which
     * owns them. */
    pd_checkpoint whole;
    bool is_file; /* it was loaded from an ensemble file, not from a checkpoint */
} pd_ensemble;

/* Adds a member, which the ensemble owns then, and a copy of its name. */
pd_status pd_ensemble_add(pd_ensemble *ensemble, const char *name, pd_checkpoint **member);

/* Fills ensemble->whole from the members: of one, its own copy, decision and all; of several, what
 * they have in common, has_decision = false, and the largest of their test_looks. */
void pd_ensemble_summarise(pd_ensemble *ensemble);

/* Writes the members and the decision of `whole`. On failure `path` is as it was before. */
pd_status pd_ensemble_save(const char *path, const pd_ensemble *ensemble);

/* Stores at *is whether `path` says of itself that it is an ensemble. Fails on what is not a
 * readable HDF5 file. */
pd_status pd_ensemble_recognise(bool *is, const char *path);

/* Reads an ensemble file, or a checkpoint as an ensemble of one; the caller owns *out. Errors name
 * the file, and the member where it is one's. */
pd_status pd_ensemble_load(pd_ensemble **out, const char *path);

/* NULL-safe; nulls the handle. */
void pd_ensemble_destroy(pd_ensemble **ensemble);

#endif
