/* Training steps on random images, for timing. */
#ifndef PNEUMO_TRAIN_BENCHMARK_H
#define PNEUMO_TRAIN_BENCHMARK_H

#include "pneumo/train/step.h"

/* Fills this rank's slice of the batch with standard normal pixels, and labels of alternating
 * classes. */
void pd_benchmark_fill(pd_step *step);

/* Takes step `number`. Adds the seconds of this rank's layers to times[layers], and sets *seconds
 * to the duration of the step on the slowest rank. Fails if the loss or the gradient is not finite.
 * Collective. */
pd_status pd_benchmark_step(pd_step *step, int number, pd_layer_times *times, double *seconds);

#endif
