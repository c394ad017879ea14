#include "pneumo/train/train.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/data/images.h"
#include "pneumo/data/lanes.h"
#include "pneumo/io/file.h"
#include "pneumo/nn/loss.h"
#include "pneumo/train/optimizer.h"
#include "pneumo/train/schedule.h"
#include "pneumo/train/setup.h"
#include "pneumo/train/snapshot.h"
#include "pneumo/train/stop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLAG_STOP = 1, FLAG_SAVE = 2 };

/* A run on this rank. */
typedef struct run {
    const pd_train_options *options;
    const pd_job *job;
    pd_comm *comm;
    char *job_text;
    char *last_path, *best_path, *history_path;

    pd_dataset *dataset;
    pd_network *network;
    pd_optimizer *optimizer;
    pd_reduction *reduction;
    pd_scorer *scorer;
    pd_lanes *lanes;
    pd_images *images;

    int classes, lane_samples;
    int samples; /* held by this rank in one step */
    pd_input input;
    pd_augment augment;
    float class_weight[PD_CLASSES_MAX];
    pd_pick *picks;           /* [samples] */
    float *x;                 /* [samples][size][size][channels] */
    float *targets, *weights; /* [samples] */
    int32_t *labels;          /* [samples] */
    float *dlogits;           /* [samples][outputs] */
    double *lane_losses;      /* [lanes held here] */

    /* Counters, decisions and history: what a checkpoint keeps besides arrays. */
    pd_checkpoint state;
    pd_history_row *history;
    double saved_at;     /* clock of the last checkpoint */
    int64_t steps_taken; /* in this process */
} run;

pd_status pd_train_path(char **out, const char *folder, const char *name)
{
    return pd_format(out, "%s/%s", folder, name);
}

/* --- Setting up --- */

/* The ids and classes of the train fold's usable samples. */
static pd_status train_samples(const run *self, int64_t **ids, int32_t **labels, size_t *count)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(self->dataset);
    const pd_sample *samples = pd_dataset_samples(self->dataset);
    *count = 0;
    PD_TRY(pd_alloc(ids, (size_t)info->count, sizeof **ids));
    PD_TRY(pd_alloc(labels, (size_t)info->count, sizeof **labels));
    for (int64_t i = 0; i < info->count; i++) {
        int class = pd_setup_class(self->job, &samples[i]);
        if (samples[i].fold != PD_TRAIN || class < 0)
            continue;
        (*ids)[*count] = i;
        (*labels)[(*count)++] = class;
    }
cleanup:
    return status;
}

/* Loss weights inverse to the class counts, with mean 1 over the train fold. */
static pd_status weigh_classes(run *self, const int32_t *labels, size_t count)
{
    size_t counts[PD_CLASSES_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        counts[labels[i]]++;
    for (int i = 0; i < self->classes; i++) {
        if (counts[i] == 0)
            return pd_fail("%s: the train fold has no sample of class %d", self->job->file, i);
        self->class_weight[i] =
            self->job->balance == PD_BALANCE_WEIGHTS
                ? (float)((double)count / (double)self->classes / (double)counts[i])
                : 1.0f;
    }
    return PD_OK;
}

/* Cuts the lanes and reads the images of those held here. */
static pd_status set_up_lanes(run *self)
{
    pd_status status = PD_OK;
    const pd_job *job = self->job;
    int64_t *ids = NULL, *own = NULL;
    int32_t *labels = NULL;
    size_t count, own_count = 0;
    PD_TRY(train_samples(self, &ids, &labels, &count));
    PD_TRY(weigh_classes(self, labels, count));
    const pd_lanes_options options = {.lanes = job->lanes,
                                      .lane_samples = self->lane_samples,
                                      .classes = self->classes,
                                      .take_turns = job->balance == PD_BALANCE_OVERSAMPLE,
                                      .epoch_images = job->epoch_images,
                                      .seed = job->seed};
    PD_TRY(pd_lanes_create(&self->lanes, &options, ids, labels, count));
    PD_TRY(pd_alloc(&own, count, sizeof *own));
    for (int i = 0; i < pd_comm_lane_count(self->comm); i++) {
        const int64_t *lane_ids;
        size_t lane_count =
            pd_lanes_samples(self->lanes, pd_comm_first_lane(self->comm) + i, &lane_ids);
        memcpy(own + own_count, lane_ids, lane_count * sizeof *own);
        own_count += lane_count;
    }
    PD_TRY(pd_images_create(&self->images, self->dataset, own, own_count));
cleanup:
    free(ids);
    free(labels);
    free(own);
    return status;
}

static pd_status set_up_network(run *self)
{
    pd_status status = PD_OK;
    const pd_job *job = self->job;
    const pd_dataset_info *info = pd_dataset_get_info(self->dataset);
    const pd_plan plan = {.lanes = pd_comm_lane_count(self->comm),
                          .lane_samples = self->lane_samples,
                          .total_lanes = job->lanes,
                          .threads = self->options->threads};
    PD_TRY(pd_setup_network(&self->network, job, info));
    PD_TRY(pd_network_plan(self->network, &plan, pd_comm_first_lane(self->comm), true));
    pd_network_initialise(self->network, job->seed);
    PD_TRY(pd_optimizer_create(&self->optimizer, job, self->network));

    size_t outputs = pd_shape_size(pd_network_output(self->network));
    size_t samples = (size_t)self->samples;
    size_t floats =
        (size_t)self->input.size * (size_t)self->input.size * (size_t)self->input.channels;
    PD_TRY(pd_alloc(&self->picks, samples, sizeof *self->picks));
    PD_TRY(pd_alloc(&self->x, samples * floats, sizeof *self->x));
    PD_TRY(pd_alloc(&self->targets, samples, sizeof *self->targets));
    PD_TRY(pd_alloc(&self->weights, samples, sizeof *self->weights));
    PD_TRY(pd_alloc(&self->labels, samples, sizeof *self->labels));
    PD_TRY(pd_alloc(&self->dlogits, samples * outputs, sizeof *self->dlogits));
    PD_TRY(pd_alloc(&self->lane_losses, (size_t)plan.lanes, sizeof *self->lane_losses));
cleanup:
    return status;
}

/* Takes over everything that folder/last.h5 holds. */
static pd_status resume(run *self)
{
    pd_status status = PD_OK;
    pd_checkpoint *loaded = NULL;
    const char *digest = pd_dataset_get_info(self->dataset)->digest;
    PD_TRY(pd_checkpoint_load(&loaded, self->last_path));
    if (strcmp(loaded->job, self->job_text) != 0) {
        const char *was = loaded->job, *is = self->job_text;
        size_t line = 0; /* start of the first line that differs */
        for (size_t i = 0; was[i] != '\0' && was[i] == is[i]; i++)
            if (was[i] == '\n')
                line = i + 1;
        status = pd_fail("%s: it was made by another job ('%.*s' there, '%.*s' now): use that job, "
                         "or another folder with --run",
                         self->last_path, (int)strcspn(was + line, "\n"), was + line,
                         (int)strcspn(is + line, "\n"), is + line);
        goto cleanup;
    }
    if (strcmp(loaded->data_digest, digest) != 0) {
        status =
            pd_fail("%s: it was trained on other data (digest %s, but %s has %s): pack the same "
                    "folder in the same way, or use another folder with --run",
                    self->last_path, loaded->data_digest, self->job->file, digest);
        goto cleanup;
    }
    status = pd_snapshot_restore(loaded, self->network, self->optimizer);
    if (status != PD_OK) {
        pd_fail_within(status, "%s", self->last_path);
        goto cleanup;
    }
    if (loaded->history_count > self->job->epochs) {
        status = pd_fail("%s: its history has more epochs than the job", self->last_path);
        goto cleanup;
    }
    memcpy(self->history, loaded->history, (size_t)loaded->history_count * sizeof *self->history);
    /* The scalars are the loaded ones; the arrays stay this run's own. */
    pd_checkpoint own = self->state;
    self->state = *loaded;
    self->state.layer_count = self->state.weight_count = self->state.slot_count = 0;
    self->state.layers = own.layers;
    self->state.weights = own.weights;
    memcpy(self->state.slots, own.slots, sizeof own.slots);
    self->state.history = self->history;
    self->state.job = self->job_text;
    self->state.target_sensitivity = own.target_sensitivity; /* not kept before a decision */
cleanup:
    pd_checkpoint_destroy(&loaded);
    return status;
}

static pd_status set_up_state(run *self)
{
    pd_status status = PD_OK;
    const pd_job *job = self->job;
    PD_TRY(pd_alloc(&self->history, (size_t)job->epochs + 1, sizeof *self->history));
    self->state = (pd_checkpoint){.history = self->history,
                                  .seed = job->seed,
                                  .lanes = job->lanes,
                                  .best_metric = NAN,
                                  .patience_left = job->patience,
                                  .plateau_left = job->plateau_epochs,
                                  .learning_scale = 1.0,
                                  .target_sensitivity = job->target_sensitivity,
                                  .job = self->job_text};
    snprintf(self->state.data_digest, sizeof self->state.data_digest, "%s",
             pd_dataset_get_info(self->dataset)->digest);
    snprintf(self->state.model, sizeof self->state.model, "%s", job->model);
    snprintf(self->state.version, sizeof self->state.version, "%s", PNEUMO_VERSION);
    snprintf(self->state.decision_fold, sizeof self->state.decision_fold, "val");
    if (!pd_file_exists(self->last_path))
        goto cleanup;
    if (!self->options->resume) {
        status = pd_fail("%s holds a run already: go on with it by --resume, or choose another "
                         "folder with --run",
                         self->options->folder);
        goto cleanup;
    }
    PD_TRY(resume(self));
cleanup:
    return status;
}

static pd_status set_up(run *self)
{
    pd_status status = PD_OK;
    const pd_job *job = self->job;
    const pd_augment augment = {.crop_min = job->crop_min,
                                .crop_ratio = job->crop_ratio,
                                .flip = job->flip,
                                .rotate = job->rotate,
                                .translate = job->translate,
                                .brightness = job->brightness,
                                .contrast = job->contrast};
    self->augment = augment;
    self->classes = pd_setup_classes(job);
    self->lane_samples = job->batch / job->lanes;
    self->samples = pd_comm_lane_count(self->comm) * self->lane_samples;
    PD_TRY(pd_job_text(&self->job_text, job));
    PD_TRY(pd_train_path(&self->last_path, self->options->folder, "last.h5"));
    PD_TRY(pd_train_path(&self->best_path, self->options->folder, "best.h5"));
    PD_TRY(pd_train_path(&self->history_path, self->options->folder, "history.csv"));
    PD_TRY(pd_dataset_open(&self->dataset, job->file));
    self->input = pd_setup_input(job, pd_dataset_get_info(self->dataset));
    PD_TRY(set_up_network(self));
    PD_TRY(set_up_state(self));
    if (pd_comm_rank(self->comm) == 0)
        PD_TRY(pd_folder_make(self->options->folder));
    PD_TRY(set_up_lanes(self));
    PD_TRY(pd_scorer_create(&self->scorer, self->comm, job, self->dataset, PD_VAL,
                            self->lane_samples));
cleanup:
    return status;
}

static void tear_down(run *self)
{
    pd_scorer_destroy(&self->scorer);
    pd_images_destroy(&self->images);
    pd_lanes_destroy(&self->lanes);
    pd_reduction_destroy(&self->reduction);
    pd_optimizer_destroy(&self->optimizer);
    pd_network_destroy(&self->network);
    pd_dataset_destroy(&self->dataset);
    free(self->job_text);
    free(self->last_path);
    free(self->best_path);
    free(self->history_path);
    free(self->picks);
    free(self->x);
    free(self->targets);
    free(self->weights);
    free(self->labels);
    free(self->dlogits);
    free(self->lane_losses);
    free(self->history);
}

/* --- One step --- */

/* Renders this rank's part of the batch. */
static pd_status load_batch(run *self)
{
    uint32_t epoch = (uint32_t)self->state.epoch;
    for (int i = 0; i < pd_comm_lane_count(self->comm); i++) {
        pd_status status = pd_lanes_batch(self->lanes, epoch, self->state.epoch_step,
                                          pd_comm_first_lane(self->comm) + i,
                                          self->picks + i * self->lane_samples);
        if (status != PD_OK)
            return status;
    }
    const pd_sample *samples = pd_dataset_samples(self->dataset);
    size_t floats =
        (size_t)self->input.size * (size_t)self->input.size * (size_t)self->input.channels;
#pragma omp parallel for num_threads(self->options->threads) schedule(dynamic)
    for (int i = 0; i < self->samples; i++) {
        const pd_pick *pick = &self->picks[i];
        pd_view view = pd_view_draw(&self->augment, self->job->seed, epoch, pick->id, pick->repeat);
        pd_view_render(&view, &self->input, pd_images_at(self->images, pick->id),
                       self->x + (size_t)i * floats);
        int class = pd_setup_class(self->job, &samples[pick->id]);
        self->labels[i] = class;
        self->targets[i] = (float)class;
        self->weights[i] = self->class_weight[class];
    }
    return PD_OK;
}

static void compute_loss(run *self, const float *logits)
{
    double scale = 1.0 / (double)self->job->batch;
    int lanes = pd_comm_lane_count(self->comm);
    if (self->classes == 2)
        pd_loss_binary(logits, self->targets, self->weights, lanes, self->lane_samples,
                       self->job->label_smoothing, scale, self->dlogits, self->lane_losses);
    else
        pd_loss_softmax(logits, self->labels, self->weights, self->classes, lanes,
                        self->lane_samples, self->job->label_smoothing, scale, self->dlogits,
                        self->lane_losses);
}

static pd_exec training_exec(const run *self)
{
    return (pd_exec){.training = true,
                     .lanes = pd_comm_lane_count(self->comm),
                     .lane_samples = self->lane_samples,
                     .total_lanes = self->job->lanes,
                     .first_sample = (int64_t)pd_comm_first_lane(self->comm) * self->lane_samples,
                     .seed = self->job->seed,
                     .step = (uint32_t)self->state.step,
                     .threads = self->options->threads,
                     .lane_sum = pd_comm_lane_sum,
                     .lane_sum_context = self->comm};
}

/* Loss and gradient of the whole batch, on every rank the same. */
static pd_status compute_gradient(run *self, double *loss, float **gradient)
{
    pd_status status = PD_OK;
    pd_exec exec = training_exec(self);
    const float *logits;
    int subtrees;
    PD_TRY(load_batch(self));
    PD_TRY(pd_network_forward(self->network, &exec, self->x, &logits));
    compute_loss(self, logits);
    *gradient = pd_network_gradient(self->network, &subtrees);
    pd_reduction_begin(self->reduction, *gradient);
    PD_TRY(pd_network_backward(self->network, &exec, self->x, self->dlogits, pd_reduction_ready,
                               self->reduction));
    PD_TRY(pd_reduction_finish(self->reduction));
    PD_TRY(pd_comm_lane_sum(self->comm, self->lane_losses, 1, loss));
cleanup:
    return status;
}

/* The step that has just failed, run again to find where the first value that is not finite arose.
 * The weights have not changed since. */
static pd_status explain_not_finite(run *self)
{
    double loss, layer;
    float *gradient;
    bool in_gradient;
    pd_network_watch(self->network, true);
    pd_status status = compute_gradient(self, &loss, &gradient);
    if (status != PD_OK)
        return status;
    /* Over the ranks: the first layer whose output was bad, else the last whose gradient was. */
    int layers = pd_network_layer_count(self->network);
    int found = pd_network_not_finite(self->network, &in_gradient);
    double rank_says = found < 0 ? -1 : in_gradient ? found : 2 * layers - found;
    status = pd_comm_max(self->comm, rank_says, &layer);
    if (status != PD_OK)
        return status;
    char where[128] = "in the sum over the batch";
    if (layer >= 0) {
        int index = layer > layers ? 2 * layers - (int)layer : (int)layer;
        snprintf(where, sizeof where, "first in the %s of layer '%s'",
                 layer > layers ? "output" : "weight gradient",
                 pd_network_layer(self->network, index)->name);
    }
    bool saved = pd_file_exists(self->last_path);
    return pd_fail("epoch %lld, step %lld: the loss or its gradient is not finite, %s; lower "
                   "train.learning_rate or set train.clip_norm%s%s",
                   (long long)self->state.epoch + 1, (long long)self->state.step, where,
                   saved ? "; the last good checkpoint is " : "", saved ? self->last_path : "");
}

/* One optimisation step. The status is the same on all ranks unless communication failed. */
static pd_status take_step(run *self)
{
    double loss, norm;
    float *gradient;
    pd_status status = compute_gradient(self, &loss, &gradient);
    if (status != PD_OK)
        return status;
    double rate = self->state.learning_scale *
                  pd_schedule_rate(self->job, self->state.step, pd_lanes_epoch_steps(self->lanes));
    if (isfinite(loss))
        pd_optimizer_step(self->optimizer, gradient, rate, self->state.step, &norm);
    if (!isfinite(loss) || !isfinite(norm))
        return explain_not_finite(self);
    self->state.step++;
    self->state.epoch_step++;
    self->state.epoch_loss_sum += loss;
    self->state.epoch_norm_sum += norm;
    self->steps_taken++;
    return PD_OK;
}

/* --- Checkpoints and the end of an epoch --- */

/* history.csv: a row per epoch. */
static pd_status write_history(const run *self)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return pd_fail("out of memory: cannot write %s", self->history_path);
    fprintf(out, "epoch,learning_rate,train_loss,val_loss,val_auc,val_accuracy,val_sensitivity,"
                 "val_specificity,gradient_norm\n");
    for (int i = 0; i < self->state.history_count; i++) {
        const pd_history_row *row = &self->history[i];
        fprintf(out, "%d,%.6g,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6g\n", row->epoch, row->learning_rate,
                row->train_loss, row->val_loss, row->val_auc, row->val_accuracy,
                row->val_sensitivity, row->val_specificity, row->gradient_norm);
    }
    fclose(out);
    pd_status status = pd_file_write(self->history_path, text, size);
    free(text);
    return status;
}

/* Rank 0 writes; all learn how it went. `best` also writes best.h5, first: a kill between the two
 * then leaves a last.h5 that leads to the same best.h5 again. Collective. */
static pd_status save(run *self, bool best)
{
    pd_status status = PD_OK;
    if (pd_comm_rank(self->comm) == 0) {
        pd_optimizer_swap_average(self->optimizer);
        PD_TRY(pd_snapshot_view(&self->state, self->network, self->optimizer));
        if (best)
            PD_TRY(pd_checkpoint_save(self->best_path, &self->state));
        PD_TRY(pd_checkpoint_save(self->last_path, &self->state));
        PD_TRY(write_history(self));
    }
cleanup:
    if (pd_comm_rank(self->comm) == 0) {
        pd_snapshot_release(&self->state);
        pd_optimizer_swap_average(self->optimizer);
    }
    self->saved_at = pd_clock_now();
    return pd_comm_agree(self->comm, status);
}

static pd_status validate(run *self, pd_validation *out)
{
    pd_status status = PD_OK;
    pd_score *scores = NULL;
    size_t count, id_count;
    memset(out, 0, sizeof *out);
    pd_optimizer_swap_average(self->optimizer);
    status = pd_scorer_run(self->scorer, self->network, self->options->threads, "validating",
                           &scores, &count);
    pd_optimizer_swap_average(self->optimizer);
    const int64_t *ids = pd_scorer_ids(self->scorer, &id_count);
    if (status == PD_OK && pd_comm_rank(self->comm) == 0)
        status = self->options->validate(self->job, scores, count, ids, id_count, out);
    PD_TRY(pd_comm_agree(self->comm, status));
    PD_TRY(pd_comm_broadcast(self->comm, out, sizeof *out, 0));
cleanup:
    free(scores);
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
    default:
        return validation->auc;
    }
}

/* Best so far, plateau, patience. Returns whether this epoch is the best so far. */
static bool decide(run *self, const pd_validation *validation)
{
    const pd_job *job = self->job;
    pd_checkpoint *state = &self->state;
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
        pd_info("no gain in %d epochs: learning rate cut to %g of the schedule's",
                job->plateau_epochs, state->learning_scale);
    }
    if (job->patience > 0 && --state->patience_left == 0) {
        state->finished = true;
        pd_info("no gain in %d epochs: stopping early", job->patience);
    }
    return false;
}

static void log_epoch(const run *self, const pd_history_row *row, const pd_validation *validation,
                      bool best, double seconds)
{
    char time[32];
    pd_clock_format(time, sizeof time, seconds);
    pd_info("epoch %3d/%d  loss %.4f  val loss %.4f  AUC %.4f  sensitivity %5.1f %%  specificity "
            "%5.1f %%  %s%s",
            row->epoch, self->job->epochs, row->train_loss, row->val_loss, row->val_auc,
            100 * row->val_sensitivity, 100 * row->val_specificity, time, best ? "  best" : "");
    if (validation->remark[0] != '\0' && pd_comm_rank(self->comm) == 0)
        pd_warn("after epoch %d the model %s", row->epoch, validation->remark);
}

/* Validates, decides, saves. Collective. */
static pd_status end_epoch(run *self, double seconds)
{
    pd_checkpoint *state = &self->state;
    double steps = (double)state->epoch_step;
    double rate = state->learning_scale *
                  pd_schedule_rate(self->job, state->step - 1, pd_lanes_epoch_steps(self->lanes));
    pd_validation validation;
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
                            .gradient_norm = state->epoch_norm_sum / steps};
    state->epoch_step = 0;
    state->epoch_loss_sum = state->epoch_norm_sum = 0;
    state->has_decision = true;
    state->threshold = validation.threshold;
    snprintf(state->decision_rule, sizeof state->decision_rule, "%s", validation.rule);
    bool best = decide(self, &validation);
    if (state->epoch == self->job->epochs)
        state->finished = true;
    log_epoch(self, row, &validation, best, seconds);
    return save(self, best);
}

/* What all ranks do after this step: the or of what any of them wants. */
static pd_status agree_on_flags(run *self, uint32_t *flags)
{
    uint32_t own = 0;
    double minutes = self->job->checkpoint_minutes;
    if (pd_stop_requested())
        own |= FLAG_STOP;
    if (pd_comm_rank(self->comm) == 0 && minutes > 0 &&
        pd_clock_now() - self->saved_at > 60 * minutes)
        own |= FLAG_SAVE;
    return pd_comm_any(self->comm, own, flags);
}

static pd_status train_epoch(run *self)
{
    pd_status status = PD_OK;
    int64_t steps = pd_lanes_epoch_steps(self->lanes);
    double started = pd_clock_now();
    char label[48], note[64];
    pd_progress progress;
    snprintf(label, sizeof label, "epoch %lld/%d", (long long)self->state.epoch + 1,
             self->job->epochs);
    uint32_t flags = 0;
    pd_progress_begin(&progress, label, (uint64_t)self->state.epoch_step, (uint64_t)steps);
    while (self->state.epoch_step < steps) {
        PD_TRY(take_step(self));
        snprintf(note, sizeof note, "loss %.4f",
                 self->state.epoch_loss_sum / (double)self->state.epoch_step);
        pd_progress_update(&progress, (uint64_t)self->state.epoch_step, note);
        PD_TRY(agree_on_flags(self, &flags));
        /* The end of the epoch saves anyway. */
        if (flags != 0 && self->state.epoch_step < steps) {
            PD_TRY(save(self, false));
            if (flags & FLAG_STOP) {
                pd_progress_end(&progress);
                return PD_STOPPED;
            }
        }
    }
    pd_progress_end(&progress);
    PD_TRY(end_epoch(self, pd_clock_now() - started));
    if ((flags & FLAG_STOP) && !self->state.finished)
        status = PD_STOPPED;
cleanup:
    return status;
}

static void announce(const run *self)
{
    const pd_dataset_info *info = pd_dataset_get_info(self->dataset);
    size_t parameters;
    pd_network_weights(self->network, &parameters);
    pd_info(
        "%s: model %s, %zu parameters, input %dx%dx%d; %lld train and %lld validation images of "
        "%s",
        self->job->name, self->job->model, parameters, self->input.size, self->input.size,
        self->input.channels,
        (long long)(info->counts[PD_TRAIN][PD_NORMAL] + info->counts[PD_TRAIN][PD_PNEUMONIA]),
        (long long)(info->counts[PD_VAL][PD_NORMAL] + info->counts[PD_VAL][PD_PNEUMONIA]),
        self->job->file);
    pd_info(
        "batch %d in %d lanes over %d rank%s of %d thread%s; %d epochs of %lld steps; writing to "
        "%s",
        self->job->batch, self->job->lanes, pd_comm_size(self->comm),
        pd_comm_size(self->comm) == 1 ? "" : "s", self->options->threads,
        self->options->threads == 1 ? "" : "s", self->job->epochs,
        (long long)pd_lanes_epoch_steps(self->lanes), self->options->folder);
    if (self->state.step > 0)
        pd_info("resuming after epoch %lld, step %lld", (long long)self->state.epoch,
                (long long)self->state.step);
}

pd_status pd_train(const pd_train_options *options, pd_train_result *result)
{
    pd_status status = PD_OK;
    run self = {.options = options, .job = options->job, .comm = options->comm};
    size_t parameters = 0;
    double started;
    memset(result, 0, sizeof *result);
    PD_TRY(pd_comm_set_lanes(options->comm, options->job->lanes));
    PD_TRY(pd_comm_agree(options->comm, set_up(&self)));
    pd_network_weights(self.network, &parameters);
    PD_TRY(pd_reduction_create(&self.reduction, options->comm,
                               strcmp(options->job->reduction, "mpi") == 0 ? PD_REDUCTION_MPI
                                                                           : PD_REDUCTION_EXACT,
                               parameters, (size_t)options->job->bucket_kib * 256));
    announce(&self);
    started = self.saved_at = pd_clock_now();
    while (!self.state.finished) {
        status = train_epoch(&self);
        if (status != PD_OK)
            break;
    }
    result->epochs = self.state.epoch;
    result->best_epoch = self.state.best_epoch;
    result->parameters = (int64_t)parameters;
    result->seconds = pd_clock_now() - started;
    result->images_per_second =
        self.steps_taken == 0 ? (double)NAN
                              : (double)(self.steps_taken * options->job->batch) / result->seconds;
cleanup:
    tear_down(&self);
    return status;
}
