/* Judging a checkpoint on the folds of a data set. */
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
    bool val, test;   /* which folds; one of both may be empty and is then left out */
    bool stress;      /* also the stress test of these folds; by training, of val only */
    bool by_training; /* see pd_evaluate */
    int threads;      /* per rank; 0: chosen by pd_threads_choose */
} pd_evaluate_options;

/* Scores the folds over all ranks. On rank 0 the report is filled but for what only training knows
 * (seconds, images_per_second). What pd_evaluation_results borrows is owned by *out.
 *
 * Each look at the test fold of the training's data set is counted in the checkpoint, since who
 * chooses by it no longer tests. The look with which training ends is the first one, however often
 * it is repeated. A checkpoint that cannot be written is left as it is, with a warning. Of several
 * checkpoints each one counts.
 *
 * The decision of several checkpoints is chosen on the data set that they were trained on, whatever
 * data is evaluated (pd_ensemble_assemble). Collective; all ranks return the same status. */
pd_status pd_evaluate(pd_evaluation **out, pd_comm *comm, const pd_evaluate_options *options);
void pd_evaluation_destroy(pd_evaluation **evaluation);

pd_results *pd_evaluation_results(pd_evaluation *evaluation);
pd_classifier *pd_evaluation_classifier(pd_evaluation *evaluation);
const pd_dataset *pd_evaluation_dataset(const pd_evaluation *evaluation);

#endif
