#include "resume.h"

#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"
#include "pneumo/train/setup.h"
#include "snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The offset of the first line in which two texts differ. */
static size_t differing_line(const char *a, const char *b)
{
    size_t line = 0;
    for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++)
        if (a[i] == '\n')
            line = i + 1;
    return line;
}

/* Whether the counters are possible for a run of this job. */
static bool counters_fit(const pd_trainer *trainer, const pd_checkpoint *loaded)
{
    int64_t steps = pd_lanes_epoch_steps(trainer->lanes);
    int epochs =
        trainer->former_epochs > 0 ? trainer->former_epochs : trainer->job->schedule.epochs;
    int64_t last = epochs - (loaded->state.finished ? 0 : 1);
    return loaded->state.epoch <= last && loaded->state.epoch == loaded->state.history_count &&
           loaded->state.epoch_step <= steps && /* equal: stopped before the validation */
           loaded->state.step == loaded->state.epoch * steps + loaded->state.epoch_step;
}

/* Loads last.h5 or, where any rank cannot read it, previous.h5 on all ranks; *path says which.
 * Collective. */
static pd_status load_checkpoint(pd_trainer *trainer, pd_checkpoint **out, const char **path)
{
    char why[1024];
    uint32_t any_previous;
    *path = trainer->files.last;
    pd_status status = pd_comm_agree(trainer->comm, pd_checkpoint_load(out, *path));
    if (status == PD_OK)
        return PD_OK;
    snprintf(why, sizeof why, "%s", pd_error_message());
    pd_checkpoint_destroy(out);
    PD_TRY(
        pd_comm_bitwise_or(trainer->comm, pd_file_exists(trainer->files.previous), &any_previous));
    if (any_previous) {
        *path = trainer->files.previous;
        status = pd_comm_agree(trainer->comm, pd_checkpoint_load(out, *path));
        if (status == PD_OK) {
            trainer->last_unreadable = true;
            if (pd_comm_rank(trainer->comm) == 0)
                pd_log_warn("%s: continuing from the previous checkpoint, %s", why, *path);
            return PD_OK;
        }
        pd_fail("%s; the previous checkpoint failed, too: %s", why, pd_error_message());
    } else {
        status = pd_fail("%s", why);
    }
    if (pd_file_exists(trainer->files.best))
        pd_fail("%s; or copy %s over %s to continue from the best epoch", pd_error_message(),
                trainer->files.best, trainer->files.last);
cleanup:
    return status;
}

/* Fails unless the checkpoint was made by this job, apart from the number of epochs if the run may
 * be extended, and from the path of the data set. *epochs is the number there. Keys that its
 * version did not have yet are taken to have their defaults. */
static pd_status compare_jobs(const pd_trainer *trainer, int *epochs)
{
    pd_status status = PD_OK;
    const char *path = trainer->resumed_path;
    pd_job job;
    char *text = NULL;
    PD_TRY(pd_job_parse(&job, path, trainer->resumed->job, NULL, 0));
    *epochs = job.schedule.epochs;
    /* The data set's digest says whether it is the same. */
    memcpy(job.file, trainer->job->file, sizeof job.file);
    if (trainer->extend)
        job.schedule.epochs = trainer->job->schedule.epochs;
    PD_TRY(pd_job_text(&text, &job));
    if (strcmp(text, trainer->job_text) != 0) {
        size_t line = differing_line(text, trainer->job_text);
        const char *was = text + line, *is = trainer->job_text + line;
        status = pd_fail("%s: it was made by another job ('%.*s' there, '%.*s' now): use that job, "
                         "or another folder with --run",
                         path, (int)strcspn(was, "\n"), was, (int)strcspn(is, "\n"), is);
    }
cleanup:
    free(text);
    return status;
}

/* Fails unless this job, with this data, can continue from the checkpoint. */
static pd_status check_job(pd_trainer *trainer)
{
    const pd_checkpoint *loaded = trainer->resumed;
    const char *path = trainer->resumed_path;
    const char *digest = pd_dataset_get_info(trainer->dataset)->digest;
    const pd_train_state *state = &loaded->state;
    int epochs, wanted = trainer->job->schedule.epochs;
    pd_status status = compare_jobs(trainer, &epochs);
    if (status != PD_OK)
        return status;
    if (strcmp(loaded->data_digest, digest) != 0)
        return pd_fail("%s: it was trained on other data (digest %s, but %s has %s): pack the same "
                       "folder in the same way, or use another folder with --run",
                       path, loaded->data_digest, trainer->job->file, digest);
    if (state->epoch + (state->epoch_step > 0) > wanted)
        return pd_fail(
            "%s: it has been trained for %lld epoch%s%s, so train.epochs = %d is too few: "
            "set %lld or more",
            path, (long long)state->epoch, pd_text_plural(state->epoch),
            state->epoch_step > 0 ? " and a part of the next" : "", wanted,
            (long long)state->epoch + (state->epoch_step > 0));
    trainer->former_epochs = epochs == wanted ? 0 : epochs;
    status = pd_setup_check(trainer->job, loaded);
    return status == PD_OK ? PD_OK : pd_error_prefix(status, "%s", path);
}

static pd_status check_counters(const pd_trainer *trainer)
{
    if (counters_fit(trainer, trainer->resumed))
        return PD_OK;
    return pd_fail(
        "%s: its counts of epochs and steps do not fit the job: use another folder with --run",
        trainer->resumed_path);
}

/* Brings the step into the stage in which the checkpoint was saved: that of the last step before
 * it. Collective. */
static pd_status enter_stage(pd_trainer *trainer)
{
    const pd_checkpoint *loaded = trainer->resumed;
    const pd_schedule_spec *schedule = &trainer->job->schedule;
    int64_t steps = pd_lanes_epoch_steps(trainer->lanes);
    int own =
        loaded->state.step == 0 ? 0 : pd_schedule_stage(schedule, loaded->state.step - 1, steps);
    int root = own;
    pd_status status = pd_comm_broadcast(trainer->comm, &root, sizeof root, 0);
    if (status == PD_OK && own != root)
        status = pd_fail("it continues at step %lld, before or after rank 0 unfreezes all layers: "
                         "every rank needs the same %s",
                         (long long)loaded->state.step, trainer->files.last);
    PD_TRY(pd_comm_agree(trainer->comm, status));
    if (root > trainer->step.stage)
        PD_TRY(pd_step_unfreeze(&trainer->step, pd_schedule_unfreeze_step(schedule, steps)));
cleanup:
    return status;
}

/* Adapts the state to another number of epochs. More epochs than before continue a finished run,
 * and one that has stopped early with new patience. */
static void extend(pd_trainer *trainer)
{
    pd_train_state *state = &trainer->checkpoint.state;
    int epochs = trainer->job->schedule.epochs;
    if (epochs > trainer->former_epochs && state->finished) {
        state->finished = false;
        if (state->patience_left == 0)
            state->patience_left = trainer->job->patience;
    }
    if (state->epoch == epochs)
        state->finished = true;
}

/* Restores everything from the checkpoint. */
static pd_status take_over(pd_trainer *trainer)
{
    const pd_checkpoint *loaded = trainer->resumed;
    const char *path = trainer->resumed_path;
    pd_status status = pd_snapshot_restore(loaded, trainer->step.network, trainer->step.optimizer);
    if (status != PD_OK)
        return pd_error_prefix(status, "%s", path);
    memcpy(trainer->history, loaded->state.history,
           (size_t)loaded->state.history_count * sizeof *trainer->history);
    /* Everything is the loaded one, except the arrays, the texts and the version. */
    pd_checkpoint own = trainer->checkpoint;
    trainer->checkpoint = *loaded;
    trainer->checkpoint.arrays = own.arrays;
    trainer->checkpoint.model_config = own.model_config;
    trainer->checkpoint.state.history = trainer->history;
    trainer->checkpoint.job = trainer->job_text;
    memcpy(trainer->checkpoint.version, own.version, sizeof own.version);
    trainer->checkpoint.test_looks = 0;               /* with the next weights */
    trainer->checkpoint.site = (pd_site){.count = 0}; /* the next validation makes a new decision */
    if (trainer->former_epochs > 0)
        extend(trainer);
    return PD_OK;
}

static void read_time(pd_trainer *trainer)
{
    if (pd_run_files_read_time(&trainer->files, &trainer->seconds, &trainer->images_seen) != PD_OK)
        pd_log_warn("%s: the time of training before this start is unknown", pd_error_message());
}

pd_status pd_trainer_find(pd_trainer *trainer)
{
    pd_status status = PD_OK;
    uint32_t any = 0;
    PD_TRY(pd_comm_bitwise_or(trainer->comm, trainer->resume && pd_run_files_exist(&trainer->files),
                              &any));
    if (!any)
        goto cleanup;
    PD_TRY(load_checkpoint(trainer, &trainer->resumed, &trainer->resumed_path));
    status = pd_comm_agree(trainer->comm, check_job(trainer));
cleanup:
    return status;
}

pd_status pd_trainer_resume(pd_trainer *trainer)
{
    pd_status status = PD_OK;
    if (trainer->resumed == NULL)
        goto cleanup;
    PD_TRY(pd_comm_agree(trainer->comm, check_counters(trainer)));
    PD_TRY(enter_stage(trainer));
    PD_TRY(pd_comm_agree(trainer->comm, take_over(trainer)));
    if (pd_comm_rank(trainer->comm) == 0)
        read_time(trainer);
cleanup:
    return status;
}

pd_status pd_trainer_check_alike(const pd_trainer *trainer)
{
    pd_status status = PD_OK;
    char *own = NULL, *root = NULL;
    PD_TRY(pd_comm_agree(trainer->comm, pd_format(&own, "%s\ndata %s\nstep %lld", trainer->job_text,
                                                  trainer->checkpoint.data_digest,
                                                  (long long)trainer->checkpoint.state.step)));
    PD_TRY(pd_comm_broadcast_text(trainer->comm, &root, own, 0));
    if (strcmp(own, root) != 0) {
        size_t line = differing_line(own, root);
        status = pd_fail("it starts with '%.*s' but rank 0 with '%.*s': every rank needs the same "
                         "job, data set and %s",
                         (int)strcspn(own + line, "\n"), own + line,
                         (int)strcspn(root + line, "\n"), root + line, trainer->files.last);
    }
    status = pd_comm_agree(trainer->comm, status);
cleanup:
    free(own);
    free(root);
    return status;
}
