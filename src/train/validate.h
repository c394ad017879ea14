/* Validating at the end of an epoch. */
#ifndef PNEUMO_TRAIN_VALIDATE_H
#define PNEUMO_TRAIN_VALIDATE_H

#include "pneumo/train/validation.h"
#include "trainer.h"

/* Scores the validation fold with the weights that will be saved, and judges the scores. Fails if a
 * score is not finite. Collective; all ranks return the same status and *out. */
pd_status pd_trainer_validate(pd_trainer *trainer, pd_validation *out);

#endif
