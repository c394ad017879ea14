/* Saving a run. */
#ifndef PNEUMO_TRAIN_SAVE_H
#define PNEUMO_TRAIN_SAVE_H

#include "trainer.h"

/* Rank 0 writes last.h5, history.csv and TensorBoard's file, with `best` also best.h5; what last.h5
 * was becomes previous.h5. last.h5 is written after the others: whatever a kill leaves undone
 * before it, the resumed run does again, to the same bytes. Only time.csv, which no result depends
 * on, follows it. Weights that are not finite, or (job->audit_steps > 0) not the same on all ranks,
 * are an error and replace nothing. Collective; all ranks return the same status. */
pd_status pd_trainer_save(pd_trainer *trainer, bool best);

#endif
