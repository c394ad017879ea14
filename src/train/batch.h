/* Filling the batch of a step. */
#ifndef PNEUMO_TRAIN_BATCH_H
#define PNEUMO_TRAIN_BATCH_H

#include "trainer.h"

/* Renders this rank's slice of the batch of the next step into trainer->step, with its targets and
 * weights. Not collective. */
pd_status pd_trainer_load_batch(pd_trainer *trainer);

#endif
