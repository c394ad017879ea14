#include "start.h"

#include "events.h"
#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/subset.h"
#include "pneumo/io/file.h"
#include "pneumo/io/lock.h"
#include "pneumo/train/footprint.h"
#include "pneumo/train/run.h"
#include "pneumo/train/setup.h"
#include "resume.h"
#include "survey.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The ids and classes of the train fold's samples that the task has a class for. */
static pd_status train_samples(const pd_trainer *trainer, int64_t **ids, int32_t **labels,
                               size_t *count)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(trainer->dataset);
    const pd_sample *samples = pd_dataset_samples(trainer->dataset);
    *count = 0;
    PD_TRY(pd_alloc(ids, (size_t)info->count, sizeof **ids));
    PD_TRY(pd_alloc(labels, (size_t)info->count, sizeof **labels));
    for (int64_t i = 0; i < info->count; i++) {
        int class = trainer->step.task->class_of(&samples[i]);
        if (samples[i].fold != PD_TRAIN || class < 0)
            continue;
        (*ids)[*count] = i;
        (*labels)[(*count)++] = class;
    }
cleanup:
    return status;
}

/* Loss weights inverse to the class counts, with mean 1 over the train fold. */
static pd_status weigh_classes(pd_trainer *trainer, const int32_t *labels, size_t count)
{
    const pd_task *task = trainer->step.task;
    const pd_sampling *sampling = &trainer->job->sampling;
    size_t counts[PD_CLASSES_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        counts[labels[i]]++;
    for (int i = 0; i < task->classes; i++) {
        if (counts[i] == 0)
            return pd_fail(
                "%s: the train fold has no image of class %s: pack the images again with "
                "other --folds",
                trainer->job->file, task->class_names[i]);
        if (pd_balance_takes_turns(sampling->balance) && counts[i] < (size_t)sampling->lanes)
            return pd_fail("%s: the train fold has %zu %s images, too few for %d lanes: lower "
                           "train.lanes, or set data.balance = none",
                           trainer->job->file, counts[i], task->class_names[i], sampling->lanes);
        trainer->class_weight[i] =
            trainer->job->sampling.balance == PD_BALANCE_WEIGHTS
                ? (float)((double)count / (double)task->classes / (double)counts[i])
                : 1.0f;
    }
    return PD_OK;
}

/* Stores at *weights those of balance = shape, or NULL if they are not asked for or do not apply.
 */
static pd_status weigh_shapes(pd_trainer *trainer, double **weights, const pd_lane_samples *samples)
{
    pd_status status = PD_OK;
    *weights = NULL;
    if (trainer->job->sampling.balance != PD_BALANCE_SHAPE)
        return PD_OK;
    PD_TRY(pd_alloc(weights, samples->count, sizeof **weights));
    PD_TRY(pd_shape_weights_set(*weights, &trainer->shape_balance,
                                pd_dataset_samples(trainer->dataset), samples->ids, samples->labels,
                                samples->count, samples->classes));
    if (!trainer->shape_balance.applies) {
        free(*weights);
        *weights = NULL;
    }
cleanup:
    return status;
}

static pd_status set_up_lanes(pd_trainer *trainer)
{
    pd_status status = PD_OK;
    const pd_job *job = trainer->job;
    int64_t *ids = NULL;
    int32_t *labels = NULL;
    double *weights = NULL;
    size_t count;
    PD_TRY(train_samples(trainer, &ids, &labels, &count));
    if (job->train_images > 0) {
        status =
            pd_subset_choose(ids, labels, &count, pd_dataset_samples(trainer->dataset),
                             trainer->step.task->classes, (size_t)job->train_images, job->seed);
        if (status != PD_OK) {
            pd_error_prefix(status, "data.train_images = %d", job->train_images);
            goto cleanup;
        }
    }
    trainer->train_images = (int64_t)count;
    PD_TRY(weigh_classes(trainer, labels, count));
    pd_lane_samples samples = {
        .count = count, .classes = trainer->step.task->classes, .ids = ids, .labels = labels};
    PD_TRY(weigh_shapes(trainer, &weights, &samples));
    samples.weights = weights;
    PD_TRY(pd_lanes_create(&trainer->lanes, &job->sampling, job->seed, &samples));
cleanup:
    free(ids);
    free(labels);
    free(weights);
    return status;
}

/* Reads the images of the lanes held here, or prepares to stream them. */
static pd_status set_up_images(pd_trainer *trainer)
{
    pd_status status = PD_OK;
    int64_t *ids = NULL;
    size_t count = 0;
    PD_TRY(pd_alloc(&ids, (size_t)pd_dataset_get_info(trainer->dataset)->count, sizeof *ids));
    for (int i = 0; i < pd_comm_lane_count(trainer->comm); i++) {
        const int64_t *lane_ids;
        size_t lane_count =
            pd_lanes_samples(trainer->lanes, pd_comm_first_lane(trainer->comm) + i, &lane_ids);
        memcpy(ids + count, lane_ids, lane_count * sizeof *ids);
        count += lane_count;
    }
    PD_TRY(pd_images_create(&trainer->images, trainer->dataset, ids, count, !trainer->stream,
                            (size_t)trainer->step.samples));
cleanup:
    free(ids);
    return status;
}

/* A threshold can only be chosen on both classes. Checked before the first epoch, not after it. */
static pd_status check_validation_fold(const pd_trainer *trainer)
{
    const pd_sample *samples = pd_dataset_samples(trainer->dataset);
    long long images[PD_LABELS] = {0};
    size_t count;
    const int64_t *ids = pd_scorer_ids(trainer->scorer, &count);
    for (size_t i = 0; i < count; i++)
        images[samples[ids[i]].label]++;
    if (images[PD_NORMAL] > 0 && images[PD_PNEUMONIA] > 0)
        return PD_OK;
    return pd_fail(
        "%s: the validation fold has %lld normal and %lld pneumonia images, but choosing a "
        "threshold requires both: pack the images again with other --folds",
        trainer->job->file, images[PD_NORMAL], images[PD_PNEUMONIA]);
}

static pd_status set_up_state(pd_trainer *trainer)
{
    pd_status status = PD_OK;
    const pd_job *job = trainer->job;
    PD_TRY(pd_alloc(&trainer->history, (size_t)job->schedule.epochs, sizeof *trainer->history));
    trainer->checkpoint = (pd_checkpoint){.state.history = trainer->history,
                                          .state.seed = job->seed,
                                          .state.lanes = job->sampling.lanes,
                                          .state.best_metric = NAN,
                                          .state.patience_left = job->patience,
                                          .state.plateau_left = job->plateau_epochs,
                                          .pixel_mean = (double)trainer->input.mean,
                                          .pixel_deviation = (double)trainer->input.deviation,
                                          .image_height = trainer->input.height,
                                          .image_width = trainer->input.width,
                                          .state.learning_scale = 1.0,
                                          .job = trainer->job_text};
    snprintf(trainer->checkpoint.data_digest, sizeof trainer->checkpoint.data_digest, "%s",
             pd_dataset_get_info(trainer->dataset)->digest);
    snprintf(trainer->checkpoint.job_name, sizeof trainer->checkpoint.job_name, "%s", job->name);
    snprintf(trainer->checkpoint.model, sizeof trainer->checkpoint.model, "%s",
             pd_setup_model_name(job));
    snprintf(trainer->checkpoint.version, sizeof trainer->checkpoint.version, "%s", PNEUMO_VERSION);
cleanup:
    return status;
}

/* Fails if best.h5 would be overwritten: without --resume always, else unless it is of the first
 * epoch, which a kill between best.h5 and last.h5 leaves, and which is then repeated. */
static pd_status check_lone_best(const pd_trainer *trainer)
{
    const char *folder = trainer->files.folder, *best = trainer->files.best;
    pd_checkpoint *checkpoint = NULL;
    if (!trainer->resume)
        return pd_fail("%s already contains the best.h5 of a run: move it elsewhere, or choose "
                       "another folder with --run",
                       folder);
    pd_status status = pd_checkpoint_load(&checkpoint, best);
    if (status == PD_OK && checkpoint->state.epoch > 1)
        status = pd_fail("%s contains the best.h5 of epoch %lld, but no last.h5 to resume: copy it "
                         "to %s to continue from that epoch, or move it elsewhere to start again",
                         folder, (long long)checkpoint->state.epoch, trainer->files.last);
    pd_checkpoint_destroy(&checkpoint);
    return status;
}

/* Locks the run's folder on rank 0, if it exists, then fails if it holds a run but may not. */
static pd_status claim_folder(pd_trainer *trainer, bool may_hold_run)
{
    pd_status status = PD_OK;
    const char *folder = trainer->files.folder;
    if (pd_comm_rank(trainer->comm) == 0 && pd_file_exists(folder)) {
        PD_TRY(pd_folder_make(folder)); /* it is a folder, and writable */
        PD_TRY(pd_run_check_folder(folder));
        PD_TRY(pd_lock_take(folder, "wait until it ends, or choose another folder with --run"));
    }
    bool holds_run = pd_run_files_exist(&trainer->files);
    if (!may_hold_run && holds_run)
        status = pd_fail("%s already contains a run: continue it with --resume, or choose another "
                         "folder with --run",
                         folder);
    else if (!holds_run && pd_file_exists(trainer->files.best))
        status = check_lone_best(trainer);
    trainer->claimed = status == PD_OK && pd_file_exists(folder);
cleanup:
    return status;
}

/* Decides whether all ranks stream their images, and why. Called once each rank has allocated the
 * memory for training, except for its images. Collective. */
static pd_status place_images(pd_trainer *trainer)
{
    const pd_dataset_info *info = pd_dataset_get_info(trainer->dataset);
    double bytes = pd_footprint_image_bytes(trainer->comm, trainer->job, info);
    double percent = 0;
    char why[96];
    double growth;
    pd_status status = pd_comm_agree(
        trainer->comm, pd_footprint_growth(&growth, trainer->comm, trainer->job,
                                           trainer->step.network, trainer->step.threads));
    if (status != PD_OK)
        return status;
    /* The second stage will take some of the memory that is free now. */
    percent = pd_footprint_image_percent(trainer->comm, bytes + growth);
    status = pd_comm_max(trainer->comm, percent, &percent);
    if (status != PD_OK)
        return status;
    trainer->stream = pd_footprint_streams(trainer->job, percent);
    if (trainer->job->images == PD_IMAGES_AUTO)
        snprintf(why, sizeof why, "%.0f %% of a rank's share of the free memory, %s than %d %%",
                 percent, trainer->stream ? "more" : "no more", PD_IMAGES_PERCENT);
    else
        snprintf(why, sizeof why, "as set by run.images");
    snprintf(trainer->images_note, sizeof trainer->images_note,
             "%.1f MiB of images per rank %s: %s", bytes / (1 << 20),
             trainer->stream ? "streamed from the file" : "held in memory", why);
    return PD_OK;
}

/* The part of the set-up that needs no communication, after the data set and the step. */
static pd_status set_up_local(pd_trainer *trainer)
{
    pd_status status = PD_OK;
    const pd_job *job = trainer->job;
    trainer->input = trainer->step.input;
    PD_TRY(pd_alloc(&trainer->picks, (size_t)trainer->step.samples, sizeof *trainer->picks));
    PD_TRY(pd_alloc(&trainer->ids, (size_t)trainer->step.samples, sizeof *trainer->ids));
    PD_TRY(pd_alloc(&trainer->pixels, (size_t)trainer->step.samples, sizeof *trainer->pixels));
    PD_TRY(pd_alloc(&trainer->scratch, (size_t)trainer->step.threads,
                    pd_view_scratch(trainer->input.height, trainer->input.width) *
                        sizeof *trainer->scratch));
    PD_TRY(pd_alloc(&trainer->pairs, (size_t)trainer->step.lane_samples, sizeof *trainer->pairs));
    PD_TRY(pd_alloc(&trainer->order, (size_t)trainer->step.lane_samples, sizeof *trainer->order));
    PD_TRY(set_up_lanes(trainer));
    PD_TRY(set_up_state(trainer));
    const pd_scorer_options scorer = {.job = job,
                                      .input = trainer->input,
                                      .dataset = trainer->dataset,
                                      .fold = PD_VAL,
                                      .chunk = trainer->step.lane_samples,
                                      .views = pd_views_count(job->decision.views),
                                      .threads = trainer->step.threads,
                                      .hold = !trainer->stream};
    PD_TRY(pd_scorer_create(&trainer->scorer, trainer->comm, &scorer));
    PD_TRY(check_validation_fold(trainer));
    PD_TRY(set_up_images(trainer));
    if (pd_comm_rank(trainer->comm) == 0) {
        PD_TRY(pd_folder_make(trainer->files.folder));
        PD_TRY(claim_folder(trainer, trainer->resumed != NULL));
    }
cleanup:
    return status;
}

/* Computes the profile of the train fold, unless the checkpoint that rank 0 resumes from has it.
 * Collective. */
static pd_status describe(pd_trainer *trainer)
{
    pd_status status = PD_OK;
    bool known = trainer->checkpoint.has_profile;
    PD_TRY(pd_comm_broadcast(trainer->comm, &known, sizeof known, 0));
    if (known)
        goto cleanup;
    PD_TRY(pd_survey(&trainer->checkpoint.profile, trainer->comm, trainer->dataset, trainer->lanes,
                     trainer->images, (size_t)trainer->step.samples, trainer->step.threads));
    trainer->checkpoint.has_profile = true;
cleanup:
    return status;
}

pd_status pd_trainer_start(pd_trainer *trainer, const pd_run_options *options)
{
    pd_status status = PD_OK;
    const pd_job *job = options->job;
    *trainer = (pd_trainer){
        .job = job, .comm = options->comm, .resume = options->resume, .extend = options->extend};
    PD_TRY(pd_comm_agree(trainer->comm, pd_run_files_name(&trainer->files, options->folder)));
    PD_TRY(pd_comm_agree(trainer->comm, pd_setup_dataset(&trainer->dataset, job)));
    PD_TRY(pd_comm_agree(trainer->comm, pd_job_text(&trainer->job_text, job)));
    PD_TRY(pd_comm_agree(trainer->comm, claim_folder(trainer, trainer->resume)));
    PD_TRY(pd_trainer_find(trainer));
    PD_TRY(pd_step_set_up_run(&trainer->step, trainer->comm, job,
                              pd_dataset_get_info(trainer->dataset), options->threads,
                              trainer->resumed));
    PD_TRY(place_images(trainer));
    PD_TRY(pd_comm_agree(trainer->comm, set_up_local(trainer)));
    PD_TRY(pd_trainer_resume(trainer));
    pd_checkpoint_destroy(&trainer->resumed);
    PD_TRY(pd_trainer_check_alike(trainer));
    PD_TRY(describe(trainer));
    PD_TRY(pd_comm_agree(trainer->comm, pd_events_start(trainer)));
    trainer->saved_at = trainer->counted_at = pd_clock_now();
cleanup:
    return status;
}

void pd_trainer_release(pd_trainer *trainer)
{
    pd_scorer_destroy(&trainer->scorer);
    pd_images_destroy(&trainer->images);
    pd_lanes_destroy(&trainer->lanes);
    pd_checkpoint_destroy(&trainer->resumed);
    pd_step_tear_down(&trainer->step);
    pd_dataset_destroy(&trainer->dataset);
    free(trainer->job_text);
    pd_run_files_free(&trainer->files);
    free(trainer->picks);
    free(trainer->ids);
    free(trainer->pixels);
    free(trainer->scratch);
    free(trainer->pairs);
    free(trainer->order);
    free(trainer->history);
}
