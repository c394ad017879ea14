/* What the files of the command train share: train.c, train_job.c, which chooses the job, and
 * train_cross.c, which trains the models of a cross-validation. */
#ifndef PNEUMO_CLI_TRAIN_H
#define PNEUMO_CLI_TRAIN_H

#include "job.h"
#include "pneumo/train/train.h"

/* Evaluates the job's trained model at `path` on the val and test folds: prints the table and
 * writes the reports into job->folder; report.json, which marks the run as complete, comes last.
 * Collective. */
pd_status pd_train_report(pd_comm *comm, const pd_job *job, int threads, const char *path,
                          const pd_train_result *trained);

typedef struct pd_cross_options {
    int parts;
    int part; /* the only one to train, from 1; 0: train all, then gather */
    bool resume;
    int threads;
} pd_cross_options;

/* Trains the models of a cross-validation, one for each part, into job->folder/cross-1, cross-2,
 * ..., except those that are finished. After all of them, prints their validation figures, writes
 * these to cross.csv, the models' average to ensemble.h5, and the reports of the average; only the
 * average is evaluated on the test fold. PD_STOPPED if a signal stopped it after saving.
 * Collective; all ranks return the same status. */
pd_status pd_cross_train(pd_comm *comm, const pd_job *job, const pd_cross_options *options);

/* What the command line says of the job. Borrowed. */
typedef struct pd_train_choice {
    const char *name;   /* NULL: not given */
    const char *folder; /* --run; NULL: not given */
    const pd_overrides *overrides;
    bool resume, cross;
} pd_train_choice;

/* Reads the job to train and sets its folder. Without a name it is the job of the checkpoint to
 * resume; else the default job or, without its packed data set, a short training on phantoms, which
 * are drawn if they are missing. Resuming draws nothing. Collective. */
pd_status pd_train_choose_job(pd_job *job, pd_comm *comm, const pd_train_choice *choice);

#endif
