/* Ensembles: which checkpoints can be averaged, and on which images the decision is chosen.
 *
 * Members were trained either on the folds of a file, or on the parts of a cross-validation of one
 * file (train --cross). In the first case no member was trained on an image of the val and test
 * folds, so every image is scored by the mean of all members. In the second case each member has
 * its own part as val fold, and an image is scored only by the members that have it in their val
 * fold, which were not trained on it (out of fold). The only images that no member was trained on
 * are those of the test fold, on which nothing may be chosen. Scores of fewer members vary slightly
 * more than those of the mean of all, to which the threshold is applied afterwards. */
#ifndef PNEUMO_EVALUATE_ENSEMBLE_H
#define PNEUMO_EVALUATE_ENSEMBLE_H

#include "pneumo/comm/comm.h"
#include "pneumo/evaluate/classifier.h"

typedef struct pd_ensemble_options {
    const char *const *paths; /* [count] checkpoints; one may also be an ensemble file */
    int count;
    const char *data; /* the data set on whose val fold the decision of several is chosen; NULL:
                         that of the first checkpoint's job */
    bool only_own;    /* use `data` only if the first checkpoint was trained on it */
    int threads;
    /* [output_count] paths that are written afterwards; some may be NULL. */
    const char *const *outputs;
    int output_count;
} pd_ensemble_options;

/* Loads the checkpoints. A single one keeps its decision. For several, the decision is chosen on
 * the val fold as in training, with the settings of the first checkpoint's job (each member keeps
 * its own views); a warning names members with other [evaluate] keys.
 *
 * Fails if members differ in task or packed size, if only some are parts of a cross-validation or
 * they are parts of different ones, and if the folds of the data sets that members were trained on,
 * or of `data`, contradict each other (pd_overlap_check, for which different data sets must all
 * exist). Fails before the first image is scored if an output would replace a data set that a
 * member was trained on (pd_outputs_check).
 * Collective; all ranks return the same status. */
pd_status pd_ensemble_assemble(pd_classifier **out, pd_comm *comm,
                               const pd_ensemble_options *options);

#endif
