/* Learning-rate schedules: pure functions of the step. */
#ifndef PNEUMO_TRAIN_SCHEDULE_H
#define PNEUMO_TRAIN_SCHEDULE_H

#include "pneumo/train/job.h"

#include <stdint.h>

/* The learning rate of optimisation step `step` (from 0) of a run of job->epochs epochs of
 * `epoch_steps` steps. A linear warm-up over job->warmup_epochs comes first (one-cycle has its own
 * rise over that time, or over 30 % of the run if it is 0; Smith and Topin, arXiv:1708.07120, with
 * cosine sides). Plateau cuts are not included. */
double pd_schedule_rate(const pd_job *job, int64_t step, int64_t epoch_steps);

#endif
