/* Continuing a run from its checkpoint. */
#ifndef PNEUMO_TRAIN_RESUME_H
#define PNEUMO_TRAIN_RESUME_H

#include "trainer.h"

/* Loads the checkpoint of the run that the folder holds, if it may be continued and there is one:
 * last.h5 or, where any rank cannot read it, previous.h5 on all ranks. A checkpoint of another job
 * or data set is an error. Collective; all ranks return the same status. */
pd_status pd_trainer_find(pd_trainer *trainer);

/* Continues the run that pd_trainer_find has found, if any. Collective; all ranks return the same
 * status. */
pd_status pd_trainer_resume(pd_trainer *trainer);

/* Fails unless all ranks start with the same job, data set and step: each rank reads its own files,
 * and different ones would make the ranks hang or train nonsense. Collective; all ranks return the
 * same status. */
pd_status pd_trainer_check_alike(const pd_trainer *trainer);

#endif
