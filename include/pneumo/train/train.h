/* The training loop. */
#ifndef PNEUMO_TRAIN_TRAIN_H
#define PNEUMO_TRAIN_TRAIN_H

#include "pneumo/io/train_state.h"
#include "pneumo/train/run.h"

typedef struct pd_train_result {
    int64_t epochs; /* completed since the run began */
    /* [history_count], a row for each of them; free(); NULL unless pd_train returns PD_OK. */
    pd_history_row *history;
    int history_count;
    /* On rank 0, over all processes that trained this run, as recorded in time.csv: */
    double seconds;           /* of training, up to the last checkpoint */
    double images_per_second; /* NAN if no step is recorded */
} pd_train_result;

/* Trains the job on its data set and writes folder/last.h5, previous.h5 (the last.h5 before),
 * best.h5, history.csv, status.csv, time.csv and with run.tensorboard an event file. Rank 0 keeps
 * the folder locked (pd_lock_take). All ranks return the same status: PD_STOPPED when a signal
 * ended training after saving. After PD_OK, call pd_stop_resume: signals are deferred. An error on
 * one rank in the middle of a step ends all ranks. Collective. */
pd_status pd_train(const pd_run_options *options, pd_train_result *result);

#endif
