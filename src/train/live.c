#include "live.h"

#include "pneumo/base/clock.h"

#include <math.h>

/* Seconds between two statuses. */
static const double interval = 1;

static void put(pd_trainer *trainer, bool flush)
{
    pd_live *live = &trainer->live;
    if (live->broken || pd_comm_rank(trainer->comm) != 0)
        return;
    live->broken = !pd_run_status_write(trainer->files.folder, &live->status, flush);
    live->written_at = pd_clock_now();
}

/* What is left of the training, at the speed of this epoch; NAN before its first step. */
static double seconds_left(const pd_trainer *trainer, double step_seconds)
{
    const pd_run_status *status = &trainer->live.status;
    double epochs = (double)(status->epochs - status->epoch);
    double steps = (double)(status->steps - status->step) + epochs * (double)status->steps;
    return steps * step_seconds + (epochs + 1) * trainer->live.validation_seconds;
}

void pd_live_enter(pd_trainer *trainer, pd_run_phase phase)
{
    pd_live *live = &trainer->live;
    const pd_train_state *state = &trainer->checkpoint.state;
    double now = pd_clock_now();
    bool first = live->status.phase == PD_RUN_STARTING;
    if (live->status.phase == PD_RUN_VALIDATING)
        live->validation_seconds = now - live->entered_at;
    live->entered_at = now;
    live->status.phase = phase;
    live->status.epochs = trainer->job->schedule.epochs;
    live->status.steps = pd_lanes_epoch_steps(trainer->lanes);
    live->status.ranks = pd_comm_size(trainer->comm);
    live->status.threads = trainer->step.threads;
    if (phase == PD_RUN_TRAINING) {
        live->status.epoch = state->epoch + !state->finished;
        live->first_step = state->epoch_step;
        live->status.loss = (double)NAN;
    }
    if (first)
        live->status.learning_rate = live->status.images_per_second = live->status.seconds_left =
            (double)NAN;
    live->status.step = state->epoch_step;
    put(trainer, first);
}

void pd_live_step(pd_trainer *trainer, double learning_rate)
{
    pd_live *live = &trainer->live;
    const pd_train_state *state = &trainer->checkpoint.state;
    double now = pd_clock_now();
    double step_seconds = (now - live->entered_at) / (double)(state->epoch_step - live->first_step);
    live->status.step = state->epoch_step;
    live->status.loss = state->epoch_loss_sum / (double)state->epoch_step;
    live->status.learning_rate = learning_rate;
    live->status.images_per_second = trainer->job->sampling.batch / step_seconds;
    live->status.seconds_left = seconds_left(trainer, step_seconds);
    if (now - live->written_at >= interval)
        put(trainer, false);
}

void pd_live_end(pd_trainer *trainer, pd_status status)
{
    if (status == PD_OK || trainer->live.status.phase == PD_RUN_STARTING)
        return;
    trainer->live.status.phase = status == PD_STOPPED ? PD_RUN_STOPPED : PD_RUN_FAILED;
    put(trainer, true);
}
