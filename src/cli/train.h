/* What the files of the command train share: src/cli/train.c, and src/cli/cross.c, which trains the
 * parts of a cross-validation. */
#ifndef PNEUMO_CLI_TRAIN_H
#define PNEUMO_CLI_TRAIN_H

#include "pneumo/train/train.h"

/* Evaluates the job's trained model at `path` on the val and test folds: prints the table and
 * writes the reports into job->folder, report.json, which says that the run is complete, last.
 * Collective.
 */
pd_status pd_train_report(pd_comm *comm, const pd_job *job, int threads, const char *path,
                          const pd_train_result *trained);

typedef struct pd_cross_options {
    int parts;
    int part; /* the only one to train, from 1; 0: train all, then gather */
    bool resume;
    int threads;
} pd_cross_options;

/* Trains the parts of a cross-validation into job->folder/cross-1, cross-2, ..., but for those that
 * are finished. With all of them: prints their validation figures, writes these to cross.csv, the
 * parts' average to ensemble.h5, and its reports; only the average looks at the test fold.
 * PD_STOPPED when a signal ended it after saving. Collective; all ranks return the same status. */
pd_status pd_cross_train(pd_comm *comm, const pd_job *job, const pd_cross_options *options);

#endif
