/* A run: a job and the folder that it writes. */
#ifndef PNEUMO_TRAIN_RUN_H
#define PNEUMO_TRAIN_RUN_H

#include "pneumo/comm/comm.h"
#include "pneumo/train/job.h"

/* All borrowed. */
typedef struct pd_run_options {
    pd_comm *comm;
    const pd_job *job;
    const char *folder;
    bool resume; /* continue from folder/last.h5, or previous.h5, if there is one */
    bool extend; /* if so, train.epochs may differ from that run's */
    int threads;
} pd_run_options;

/* The path of a file of a run: folder/name; free(). */
pd_status pd_run_path(char **out, const char *folder, const char *name);

/* Fails if the folder contains files, but no file of a run, such as a folder of images. Logs and
 * jobs
 * (.log, .out, .err, .txt, .ini) and hidden files may be there. The folder need not exist; a file
 * of that name is not looked at. */
pd_status pd_run_check_folder(const char *folder);

#endif
