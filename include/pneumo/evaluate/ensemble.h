/* Averages of several checkpoints: which go together, on which images their decision is chosen, and
 * how they score a fold.
 *
 * Members were trained either by the folds of a file, or by the parts of a cross-validation of one
 * file (train --cross). What the first ones have in their val and test folds none of them was
 * trained on, so the mean of all judges each image. Of the others, each has its own part for its
 * val fold: there an image is judged only by the members that have it in their val fold, and so
 * were not trained on it (out of fold); no image that every member could judge is left but those of
 * the test fold, by which nothing may be chosen. A mean of fewer members spreads a little more than
 * the mean of all, for which the threshold is then used. */
#ifndef PNEUMO_EVALUATE_ENSEMBLE_H
#define PNEUMO_EVALUATE_ENSEMBLE_H

#include "pneumo/comm/comm.h"
#include "pneumo/evaluate/classifier.h"
#include "pneumo/evaluate/mean.h"

/* A data set as each member of a classifier sees it. */
typedef struct pd_ensemble_data {
    int count;
    pd_dataset *datasets[PD_MEMBERS_MAX]; /* of each member; the same where their folds are */
    pd_dataset *shown; /* the same for people: an image is in its val fold if it is in that of any
                          member */
    bool out_of_fold;  /* the folds are not the same for all members */
} pd_ensemble_data;

/* Opens the data set at `path` for every member: one trained by parts of a cross-validation of it
 * (by its digest) sees its own folds, any other those of the file. Release with
 * pd_ensemble_close_data, also after a failure. */
pd_status pd_ensemble_open_data(pd_ensemble_data *out, const pd_classifier *classifier,
                                const char *path);
void pd_ensemble_close_data(pd_ensemble_data *data);

/* How the members score a fold of the data set: members[pd_classifier_count]. Another hospital's
 * images are normalised as those were that the members know. Borrows from the classifier and the
 * data. */
void pd_ensemble_members(pd_member *members, const pd_classifier *classifier,
                         const pd_ensemble_data *data, pd_fold fold);

typedef struct pd_ensemble_options {
    const char *const *paths; /* [count] checkpoints; one may also be an ensemble file */
    int count;
    const char *data; /* the data set on whose val fold the decision of several is chosen; NULL:
                         that of the first one's job */
    bool only_own;    /* use `data` only where it is the one that the first was trained on */
    int threads;
} pd_ensemble_options;

/* Loads the checkpoints. One keeps its decision. Several get one on the val fold as training
 * chooses it, by the first one's job (views aside, which are each member's own); a job with other
 * [evaluate] keys is named in a warning.
 *
 * Fails if members differ in task or packed size, if some are of a cross-validation and others are
 * not or of another, and if the folds of the data sets that members were trained on, or of `data`,
 * contradict each other (pd_overlap_check; those data sets must be there, but for the same one).
 * Collective; all ranks return the same status. */
pd_status pd_ensemble_assemble(pd_classifier **out, pd_comm *comm,
                               const pd_ensemble_options *options);

#endif
