#include "pneumo/train/train.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/io/file.h"
#include "pneumo/train/audit.h"
#include "pneumo/train/run.h"
#include "pneumo/train/schedule.h"
#include "pneumo/train/stop.h"
#include "pneumo/train/validation.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLAG_STOP = 1, FLAG_SAVE = 2 };
/* Steps whose images are asked for ahead, the present one included. */
enum { AHEAD = 4 };

pd_status pd_train_path(char **out, const char *folder, const char *name)
{
    return pd_format(out, "%s/%s", folder, name);
}

/* --- One step --- */

/* Sets picks and ids to this rank's part of the batch of that step of the epoch. */
static pd_status pick_batch(pd_run *self, int64_t epoch_step)
{
    for (int i = 0; i < pd_comm_lane_count(self->comm); i++) {
        pd_status status = pd_lanes_batch(self->lanes, (uint32_t)self->checkpoint.state.epoch,
                                          epoch_step, pd_comm_first_lane(self->comm) + i,
                                          self->picks + i * self->step.lane_samples);
        if (status != PD_OK)
            return status;
    }
    for (int i = 0; i < self->step.samples; i++)
        self->ids[i] = self->picks[i].id;
    return PD_OK;
}

/* Asks for the images of the next steps of this epoch, each step's once. */
static pd_status read_ahead(pd_run *self)
{
    const pd_train_state *now = &self->checkpoint.state;
    int64_t left = pd_lanes_epoch_steps(self->lanes) - now->epoch_step;
    int64_t end = now->step + (left < AHEAD ? left : AHEAD);
    int64_t step = self->asked > now->step ? self->asked : now->step;
    for (; step < end; step++) {
        pd_status status = pick_batch(self, now->epoch_step + step - now->step);
        if (status != PD_OK)
            return status;
        pd_images_prefetch(self->images, self->ids, (size_t)self->step.samples);
    }
    self->asked = end;
    return PD_OK;
}

/* Mixes pairs of samples of each lane, and their targets and weights. */
static void mix_batch(pd_run *self)
{
    pd_step *step = &self->step;
    int samples = step->lane_samples, lanes = pd_comm_lane_count(self->comm);
    for (int lane = 0; lane < lanes; lane++) {
        pd_mixup_draw(self->pairs, self->order, samples, self->job->augment.mixup, self->job->seed,
                      self->checkpoint.state.step, pd_comm_first_lane(self->comm) + lane);
#pragma omp parallel for num_threads(self->options->threads)
        for (int i = 0; i < samples / 2; i++) {
            const pd_mixup_pair *pair = &self->pairs[i];
            size_t a = (size_t)(lane * samples + pair->a), b = (size_t)(lane * samples + pair->b);
            pd_mixup_blend(step->x + a * step->sample_floats, step->x + b * step->sample_floats,
                           (int64_t)step->sample_floats, pair->share);
            pd_mixup_blend_targets((pd_mixup_target){step->targets + a, step->weights + a},
                                   (pd_mixup_target){step->targets + b, step->weights + b},
                                   pair->share);
        }
    }
}

/* Renders this rank's part of the batch. */
static pd_status load_batch(pd_run *self)
{
    pd_status status = PD_OK;
    uint32_t epoch = (uint32_t)self->checkpoint.state.epoch;
    if (self->stream)
        PD_TRY(read_ahead(self));
    PD_TRY(pick_batch(self, self->checkpoint.state.epoch_step));
    PD_TRY(pd_images_fetch(self->images, self->ids, (size_t)self->step.samples, self->pixels));
    const pd_sample *samples = pd_dataset_samples(self->dataset);
    size_t scratch = pd_view_scratch(self->input.height, self->input.width);
#pragma omp parallel for num_threads(self->options->threads) schedule(dynamic)
    for (int i = 0; i < self->step.samples; i++) {
        const pd_pick *pick = &self->picks[i];
        pd_view view =
            pd_augment_draw(&self->job->augment, self->job->seed, epoch, pick->id, pick->repeat);
        pd_view_render(&view, &self->input, self->pixels[i],
                       self->step.x + (size_t)i * self->step.sample_floats,
                       self->scratch + (size_t)omp_get_thread_num() * scratch);
        int class = self->step.task->class_of(&samples[pick->id]);
        self->step.labels[i] = class;
        self->step.targets[i] = (float)class;
        self->step.weights[i] = self->class_weight[class];
    }
    if (self->job->augment.mixup > 0)
        mix_batch(self);
cleanup:
    return status;
}

/* Says that `what` is not finite in or after (`when`) a step of this epoch (from 0), and in which
 * layer the ranks' networks, watched while they did it again, first saw such a value. Collective.
 */
static pd_status fail_not_finite(const pd_run *self, const char *when, int64_t step,
                                 const char *what)
{
    double layer;
    bool in_gradient;
    /* Over the ranks: the first layer whose output was bad, else the last whose gradient was. */
    int layers = pd_network_layer_count(self->step.network);
    int found = pd_network_not_finite(self->step.network, &in_gradient);
    double rank_says = found < 0 ? -1 : in_gradient ? found : 2 * layers - found;
    pd_status status = pd_comm_max(self->comm, rank_says, &layer);
    if (status != PD_OK)
        return status;
    char where[128] = "in the sum over the batch";
    if (layer >= 0) {
        int index = layer > layers ? 2 * layers - (int)layer : (int)layer;
        snprintf(where, sizeof where, "first in the %s of layer '%s'",
                 layer > layers ? "output" : "weight gradient",
                 pd_network_layer(self->step.network, index)->name);
    }
    bool saved = pd_file_exists(self->last_path);
    return pd_fail("epoch %lld, %s %lld of %lld: %s is not finite, %s; lower "
                   "train.learning_rate or set train.clip_norm%s%s",
                   (long long)self->checkpoint.state.epoch + 1, when, (long long)step + 1,
                   (long long)pd_lanes_epoch_steps(self->lanes), what, where,
                   saved ? "; the last good checkpoint is " : "", saved ? self->last_path : "");
}

/* The step that has just failed, run again to find where the first value that is not finite arose.
 * The weights have not changed since. */
static pd_status explain_not_finite(pd_run *self)
{
    double loss;
    const float *gradient;
    pd_network_watch(self->step.network, true);
    pd_status status = pd_step_gradient(&self->step, self->checkpoint.state.step, &loss, &gradient);
    if (status != PD_OK)
        return status;
    return fail_not_finite(self, "step", self->checkpoint.state.epoch_step,
                           "the loss or its gradient");
}

/* One optimisation step. Collective; all ranks return the same status. */
static pd_status take_step(pd_run *self)
{
    double loss, norm;
    pd_comm_set_position(self->comm, "epoch %lld, step %lld",
                         (long long)self->checkpoint.state.epoch + 1,
                         (long long)self->checkpoint.state.epoch_step + 1);
    double rate = self->checkpoint.state.learning_scale *
                  pd_schedule_rate(&self->job->schedule, self->checkpoint.state.step,
                                   pd_lanes_epoch_steps(self->lanes));
    pd_status status = load_batch(self);
    if (status != PD_OK)
        return pd_step_fail_alone(&self->step, status);
    status = pd_step_take(&self->step, self->checkpoint.state.step, rate, &loss, &norm);
    if (status != PD_OK)
        return status;
    if (!isfinite(loss) || !isfinite(norm))
        return explain_not_finite(self);
    self->checkpoint.state.step++;
    self->checkpoint.state.epoch_step++;
    self->checkpoint.state.epoch_loss_sum += loss;
    self->checkpoint.state.epoch_norm_sum += norm;
    self->images_seen += self->job->sampling.batch;
    if (self->job->audit_steps > 0 && self->checkpoint.state.step % self->job->audit_steps == 0)
        status = pd_audit(&self->step, self->checkpoint.state.epoch, self->checkpoint.state.step);
    return status;
}

/* --- The end of an epoch --- */

static const pd_scoring clean_scoring = {.label = "validating", .change = PD_CHANGE_NONE};

/* Scores the validation fold with the weights to be saved. Collective. */
static pd_status score(pd_run *self, const pd_scoring *scoring, pd_score **scores, size_t *count)
{
    pd_optimizer_swap_average(self->step.optimizer);
    pd_status status = pd_scorer_run(self->scorer, self->step.network, scoring, scores, count);
    pd_optimizer_swap_average(self->step.optimizer);
    return status;
}

/* Weights that overflow in the last step of an epoch are first seen here, and must not be saved
 * over good ones. Collective. */
static pd_status check_finite(pd_run *self, const pd_score *scores, size_t count)
{
    pd_status status = PD_OK;
    pd_score *again = NULL;
    uint32_t own = 0, any = 0;
    for (size_t i = 0; i < count; i++)
        own |= !isfinite(scores[i].probability) || !isfinite(scores[i].loss);
    PD_TRY(pd_comm_bitwise_or(self->comm, own, &any));
    if (any == 0)
        goto cleanup;
    pd_network_watch(self->step.network, true);
    PD_TRY(score(self, &clean_scoring, &again, &count));
    status = fail_not_finite(self, "after step", self->checkpoint.state.epoch_step - 1,
                             "the validation loss");
cleanup:
    free(again);
    return status;
}

/* Scores the validation fold under dealt acquisition changes, if the job decides by them.
 * Collective. */
static pd_status score_changed(pd_run *self, pd_validation_scores *out)
{
    pd_status status = PD_OK;
    pd_score *scores = NULL;
    size_t count;
    if (self->job->monitor != PD_MONITOR_STRESS && self->job->threshold_on != PD_THRESHOLD_STRESS)
        return PD_OK;
    PD_TRY(pd_comm_agree(self->comm,
                         pd_alloc(&out->changed, (size_t)self->job->stress_rounds * out->count,
                                  sizeof *out->changed)));
    for (; out->rounds < self->job->stress_rounds; out->rounds++) {
        const pd_scoring scoring = {.label = "validating on changed images",
                                    .change = PD_CHANGE_DEALT,
                                    .round = out->rounds};
        free(scores);
        PD_TRY(score(self, &scoring, &scores, &count));
        if (count > out->count)
            status = pd_fail("%zu scores of %zu validation images", count, out->count);
        else if (count > 0) /* rank 0 */
            memcpy(out->changed + out->changed_count, scores, count * sizeof *scores);
        PD_TRY(pd_comm_agree(self->comm, status));
        out->changed_count += count;
    }
cleanup:
    free(scores);
    return status;
}

static pd_status validate(pd_run *self, pd_validation *out)
{
    pd_status status = PD_OK;
    pd_validation_scores scores = {0};
    memset(out, 0, sizeof *out);
    scores.ids = pd_scorer_ids(self->scorer, &scores.count);
    PD_TRY(score(self, &clean_scoring, &scores.clean, &scores.clean_count));
    PD_TRY(check_finite(self, scores.clean, scores.clean_count));
    PD_TRY(score_changed(self, &scores));
    if (pd_comm_rank(self->comm) == 0)
        status = pd_validation_compute(self->job, &scores, out);
    PD_TRY(pd_comm_agree(self->comm, status));
    PD_TRY(pd_comm_broadcast(self->comm, out, sizeof *out, 0));
cleanup:
    free(scores.clean);
    free(scores.changed);
    return status;
}

/* The figure that decides on the best epoch; larger is better. */
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

/* Best so far, plateau, patience. Returns whether this epoch is the best so far. */
static bool decide(pd_run *self, const pd_validation *validation)
{
    const pd_job *job = self->job;
    pd_train_state *state = &self->checkpoint.state;
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
        pd_log_info("no gain in %d epochs: learning rate cut to %g of the schedule's",
                    job->plateau_epochs, state->learning_scale);
    }
    if (job->patience > 0 && --state->patience_left == 0) {
        state->finished = true;
        pd_log_info("no gain in %d epochs: stopping early", job->patience);
    }
    return false;
}

static void log_epoch(const pd_run *self, const pd_history_row *row,
                      const pd_validation *validation, bool best, double seconds)
{
    char time[32], changed[32] = "";
    pd_clock_format(time, sizeof time, seconds);
    if (!isnan(validation->stress_auc))
        snprintf(changed, sizeof changed, "  changed %.4f", validation->stress_auc);
    pd_log_info(
        "epoch %3d/%d  loss %.4f  val loss %.4f  AUC %.4f%s  sensitivity %5.1f %%  specificity "
        "%5.1f %%  %s%s",
        row->epoch, self->job->schedule.epochs, row->train_loss, row->val_loss, row->val_auc,
        changed, 100 * row->val_sensitivity, 100 * row->val_specificity, time,
        best ? "  best" : "");
    if (validation->remark[0] != '\0' && pd_comm_rank(self->comm) == 0)
        pd_log_warn("after epoch %d the model %s", row->epoch, validation->remark);
}

/* Validates, decides, saves. Collective. */
static pd_status end_epoch(pd_run *self, double seconds)
{
    pd_train_state *state = &self->checkpoint.state;
    double steps = (double)state->epoch_step;
    double rate = state->learning_scale * pd_schedule_rate(&self->job->schedule, state->step - 1,
                                                           pd_lanes_epoch_steps(self->lanes));
    pd_validation validation;
    pd_comm_set_position(self->comm, "epoch %lld, validation", (long long)state->epoch + 1);
    pd_status status = validate(self, &validation);
    if (status != PD_OK)
        return status;
    state->epoch++;
    pd_history_row *row = &self->history[state->history_count++];
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
    self->checkpoint.has_decision = true;
    self->checkpoint.decision = validation.decision;
    bool best = decide(self, &validation);
    if (state->epoch == self->job->schedule.epochs)
        state->finished = true;
    log_epoch(self, row, &validation, best, seconds);
    return pd_run_save(self, best);
}

/* What all ranks do after this step: the or of what any of them wants. */
static pd_status agree_on_flags(pd_run *self, uint32_t *flags)
{
    uint32_t own = 0;
    double minutes = self->job->checkpoint_minutes;
    if (pd_stop_requested())
        own |= FLAG_STOP;
    if (pd_comm_rank(self->comm) == 0 && minutes > 0 &&
        pd_clock_now() - self->saved_at > 60 * minutes)
        own |= FLAG_SAVE;
    return pd_comm_bitwise_or(self->comm, own, flags);
}

static pd_status train_epoch(pd_run *self)
{
    pd_status status = PD_OK;
    int64_t steps = pd_lanes_epoch_steps(self->lanes);
    double started = pd_clock_now();
    char label[48], note[64];
    pd_progress progress;
    snprintf(label, sizeof label, "epoch %lld/%d", (long long)self->checkpoint.state.epoch + 1,
             self->job->schedule.epochs);
    uint32_t flags = 0;
    pd_progress_begin(&progress, label, (uint64_t)self->checkpoint.state.epoch_step,
                      (uint64_t)steps);
    while (self->checkpoint.state.epoch_step < steps) {
        PD_TRY(take_step(self));
        snprintf(note, sizeof note, "loss %.4f",
                 self->checkpoint.state.epoch_loss_sum / (double)self->checkpoint.state.epoch_step);
        pd_progress_update(&progress, (uint64_t)self->checkpoint.state.epoch_step, note);
        PD_TRY(agree_on_flags(self, &flags));
        /* The end of the epoch saves anyway. */
        if (flags != 0 && self->checkpoint.state.epoch_step < steps) {
            PD_TRY(pd_run_save(self, false));
            if (flags & FLAG_STOP) {
                pd_progress_end(&progress);
                return PD_STOPPED;
            }
        }
    }
    pd_progress_end(&progress);
    PD_TRY(end_epoch(self, pd_clock_now() - started));
    if ((flags & FLAG_STOP) && !self->checkpoint.state.finished)
        status = PD_STOPPED;
cleanup:
    return status;
}

static void announce(const pd_run *self)
{
    const pd_dataset_info *info = pd_dataset_get_info(self->dataset);
    size_t parameters;
    pd_network_weights(self->step.network, &parameters);
    pd_log_info(
        "%s: model %s, %zu parameters, input %dx%dx%d; %lld train and %lld validation images of "
        "%s",
        self->job->name, self->job->model.name, parameters, self->input.size, self->input.size,
        self->input.channels,
        (long long)(info->counts[PD_TRAIN][PD_NORMAL] + info->counts[PD_TRAIN][PD_PNEUMONIA]),
        (long long)(info->counts[PD_VAL][PD_NORMAL] + info->counts[PD_VAL][PD_PNEUMONIA]),
        self->job->file);
    pd_log_info(
        "batch %d in %d lanes over %d rank%s of %d thread%s; %d epochs of %lld steps; writing to "
        "%s",
        self->job->sampling.batch, self->job->sampling.lanes, pd_comm_size(self->comm),
        pd_comm_size(self->comm) == 1 ? "" : "s", self->options->threads,
        self->options->threads == 1 ? "" : "s", self->job->schedule.epochs,
        (long long)pd_lanes_epoch_steps(self->lanes), self->options->folder);
    if (pd_comm_rank(self->comm) == 0 &&
        (info->counts[PD_TEST][PD_NORMAL] == 0 || info->counts[PD_TEST][PD_PNEUMONIA] == 0))
        pd_log_warn(
            "%s: the test fold has %lld normal and %lld pneumonia images, so specificity or "
            "sensitivity will not be known",
            self->job->file, (long long)info->counts[PD_TEST][PD_NORMAL],
            (long long)info->counts[PD_TEST][PD_PNEUMONIA]);
    pd_log_info("%s", self->images_note);
    if (self->checkpoint.state.step > 0)
        pd_log_info("resuming after epoch %lld, step %lld", (long long)self->checkpoint.state.epoch,
                    (long long)self->checkpoint.state.step);
}

pd_status pd_train(const pd_train_options *options, pd_train_result *result)
{
    pd_status status = PD_OK;
    pd_run run;
    size_t parameters;
    memset(result, 0, sizeof *result);
    pd_comm_set_watchdog(options->comm, options->job->watchdog_seconds, pd_stop_requested);
    pd_comm_set_position(options->comm, "reading the data set");
    PD_TRY(pd_run_set_up(&run, options));
    announce(&run);
    int64_t first_epoch = run.checkpoint.state.epoch;
    while (!run.checkpoint.state.finished && status == PD_OK)
        status = train_epoch(&run);
    result->epochs_here = run.checkpoint.state.epoch - first_epoch;
    pd_network_weights(run.step.network, &parameters);
    result->epochs = run.checkpoint.state.epoch;
    result->best_epoch = run.checkpoint.state.best_epoch;
    result->parameters = (int64_t)parameters;
    result->seconds = run.seconds;
    result->images_per_second =
        run.images_seen == 0 ? (double)NAN : (double)run.images_seen / run.seconds;
cleanup:
    pd_run_tear_down(&run);
    return status;
}
