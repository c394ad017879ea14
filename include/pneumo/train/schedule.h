/* Learning-rate schedules: pure functions of the step. */
#ifndef PNEUMO_TRAIN_SCHEDULE_H
#define PNEUMO_TRAIN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum pd_schedule_kind {
    PD_SCHEDULE_CONSTANT = 0,
    PD_SCHEDULE_STEP = 1,
    PD_SCHEDULE_COSINE = 2,
    PD_SCHEDULE_ONECYCLE = 3,
    PD_SCHEDULES
} pd_schedule_kind;

typedef struct pd_schedule_spec {
    pd_schedule_kind kind;
    int epochs;           /* of the run */
    double learning_rate; /* the peak */
    double warmup_epochs;
    int step_epochs;     /* PD_SCHEDULE_STEP: epochs between cuts */
    double step_factor;  /* PD_SCHEDULE_STEP: factor of a cut */
    double final_factor; /* cosine, onecycle: last learning rate over the peak */
    int unfreeze_epoch;  /* the epoch, from 1, with which the second stage begins; 0: one stage */
    double unfreeze_factor; /* on the learning rate in the second stage */
} pd_schedule_spec;

typedef struct pd_schedule_type {
    const char *name; /* in job files */
    bool warms_up;    /* a linear warm-up over warmup_epochs comes before `rate` applies */
    double (*rate)(const pd_schedule_spec *spec, int64_t step, int64_t epoch_steps);
} pd_schedule_type;

extern const pd_schedule_type pd_schedule_types[PD_SCHEDULES];

/* The stage of optimisation step `step` (from 0): 0, or 1 from unfreeze_epoch on, in which all
 * layers are trained. */
int pd_schedule_stage(const pd_schedule_spec *spec, int64_t step, int64_t epoch_steps);

/* The first step of stage 1. */
int64_t pd_schedule_unfreeze_step(const pd_schedule_spec *spec, int64_t epoch_steps);

/* The learning rate of optimisation step `step` (from 0) in epochs of `epoch_steps` steps.
 * One-cycle has no linear warm-up but rises along half a cosine over warmup_epochs, or over 30 % of
 * the run if that is 0 (Smith and Topin, arXiv:1708.07120). Each stage is like a run of its own:
 * the schedule begins again, warm-up included. Plateau cuts are not included. */
double pd_schedule_rate(const pd_schedule_spec *spec, int64_t step, int64_t epoch_steps);

#endif
