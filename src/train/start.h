/* Starting and ending training. */
#ifndef PNEUMO_TRAIN_START_H
#define PNEUMO_TRAIN_START_H

#include "pneumo/train/run.h"
#include "trainer.h"

/* Makes *trainer ready for its next step, of a new run or of the one that options->folder holds.
 * Checks whatever training requires, such as both classes in the validation fold. Release *trainer
 * with pd_trainer_release, also after a failure. Collective; all ranks return the same status. */
pd_status pd_trainer_start(pd_trainer *trainer, const pd_run_options *options);
void pd_trainer_release(pd_trainer *trainer);

#endif
