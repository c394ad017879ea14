#include "pneumo/train/train.h"
#include "pneumo/base/text.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/progress.h"
#include "pneumo/base/stop.h"
#include "pneumo/train/setup.h"

#include "audit.h"
#include "batch.h"
#include "live.h"
#include "not_finite.h"
#include "save.h"
#include "start.h"
#include "validate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FLAG_STOP = 1, FLAG_SAVE = 2 };

/* Repeats the step that has just failed, with the same weights, to find the first layer with a
 * value that is not finite. */
static pd_status explain_not_finite(pd_trainer *trainer)
{
    double loss;
    const float *gradient;
    pd_network_check_finite(trainer->step.network, true);
    pd_status status =
        pd_step_gradient(&trainer->step, trainer->checkpoint.state.step, &loss, &gradient);
    if (status != PD_OK)
        return status;
    return pd_trainer_fail_not_finite(trainer, "step", trainer->checkpoint.state.epoch_step,
                                      "the loss or its gradient");
}

/* By the schedule, and by the cuts on plateaus so far. `step` counts over the whole run. */
static double learning_rate(const pd_trainer *trainer, int64_t step)
{
    return trainer->checkpoint.state.learning_scale *
           pd_schedule_rate(&trainer->job->schedule, step, pd_lanes_epoch_steps(trainer->lanes));
}

/* One optimisation step. Collective; all ranks return the same status. */
static pd_status take_step(pd_trainer *trainer)
{
    pd_train_state *state = &trainer->checkpoint.state;
    double loss, norm;
    pd_comm_set_position(trainer->comm, "epoch %lld, step %lld", (long long)state->epoch + 1,
                         (long long)state->epoch_step + 1);
    double rate = learning_rate(trainer, state->step);
    pd_status status = pd_trainer_load_batch(trainer);
    if (status != PD_OK)
        return pd_step_abort_all(&trainer->step, status);
    status = pd_step_take(&trainer->step, state->step, rate, &loss, &norm);
    if (status != PD_OK)
        return status;
    if (!isfinite(loss) || !isfinite(norm))
        return explain_not_finite(trainer);
    state->step++;
    state->epoch_step++;
    trainer->steps_here++;
    state->epoch_loss_sum += loss;
    state->epoch_norm_sum += norm;
    trainer->images_seen += trainer->job->sampling.batch;
    pd_live_step(trainer, rate);
    if (trainer->job->audit_steps > 0 && state->step % trainer->job->audit_steps == 0)
        status = pd_audit(&trainer->step);
    return status;
}

/* The figure by which the best epoch is chosen; larger is better. */
static double monitored(const pd_job *job, const pd_validation *validation)
{
    switch (job->monitor) {
    case PD_MONITOR_LOSS:
        return -validation->loss;
    case PD_MONITOR_BALANCED_ACCURACY:
        return validation->balanced_accuracy;
    case PD_MONITOR_STRESS:
        return validation->stress_auc;
    default:
        return validation->auc;
    }
}

static bool in_last_stage(const pd_trainer *trainer)
{
    return trainer->job->schedule.unfreeze_epoch == 0 || trainer->step.stage == 1;
}

/* Updates the best epoch, the plateau and the patience. Returns whether this epoch is the best so
 * far. */
static bool decide(pd_trainer *trainer, const pd_validation *validation)
{
    const pd_job *job = trainer->job;
    pd_train_state *state = &trainer->checkpoint.state;
    double metric = monitored(job, validation);
    if (isnan(state->best_metric) || metric > state->best_metric) {
        state->best_metric = metric;
        state->best_epoch = state->epoch;
        state->patience_left = job->patience;
        state->plateau_left = job->plateau_epochs;
        return true;
    }
    if (job->plateau_epochs > 0 && --state->plateau_left == 0) {
        state->learning_scale *= job->plateau_factor;
        state->plateau_left = job->plateau_epochs;
        pd_log_info("no improvement in %d epoch%s: learning rate cut to %g of the schedule's",
                    job->plateau_epochs, pd_text_plural(job->plateau_epochs),
                    state->learning_scale);
    }
    if (job->patience > 0 && in_last_stage(trainer) && --state->patience_left == 0) {
        state->finished = true;
        pd_log_info("no improvement in %d epoch%s: stopping early", job->patience,
                    pd_text_plural(job->patience));
    }
    return false;
}

static void log_epoch(pd_trainer *trainer, const pd_history_row *row,
                      const pd_validation *validation, bool best, double seconds)
{
    char time[32], changed[32] = "";
    pd_clock_format(time, sizeof time, seconds);
    if (!isnan(validation->stress_auc))
        snprintf(changed, sizeof changed, "  changed %.4f", validation->stress_auc);
    pd_log_info(
        "epoch %3d/%d  loss %.4f  val loss %.4f  AUC %.4f%s  sensitivity %5.1f %%  specificity "
        "%5.1f %%  %s%s",
        row->epoch, trainer->job->schedule.epochs, row->train_loss, row->val_loss, row->val_auc,
        changed, 100 * row->val_sensitivity, 100 * row->val_specificity, time,
        best ? "  best" : "");
    if (pd_comm_rank(trainer->comm) == 0 && validation->remark[0] != '\0' &&
        strcmp(validation->remark, trainer->remark) != 0)
        pd_log_warn("after epoch %d the model %s", row->epoch, validation->remark);
    snprintf(trainer->remark, sizeof trainer->remark, "%s", validation->remark);
}

/* Validates, decides, saves. If it is asked to stop meanwhile, saves what it had before.
 * Collective.
 */
static pd_status end_epoch(pd_trainer *trainer, double seconds)
{
    pd_train_state *state = &trainer->checkpoint.state;
    double steps = (double)state->epoch_step;
    double rate = learning_rate(trainer, state->step - 1);
    pd_validation validation;
    pd_comm_set_position(trainer->comm, "epoch %lld, validation", (long long)state->epoch + 1);
    pd_live_enter(trainer, PD_RUN_VALIDATING);
    pd_status status = pd_trainer_validate(trainer, &validation);
    if (status == PD_STOPPED) {
        status = pd_trainer_save(trainer, false);
        return status == PD_OK ? PD_STOPPED : status;
    }
    if (status != PD_OK)
        return status;
    state->epoch++;
    pd_history_row *row = &trainer->history[state->history_count++];
    *row = (pd_history_row){.epoch = (int32_t)state->epoch,
                            .learning_rate = rate,
                            .train_loss = state->epoch_loss_sum / steps,
                            .val_loss = validation.loss,
                            .val_auc = validation.auc,
                            .val_accuracy = validation.accuracy,
                            .val_sensitivity = validation.sensitivity,
                            .val_specificity = validation.specificity,
                            .gradient_norm = state->epoch_norm_sum / steps,
                            .val_stress_auc = validation.stress_auc};
    state->epoch_step = 0;
    state->epoch_loss_sum = state->epoch_norm_sum = 0;
    trainer->checkpoint.has_decision = true;
    trainer->checkpoint.decision = validation.decision;
    bool best = decide(trainer, &validation);
    if (state->epoch == trainer->job->schedule.epochs)
        state->finished = true;
    log_epoch(trainer, row, &validation, best, seconds);
    return pd_trainer_save(trainer, best);
}

/* Whether the ranks stop or save after this step: if any of them requests it. Collective. */
static pd_status agree_on_flags(pd_trainer *trainer, uint32_t *flags)
{
    uint32_t own = 0;
    double minutes = trainer->job->checkpoint_minutes;
    if (pd_stop_requested())
        own |= FLAG_STOP;
    if (pd_comm_rank(trainer->comm) == 0 && minutes > 0 &&
        pd_clock_now() - trainer->saved_at > 60 * minutes)
        own |= FLAG_SAVE;
    return pd_comm_bitwise_or(trainer->comm, own, flags);
}

/* Begins the second stage, in which all layers are trained, if it is due. Collective. */
static pd_status enter_stage(pd_trainer *trainer)
{
    pd_train_state *state = &trainer->checkpoint.state;
    size_t parameters;
    int64_t steps = pd_lanes_epoch_steps(trainer->lanes);
    if (pd_schedule_stage(&trainer->job->schedule, state->step, steps) == trainer->step.stage)
        return PD_OK;
    pd_comm_set_position(trainer->comm, "epoch %lld, unfreezing", (long long)state->epoch + 1);
    pd_status status = pd_step_unfreeze(&trainer->step, state->step);
    if (status != PD_OK)
        return status;
    state->learning_scale = 1;
    state->patience_left = trainer->job->patience;
    state->plateau_left = trainer->job->plateau_epochs;
    pd_network_weights(trainer->step.network, &parameters);
    pd_log_info("from epoch %lld on, all layers are trained, %zu parameters",
                (long long)state->epoch + 1, parameters);
    return PD_OK;
}

static pd_status train_epoch(pd_trainer *trainer)
{
    pd_train_state *state = &trainer->checkpoint.state;
    pd_status status = PD_OK;
    int64_t steps = pd_lanes_epoch_steps(trainer->lanes);
    double started = pd_clock_now();
    /* Otherwise the run was stopped before the validation of this epoch, which belongs to the stage
     * of its last step. */
    if (state->epoch_step < steps)
        PD_TRY(enter_stage(trainer));
    pd_live_enter(trainer, PD_RUN_TRAINING);
    char label[48], note[64];
    pd_progress progress;
    snprintf(label, sizeof label, "epoch %lld/%d", (long long)state->epoch + 1,
             trainer->job->schedule.epochs);
    uint32_t flags = 0;
    pd_progress_begin(&progress, label, (uint64_t)state->epoch_step, (uint64_t)steps);
    trainer->epoch_speed = (double)NAN;
    int64_t first_step = state->epoch_step;
    while (state->epoch_step < steps) {
        PD_TRY(take_step(trainer));
        trainer->epoch_speed = (double)(state->epoch_step - first_step) *
                               trainer->job->sampling.batch / (pd_clock_now() - started);
        snprintf(note, sizeof note, "loss %.4f", state->epoch_loss_sum / (double)state->epoch_step);
        pd_progress_update(&progress, (uint64_t)state->epoch_step, note);
        PD_TRY(agree_on_flags(trainer, &flags));
        /* The end of the epoch saves anyway. */
        if (flags != 0 && state->epoch_step < steps) {
            PD_TRY(pd_trainer_save(trainer, false));
            if (flags & FLAG_STOP) {
                pd_progress_end(&progress);
                return PD_STOPPED;
            }
        }
    }
    pd_progress_end(&progress);
    PD_TRY(end_epoch(trainer, pd_clock_now() - started));
    if (flags & FLAG_STOP)
        status = PD_STOPPED;
cleanup:
    return status;
}

/* Says how the learning rate continues after a change of the number of epochs. */
static void announce_epochs(const pd_trainer *trainer)
{
    const pd_schedule_spec *schedule = &trainer->job->schedule;
    const pd_train_state *state = &trainer->checkpoint.state;
    const char *plural = pd_text_plural(schedule->epochs);
    if (state->finished)
        pd_log_info("%d epoch%s instead of %d: training is finished", schedule->epochs, plural,
                    trainer->former_epochs);
    else
        pd_log_info("%d epoch%s instead of %d: the learning rate continues at %.3g, as schedule "
                    "'%s' over %d epoch%s has it",
                    schedule->epochs, plural, trainer->former_epochs,
                    learning_rate(trainer, state->step), pd_schedule_types[schedule->kind].name,
                    schedule->epochs, plural);
}

static void announce_shapes(const pd_trainer *trainer)
{
    const pd_shape_balance *balance = &trainer->shape_balance;
    if (trainer->job->sampling.balance != PD_BALANCE_SHAPE)
        return;
    if (balance->applies)
        pd_log_info(
            "train images are weighted to reduce differences of shape and size between the "
            "classes: AUC of width over height alone %.3f, weighted %.3f; of the area %.3f, "
            "weighted %.3f",
            balance->before[PD_SHAPE_ASPECT], balance->after[PD_SHAPE_ASPECT],
            balance->before[PD_SHAPE_AREA], balance->after[PD_SHAPE_AREA]);
    else
        pd_log_info("the train images have one shape, or it is unknown: only the classes are "
                    "balanced");
}

static void announce(const pd_trainer *trainer)
{
    const pd_dataset_info *info = pd_dataset_get_info(trainer->dataset);
    char frozen[PD_SETUP_FROZEN];
    size_t parameters, val_images;
    long long steps = pd_lanes_epoch_steps(trainer->lanes);
    pd_network_weights(trainer->step.network, &parameters);
    pd_scorer_ids(trainer->scorer, &val_images);
    pd_log_info(
        "%s: model %s, %zu parameters, input %dx%dx%d; %lld train and %zu validation images of %s",
        trainer->job->name, trainer->checkpoint.model, parameters, trainer->input.size,
        trainer->input.size, trainer->input.channels, (long long)trainer->train_images, val_images,
        trainer->job->file);
    announce_shapes(trainer);
    if (pd_setup_frozen(frozen, trainer->step.network)[0] != '\0')
        pd_log_info("frozen: %s", frozen);
    pd_log_info("batch %d in %d lanes over %d rank%s of %d thread%s; %d epoch%s of %lld step%s; "
                "writing to %s",
                trainer->job->sampling.batch, trainer->job->sampling.lanes,
                pd_comm_size(trainer->comm), pd_text_plural(pd_comm_size(trainer->comm)),
                trainer->step.threads, pd_text_plural(trainer->step.threads),
                trainer->job->schedule.epochs, pd_text_plural(trainer->job->schedule.epochs), steps,
                pd_text_plural(steps), trainer->files.folder);
    if (pd_comm_rank(trainer->comm) == 0 &&
        (info->counts[PD_TEST][PD_NORMAL] == 0 || info->counts[PD_TEST][PD_PNEUMONIA] == 0))
        pd_log_warn(
            "%s: the test fold has %lld normal and %lld pneumonia images, so specificity or "
            "sensitivity will be unknown",
            trainer->job->file, (long long)info->counts[PD_TEST][PD_NORMAL],
            (long long)info->counts[PD_TEST][PD_PNEUMONIA]);
    pd_log_info("%s", trainer->images_note);
    if (trainer->checkpoint.state.step > 0)
        pd_log_info("resuming after epoch %lld, step %lld",
                    (long long)trainer->checkpoint.state.epoch,
                    (long long)trainer->checkpoint.state.step);
    if (trainer->former_epochs > 0)
        announce_epochs(trainer);
}

pd_status pd_train(const pd_run_options *options, pd_train_result *result)
{
    pd_status status = PD_OK;
    pd_trainer trainer;
    memset(result, 0, sizeof *result);
    pd_comm_set_watchdog(options->comm, options->job->watchdog_seconds, pd_stop_requested);
    pd_comm_set_position(options->comm, "reading the data set");
    PD_TRY(pd_trainer_start(&trainer, options));
    pd_stop_defer("saving, then stopping");
    announce(&trainer);
    pd_live_enter(&trainer, PD_RUN_TRAINING);
    while (!trainer.checkpoint.state.finished && status == PD_OK)
        status = train_epoch(&trainer);
    result->epochs = trainer.checkpoint.state.epoch;
    result->seconds = trainer.seconds;
    result->images_per_second =
        trainer.images_seen == 0 ? (double)NAN : (double)trainer.images_seen / trainer.seconds;
    if (status == PD_OK) {
        result->history = trainer.history;
        result->history_count = trainer.checkpoint.state.history_count;
        trainer.history = NULL;
    }
cleanup:
    if (status == PD_FAILED && trainer.claimed && pd_comm_rank(trainer.comm) == 0)
        pd_run_files_discard(&trainer.files);
    pd_live_end(&trainer, status);
    pd_trainer_release(&trainer);
    return status;
}
