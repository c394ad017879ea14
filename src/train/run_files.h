/* The files that training keeps in a run's folder, besides the content of the checkpoints. */
#ifndef PNEUMO_TRAIN_RUN_FILES_H
#define PNEUMO_TRAIN_RUN_FILES_H

#include "pneumo/io/checkpoint.h"

/* Paths; owned. */
typedef struct pd_run_files {
    char *folder;
    char *last, *previous, *best; /* checkpoints: last.h5, the one before it, best.h5 */
    char *history, *time;         /* history.csv, time.csv */
    char *events;                 /* of TensorBoard, which finds such files by "tfevents" */
} pd_run_files;

/* Release with pd_run_files_free, also after a failure. */
pd_status pd_run_files_name(pd_run_files *files, const char *folder);
void pd_run_files_free(pd_run_files *files);

/* Whether the folder holds a run. last.h5 alone may be missing; see pd_file_replace. */
bool pd_run_files_exist(const pd_run_files *files);

/* After a failure: removes what describes a run, except status.csv, if the folder has no
 * checkpoint. */
void pd_run_files_discard(const pd_run_files *files);

/* Writes history.csv: a row per epoch. */
pd_status pd_run_files_write_history(const pd_run_files *files, const pd_train_state *state);

/* time.csv: how long training took, and of how many images, repeated ones included. It is not in
 * the checkpoints, whose bytes do not depend on interruptions. Reading fails if the file is missing
 * or damaged, and then sets nothing. */
pd_status pd_run_files_write_time(const pd_run_files *files, double seconds, int64_t images);
pd_status pd_run_files_read_time(const pd_run_files *files, double *seconds, int64_t *images);

#endif
