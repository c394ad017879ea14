/* Writing status.csv while a run is trained. */
#ifndef PNEUMO_TRAIN_LIVE_H
#define PNEUMO_TRAIN_LIVE_H

#include "trainer.h"

/* Only rank 0 writes; on other ranks these do nothing. A status that cannot be written is a
 * warning, and then no more is written: the run does not depend on it. */

/* At the start, and when an epoch begins and is validated. */
void pd_live_enter(pd_trainer *trainer, pd_run_phase phase);

/* After a step with that learning rate: writes at most once a second. */
void pd_live_step(pd_trainer *trainer, double learning_rate);

/* At the end, if pd_train does not return PD_OK. */
void pd_live_end(pd_trainer *trainer, pd_status status);

#endif
