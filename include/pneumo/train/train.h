/* The training loop. */
#ifndef PNEUMO_TRAIN_TRAIN_H
#define PNEUMO_TRAIN_TRAIN_H

#include "pneumo/train/run.h"

typedef struct pd_train_result {
    int64_t epochs, best_epoch, parameters;
    int64_t epochs_here; /* completed by this call */
    /* On rank 0, of all processes that worked on this run, as far as time.csv knows: */
    double seconds;           /* of training, up to the last checkpoint */
    double images_per_second; /* NAN if no step is known of */
} pd_train_result;

/* Trains the job on its data set and writes folder/last.h5, previous.h5 (what last.h5 was before),
 * best.h5, history.csv and time.csv. Every rank returns the same status, agreed on; PD_STOPPED when
 * a signal ended it after saving. An error in the middle of a step that other ranks cannot know of
 * ends all ranks. Collective. */
pd_status pd_train(const pd_run_options *options, pd_train_result *result);

#endif
