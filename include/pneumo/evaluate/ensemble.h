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
