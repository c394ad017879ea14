/* TensorBoard's event file of a run. */
#ifndef PNEUMO_TRAIN_EVENTS_H
#define PNEUMO_TRAIN_EVENTS_H

#include "trainer.h"

/* With run.tensorboard, rank 0 prepares the file for the epochs that follow: what a killed process
 * wrote of an epoch that will be trained again is cut off, and epochs of the history that the file
 * lacks, as where the key was not set before, are appended without their speed. */
pd_status pd_events_start(pd_trainer *trainer);

/* With run.tensorboard, rank 0 appends a step for each epoch of the history that the file lacks. */
pd_status pd_events_update(pd_trainer *trainer);

#endif
