/* Reporting values that are not finite. */
#ifndef PNEUMO_TRAIN_NOT_FINITE_H
#define PNEUMO_TRAIN_NOT_FINITE_H

#include "trainer.h"

/* Fails because `what` is not finite in or after (`when`) step `step` (from 0) of this epoch, and
 * names the first layer with such a value. pd_network_check_finite must have been
 * on while the computation was repeated. Collective; all ranks return the
 * same status. */
pd_status pd_trainer_fail_not_finite(const pd_trainer *trainer, const char *when, int64_t step,
                                     const char *what);

#endif
