/* Evaluating a checkpoint on the folds of a data set. */
#ifndef PNEUMO_EVALUATE_EVALUATE_H
#define PNEUMO_EVALUATE_EVALUATE_H

#include "pneumo/comm/comm.h"
#include "pneumo/evaluate/classifier.h"
#include "pneumo/evaluate/results.h"

typedef struct pd_evaluation pd_evaluation;

typedef struct pd_evaluate_options {
    const char *const *checkpoints; /* [checkpoint_count] paths; of several, the average */
    int checkpoint_count;
    const char *data; /* NULL: the data set of the checkpoint's job */
    bool val, test;   /* which folds; if one of the two is empty it is left out */
    bool stress; /* also run the stress test on these folds; at the end of training only on val */
    double threshold;          /* replaces that of the checkpoint; 0: not */
    double target_sensitivity; /* the threshold is chosen for it on the val fold; 0: not */
    bool by_training;          /* see pd_evaluate */
    int threads;               /* per rank; 0: chosen by pd_threads_choose */
    /* [output_count] paths that are written afterwards; some may be NULL. */
    const char *const *outputs;
    int output_count;
} pd_evaluate_options;

/* Scores the folds over all ranks. On rank 0 the results are filled except for seconds,
 * images_per_second and processor, which only training knows. What the results borrow is owned by
 * *out.
 *
 * Each evaluation of the test fold of the training data set is counted in the checkpoint, since a
 * model chosen by it is no longer tested by it; that of another data set too, if its test fold
 * shares an image with it (pd_overlap_tests) and the file of the training is still there. The
 * evaluation at the end of training counts once, however often it is repeated. If the checkpoint
 * cannot be written, a warning says so. For several checkpoints each one is counted.
 *
 * A threshold that is given, or chosen for a target sensitivity on the validation fold of the data
 * set, is used for all figures, which say so; the checkpoint keeps its own.
 *
 * The decision of several checkpoints is chosen on the data set that they were trained on,
 * whichever data is evaluated (pd_ensemble_assemble). Fails before the first image is scored if an
 * output would replace a checkpoint, the data set or one that a checkpoint was trained on
 * (pd_outputs_check). Collective; all ranks
 * return the same status.
 */
pd_status pd_evaluate(pd_evaluation **out, pd_comm *comm, const pd_evaluate_options *options);
void pd_evaluation_destroy(pd_evaluation **evaluation);

pd_results *pd_evaluation_results(pd_evaluation *evaluation);
pd_classifier *pd_evaluation_classifier(pd_evaluation *evaluation);
const pd_dataset *pd_evaluation_dataset(const pd_evaluation *evaluation);

#endif
