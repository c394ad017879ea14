/* Training steps on random images: what bench and doctor time. */
#ifndef PNEUMO_CLI_TRIAL_H
#define PNEUMO_CLI_TRIAL_H

#include "pneumo/train/step.h"

/* Fills this rank's part of the batch with standard normal pixels, and classes in turn. */
void pd_trial_fill(pd_step *step);

/* Takes step `number`. times[layers] gets the seconds of this rank's layers, *seconds those of the
 * step on the slowest rank. A loss or gradient that is not finite is an error. Collective. */
pd_status pd_trial_step(pd_step *step, int number, pd_layer_times *times, double *seconds);

#endif
