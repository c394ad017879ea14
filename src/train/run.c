#include "pneumo/train/run.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"
#include "pneumo/train/audit.h"
#include "pneumo/train/footprint.h"
#include "pneumo/train/snapshot.h"
#include "pneumo/train/survey.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_HEADER "seconds,images\n"

/* The ids and classes of the train fold's usable samples. */
static pd_status train_samples(const pd_run *self, int64_t **ids, int32_t **labels, size_t *count)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(self->dataset);
    const pd_sample *samples = pd_dataset_samples(self->dataset);
    *count = 0;
    PD_TRY(pd_alloc(ids, (size_t)info->count, sizeof **ids));
    PD_TRY(pd_alloc(labels, (size_t)info->count, sizeof **labels));
    for (int64_t i = 0; i < info->count; i++) {
        int class = self->step.task->class_of(&samples[i]);
        if (samples[i].fold != PD_TRAIN || class < 0)
            continue;
        (*ids)[*count] = i;
        (*labels)[(*count)++] = class;
    }
cleanup:
    return status;
}

/* Loss weights inverse to the class counts, with mean 1 over the train fold. */
static pd_status weigh_classes(pd_run *self, const int32_t *labels, size_t count)
{
    const pd_task *task = self->step.task;
    size_t counts[PD_CLASSES_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        counts[labels[i]]++;
    for (int i = 0; i < task->classes; i++) {
        if (counts[i] == 0)
            return pd_fail("%s: the train fold has no image of the class %s: pack the images again "
                           "with other --folds",
                           self->job->file, task->class_names[i]);
        self->class_weight[i] =
            self->job->sampling.balance == PD_BALANCE_WEIGHTS
                ? (float)((double)count / (double)task->classes / (double)counts[i])
                : 1.0f;
    }
    return PD_OK;
}

static pd_status set_up_lanes(pd_run *self)
{
    pd_status status = PD_OK;
    const pd_job *job = self->job;
    int64_t *ids = NULL;
    int32_t *labels = NULL;
    size_t count;
    PD_TRY(train_samples(self, &ids, &labels, &count));
    PD_TRY(weigh_classes(self, labels, count));
    PD_TRY(pd_lanes_create(&self->lanes, &job->sampling, job->seed, self->step.task->classes, ids,
                           labels, count));
cleanup:
    free(ids);
    free(labels);
    return status;
}

/* Reads the images of the lanes held here, or makes ready to. */
static pd_status set_up_images(pd_run *self)
{
    pd_status status = PD_OK;
    int64_t *ids = NULL;
    size_t count = 0;
    PD_TRY(pd_alloc(&ids, (size_t)pd_dataset_get_info(self->dataset)->count, sizeof *ids));
    for (int i = 0; i < pd_comm_lane_count(self->comm); i++) {
        const int64_t *lane_ids;
        size_t lane_count =
            pd_lanes_samples(self->lanes, pd_comm_first_lane(self->comm) + i, &lane_ids);
        memcpy(ids + count, lane_ids, lane_count * sizeof *ids);
        count += lane_count;
    }
    PD_TRY(pd_images_create(&self->images, self->dataset, ids, count, !self->stream,
                            (size_t)self->step.samples));
cleanup:
    free(ids);
    return status;
}

/* No threshold can be chosen without both classes: better known now than after the first epoch. */
static pd_status check_validation_fold(const pd_run *self)
{
    const pd_sample *samples = pd_dataset_samples(self->dataset);
    long long images[PD_LABELS] = {0};
    size_t count;
    const int64_t *ids = pd_scorer_ids(self->scorer, &count);
    for (size_t i = 0; i < count; i++)
        images[samples[ids[i]].label]++;
    if (images[PD_NORMAL] > 0 && images[PD_PNEUMONIA] > 0)
        return PD_OK;
    return pd_fail(
        "%s: the validation fold has %lld normal and %lld pneumonia images, but to choose "
        "a threshold takes both: pack the images again with other --folds",
        self->job->file, images[PD_NORMAL], images[PD_PNEUMONIA]);
}

/* Where the first line begins in which two texts differ. */
static size_t differing_line(const char *a, const char *b)
{
    size_t line = 0;
    for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++)
        if (a[i] == '\n')
            line = i + 1;
    return line;
}

/* Whether a run of this job can have been saved with these counters. */
static bool counters_fit(const pd_run *self, const pd_checkpoint *loaded)
{
    int64_t steps = pd_lanes_epoch_steps(self->lanes);
    int64_t last = self->job->schedule.epochs - (loaded->state.finished ? 0 : 1);
    return loaded->state.epoch <= last && loaded->state.epoch == loaded->state.history_count &&
           loaded->state.epoch_step < steps &&
           loaded->state.step == loaded->state.epoch * steps + loaded->state.epoch_step;
}

/* Whether the folder holds a run. last.h5 alone may be missing; see pd_file_replace. */
static bool holds_run(const pd_run *self)
{
    return pd_file_exists(self->last_path) || pd_file_exists(self->previous_path);
}

/* Loads last.h5 or, where any rank cannot read it, previous.h5 on all ranks; *path says which.
 * Collective. */
static pd_status load_checkpoint(pd_run *self, pd_checkpoint **out, const char **path)
{
    char why[1024];
    uint32_t any_previous;
    *path = self->last_path;
    pd_status status = pd_comm_agree(self->comm, pd_checkpoint_load(out, *path));
    if (status == PD_OK)
        return PD_OK;
    snprintf(why, sizeof why, "%s", pd_error_message());
    pd_checkpoint_destroy(out);
    PD_TRY(pd_comm_bitwise_or(self->comm, pd_file_exists(self->previous_path), &any_previous));
    if (any_previous) {
        *path = self->previous_path;
        status = pd_comm_agree(self->comm, pd_checkpoint_load(out, *path));
        if (status == PD_OK) {
            self->last_unreadable = true;
            if (pd_comm_rank(self->comm) == 0)
                pd_log_warn("%s: going on from the checkpoint before, %s", why, *path);
            return PD_OK;
        }
        pd_fail("%s; the checkpoint before is no better: %s", why, pd_error_message());
    } else {
        status = pd_fail("%s", why);
    }
    if (pd_file_exists(self->best_path))
        pd_fail("%s; or copy %s over %s, to go on from the best epoch", pd_error_message(),
                self->best_path, self->last_path);
cleanup:
    return status;
}

/* Takes over everything that the checkpoint at `path` holds. */
static pd_status take_over(pd_run *self, const pd_checkpoint *loaded, const char *path)
{
    const char *digest = pd_dataset_get_info(self->dataset)->digest;
    if (strcmp(loaded->job, self->job_text) != 0) {
        size_t line = differing_line(loaded->job, self->job_text);
        const char *was = loaded->job + line, *is = self->job_text + line;
        return pd_fail("%s: it was made by another job ('%.*s' there, '%.*s' now): use that job, "
                       "or another folder with --run",
                       path, (int)strcspn(was, "\n"), was, (int)strcspn(is, "\n"), is);
    }
    if (strcmp(loaded->data_digest, digest) != 0)
        return pd_fail("%s: it was trained on other data (digest %s, but %s has %s): pack the same "
                       "folder in the same way, or use another folder with --run",
                       path, loaded->data_digest, self->job->file, digest);
    pd_status status = pd_snapshot_restore(loaded, self->step.network, self->step.optimizer);
    if (status != PD_OK)
        return pd_error_prefix(status, "%s", path);
    if (!counters_fit(self, loaded))
        return pd_fail("%s: its epoch and steps do not fit the job: use another folder with --run",
                       path);
    memcpy(self->history, loaded->state.history,
           (size_t)loaded->state.history_count * sizeof *self->history);
    /* The scalars are the loaded ones; the arrays and the version stay this run's own. */
    pd_checkpoint own = self->checkpoint;
    self->checkpoint = *loaded;
    self->checkpoint.arrays = own.arrays;
    self->checkpoint.state.history = self->history;
    self->checkpoint.job = self->job_text;
    memcpy(self->checkpoint.version, own.version, sizeof own.version);
    self->checkpoint.test_looks = 0;               /* at the weights to come */
    self->checkpoint.site = (pd_site){.count = 0}; /* the next validation decides anew */
    return PD_OK;
}

/* Takes the time of the processes before from time.csv. */
static void read_time(pd_run *self)
{
    unsigned char *text = NULL;
    size_t size;
    double seconds;
    long long images;
    pd_status status = pd_file_read(&text, &size, self->time_path, 4096);
    if (status == PD_OK && (sscanf((char *)text, TIME_HEADER "%lf,%lld", &seconds, &images) != 2 ||
                            !(seconds > 0 && isfinite(seconds)) || images < 1))
        status = pd_fail("%s: is damaged", self->time_path);
    if (status == PD_OK) {
        self->seconds = seconds;
        self->images_seen = images;
    } else {
        pd_log_warn("%s: how long training took before is not known", pd_error_message());
    }
    free(text);
}

/* Goes on with the run that the folder holds, if there is one. Collective. */
static pd_status resume(pd_run *self)
{
    pd_status status = PD_OK;
    pd_checkpoint *loaded = NULL;
    const char *path;
    uint32_t any;
    PD_TRY(pd_comm_bitwise_or(self->comm, holds_run(self), &any));
    if (!any)
        goto cleanup;
    PD_TRY(load_checkpoint(self, &loaded, &path));
    PD_TRY(pd_comm_agree(self->comm, take_over(self, loaded, path)));
    if (pd_comm_rank(self->comm) == 0)
        read_time(self);
cleanup:
    pd_checkpoint_destroy(&loaded);
    return status;
}

static pd_status set_up_state(pd_run *self)
{
    pd_status status = PD_OK;
    const pd_job *job = self->job;
    PD_TRY(pd_alloc(&self->history, (size_t)job->schedule.epochs, sizeof *self->history));
    self->checkpoint = (pd_checkpoint){.state.history = self->history,
                                       .state.seed = job->seed,
                                       .state.lanes = job->sampling.lanes,
                                       .state.best_metric = NAN,
                                       .state.patience_left = job->patience,
                                       .state.plateau_left = job->plateau_epochs,
                                       .pixel_mean = (double)self->input.mean,
                                       .pixel_deviation = (double)self->input.deviation,
                                       .image_height = self->input.height,
                                       .image_width = self->input.width,
                                       .state.learning_scale = 1.0,
                                       .job = self->job_text};
    snprintf(self->checkpoint.data_digest, sizeof self->checkpoint.data_digest, "%s",
             pd_dataset_get_info(self->dataset)->digest);
    snprintf(self->checkpoint.job_name, sizeof self->checkpoint.job_name, "%s", job->name);
    snprintf(self->checkpoint.model, sizeof self->checkpoint.model, "%s", job->model.name);
    snprintf(self->checkpoint.version, sizeof self->checkpoint.version, "%s", PNEUMO_VERSION);
    if (!self->options->resume && holds_run(self))
        status = pd_fail("%s holds a run already: go on with it by --resume, or choose another "
                         "folder with --run",
                         self->options->folder);
cleanup:
    return status;
}

/* Decides whether images are streamed, alike for all ranks, and notes why. Asked when every rank
 * has the memory that training takes, but its images. Collective. */
static pd_status place_images(pd_run *self)
{
    const pd_dataset_info *info = pd_dataset_get_info(self->dataset);
    double bytes = pd_footprint_image_bytes(self->comm, self->job, info);
    double percent = 0;
    char why[96];
    pd_status status =
        pd_comm_max(self->comm, pd_footprint_image_percent(self->comm, bytes), &percent);
    if (status != PD_OK)
        return status;
    self->stream = pd_footprint_streams(self->job, percent);
    if (self->job->images == PD_IMAGES_AUTO)
        snprintf(why, sizeof why, "%.0f %% of a rank's share of the free memory, %s than %d %%",
                 percent, self->stream ? "more" : "not more", PD_IMAGES_PERCENT);
    else
        snprintf(why, sizeof why, "as run.images says");
    snprintf(self->images_note, sizeof self->images_note, "%.1f MiB of images per rank %s: %s",
             bytes / (1 << 20), self->stream ? "streamed from the file" : "held in memory", why);
    return PD_OK;
}

/* What this rank can do without the others, once there are a data set and a network. */
static pd_status set_up_alone(pd_run *self)
{
    pd_status status = PD_OK;
    const pd_job *job = self->job;
    PD_TRY(pd_job_text(&self->job_text, job));
    PD_TRY(pd_train_path(&self->last_path, self->options->folder, "last.h5"));
    PD_TRY(pd_train_path(&self->previous_path, self->options->folder, "previous.h5"));
    PD_TRY(pd_train_path(&self->best_path, self->options->folder, "best.h5"));
    PD_TRY(pd_train_path(&self->history_path, self->options->folder, "history.csv"));
    PD_TRY(pd_train_path(&self->time_path, self->options->folder, "time.csv"));
    self->input = pd_setup_input(job, pd_dataset_get_info(self->dataset));
    PD_TRY(pd_alloc(&self->picks, (size_t)self->step.samples, sizeof *self->picks));
    PD_TRY(pd_alloc(&self->ids, (size_t)self->step.samples, sizeof *self->ids));
    PD_TRY(pd_alloc(&self->pixels, (size_t)self->step.samples, sizeof *self->pixels));
    PD_TRY(
        pd_alloc(&self->scratch, (size_t)self->options->threads,
                 pd_view_scratch(self->input.height, self->input.width) * sizeof *self->scratch));
    PD_TRY(pd_alloc(&self->pairs, (size_t)self->step.lane_samples, sizeof *self->pairs));
    PD_TRY(pd_alloc(&self->order, (size_t)self->step.lane_samples, sizeof *self->order));
    PD_TRY(set_up_lanes(self));
    PD_TRY(set_up_state(self));
    const pd_scorer_options scorer = {.job = job,
                                      .input = self->input,
                                      .dataset = self->dataset,
                                      .fold = PD_VAL,
                                      .chunk = self->step.lane_samples,
                                      .views = pd_views_count(job->decision.views),
                                      .threads = self->options->threads,
                                      .hold = !self->stream};
    PD_TRY(pd_scorer_create(&self->scorer, self->comm, &scorer));
    PD_TRY(check_validation_fold(self));
    PD_TRY(set_up_images(self));
    if (pd_comm_rank(self->comm) == 0)
        PD_TRY(pd_folder_make(self->options->folder));
cleanup:
    return status;
}

/* Every rank reads its files for itself. With different jobs or data sets, or a checkpoint that
 * only some of them see, ranks would hang or train nonsense without a word. Collective. */
static pd_status check_alike(const pd_run *self)
{
    pd_status status = PD_OK;
    char *own = NULL, *root = NULL;
    PD_TRY(pd_comm_agree(self->comm, pd_format(&own, "%s\ndata %s\nstep %lld", self->job_text,
                                               self->checkpoint.data_digest,
                                               (long long)self->checkpoint.state.step)));
    PD_TRY(pd_comm_broadcast_text(self->comm, &root, own, 0));
    if (strcmp(own, root) != 0) {
        size_t line = differing_line(own, root);
        status = pd_fail("it starts with '%.*s' but rank 0 with '%.*s': every rank needs the same "
                         "job, data set and %s",
                         (int)strcspn(own + line, "\n"), own + line,
                         (int)strcspn(root + line, "\n"), root + line, self->last_path);
    }
    status = pd_comm_agree(self->comm, status);
cleanup:
    free(own);
    free(root);
    return status;
}

/* Describes the train fold for the checkpoints that rank 0 writes, unless it goes on from one that
 * has a profile: the same data give the same. Collective. */
static pd_status describe(pd_run *self)
{
    pd_status status = PD_OK;
    bool known = self->checkpoint.has_profile;
    PD_TRY(pd_comm_broadcast(self->comm, &known, sizeof known, 0));
    if (known)
        goto cleanup;
    PD_TRY(pd_survey(&self->checkpoint.profile, self->comm, self->dataset, self->lanes,
                     self->images, (size_t)self->step.samples, self->step.threads));
    self->checkpoint.has_profile = true;
cleanup:
    return status;
}

pd_status pd_run_set_up(pd_run *self, const pd_train_options *options)
{
    pd_status status = PD_OK;
    const pd_job *job = options->job;
    *self = (pd_run){.options = options, .job = job, .comm = options->comm};
    PD_TRY(pd_comm_agree(self->comm, pd_setup_dataset(&self->dataset, job)));
    PD_TRY(pd_step_set_up(&self->step, self->comm, job, pd_dataset_get_info(self->dataset),
                          options->threads));
    PD_TRY(place_images(self));
    PD_TRY(pd_comm_agree(self->comm, set_up_alone(self)));
    PD_TRY(resume(self));
    PD_TRY(check_alike(self));
    PD_TRY(describe(self));
    self->saved_at = self->counted_at = pd_clock_now();
cleanup:
    return status;
}

void pd_run_tear_down(pd_run *self)
{
    pd_scorer_destroy(&self->scorer);
    pd_images_destroy(&self->images);
    pd_lanes_destroy(&self->lanes);
    pd_step_tear_down(&self->step);
    pd_dataset_destroy(&self->dataset);
    free(self->job_text);
    free(self->last_path);
    free(self->previous_path);
    free(self->best_path);
    free(self->history_path);
    free(self->time_path);
    free(self->picks);
    free(self->ids);
    free(self->pixels);
    free(self->scratch);
    free(self->pairs);
    free(self->order);
    free(self->history);
}

/* history.csv: a row per epoch. */
static pd_status write_history(const pd_run *self)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return pd_fail("out of memory: cannot write %s", self->history_path);
    fprintf(out, "epoch,learning_rate,train_loss,val_loss,val_auc,val_accuracy,val_sensitivity,"
                 "val_specificity,gradient_norm,val_stress_auc\n");
    for (int i = 0; i < self->checkpoint.state.history_count; i++) {
        const pd_history_row *row = &self->history[i];
        fprintf(out, "%d,%.6g,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6g,%.6f\n", row->epoch,
                row->learning_rate, row->train_loss, row->val_loss, row->val_auc, row->val_accuracy,
                row->val_sensitivity, row->val_specificity, row->gradient_norm,
                row->val_stress_auc);
    }
    fclose(out);
    pd_status status = pd_file_write(self->history_path, text, size);
    free(text);
    return status;
}

/* time.csv: how long training took, and of how many images, redone ones included. It is not in the
 * checkpoints, which have the same bytes however often a run was broken off. */
static pd_status write_time(pd_run *self)
{
    char text[128], number[PD_TEXT_NUMBER];
    pd_clock_lap(&self->counted_at, &self->seconds);
    int size = snprintf(text, sizeof text, TIME_HEADER "%s,%lld\n",
                        pd_text_number(number, self->seconds), (long long)self->images_seen);
    return pd_file_write(self->time_path, text, (size_t)size);
}

/* A step with a finite gradient can still make weights overflow, which the next step would tell. */
static pd_status check_weights(const pd_run *self)
{
    size_t count;
    const float *weights = pd_network_weights(self->step.network, &count);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(weights[i]))
            return pd_fail("epoch %lld, step %lld: a weight is not finite, so nothing is saved; "
                           "lower train.learning_rate or set train.clip_norm",
                           (long long)self->checkpoint.state.epoch + 1,
                           (long long)self->checkpoint.state.epoch_step);
    return PD_OK;
}

pd_status pd_run_save(pd_run *self, bool best)
{
    pd_status status = PD_OK;
    if (self->checkpoint.state.epoch_step > 0)
        pd_comm_set_position(self->comm, "epoch %lld, step %lld, saving",
                             (long long)self->checkpoint.state.epoch + 1,
                             (long long)self->checkpoint.state.epoch_step);
    else
        pd_comm_set_position(self->comm, "epoch %lld, saving",
                             (long long)self->checkpoint.state.epoch);
    if (self->job->audit_steps > 0)
        status = pd_audit(&self->step, self->checkpoint.state.epoch, self->checkpoint.state.step);
    if (status != PD_OK)
        return status;
    if (pd_comm_rank(self->comm) == 0) {
        pd_optimizer_swap_average(self->step.optimizer);
        PD_TRY(check_weights(self));
        PD_TRY(pd_snapshot_view(&self->checkpoint, self->step.network, self->step.optimizer));
        if (best)
            PD_TRY(pd_checkpoint_save(self->best_path, &self->checkpoint));
        PD_TRY(write_history(self));
        PD_TRY(pd_checkpoint_replace(self->last_path,
                                     self->last_unreadable ? NULL : self->previous_path,
                                     &self->checkpoint));
        self->last_unreadable = false;
        PD_TRY(write_time(self));
    }
cleanup:
    if (pd_comm_rank(self->comm) == 0) {
        pd_snapshot_release(&self->checkpoint);
        pd_optimizer_swap_average(self->step.optimizer);
    }
    self->saved_at = pd_clock_now();
    return pd_comm_agree(self->comm, status);
}
