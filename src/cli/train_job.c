/* The job that train works on, and the phantoms of a first run without data. */
#include "job.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/data/files.h"
#include "pneumo/data/pack.h"
#include "pneumo/data/synth.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/io/file.h"
#include "pneumo/io/lock.h"
#include "pneumo/train/run.h"
#include "train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char phantom_folder[] = "data/phantoms";
static const char phantom_file[] = "data/phantoms.h5";
#define PHANTOM_JOB PD_DEFAULT_JOB "-phantoms"

/* A short training on phantoms: they are easier than radiographs, and a first run should be short.
 */
static const char *const phantom_overrides[] = {
    "data.file=data/phantoms.h5", "data.size=64",     "train.epochs=8",
    "train.epoch_images=1600",    "train.patience=0",
};

enum {
    PHANTOM_IMAGES = 2400,
    PHANTOM_SECONDS = 1800, /* to wait for another process that draws and packs them: a minute on
                               one core */
    PHANTOM_OVERRIDES = sizeof phantom_overrides / sizeof *phantom_overrides
};

/* Fails if the folder of phantoms is not whole. */
static pd_status check_phantoms(void)
{
    const char *const names[] = {phantom_folder};
    pd_files files;
    pd_status status = pd_files_find(&files, names, 1);
    if (status == PD_OK && files.count != PHANTOM_IMAGES)
        status = pd_fail("%s has %lld of %d images: remove the folder, and they are drawn again",
                         phantom_folder, (long long)files.count, PHANTOM_IMAGES);
    pd_files_free(&files);
    return status;
}

/* Draws and packs the phantoms. */
static pd_status pack_phantoms(void)
{
    pd_status status = PD_OK;
    pd_synth_options synth = PD_SYNTH_DEFAULTS;
    pd_pack_options pack = PD_PACK_DEFAULTS;
    pd_pack_result result;
    synth.folder = phantom_folder;
    synth.images = PHANTOM_IMAGES;
    if (!pd_file_exists(phantom_folder))
        PD_TRY(pd_synth(&synth));
    PD_TRY(check_phantoms());
    pack.folder = phantom_folder;
    pack.output = phantom_file;
    status = pd_pack(&pack, &result);
cleanup:
    return status;
}

/* Makes the packed phantoms if they are missing. If another process makes them, waits for it. */
static pd_status make_phantoms(void)
{
    pd_status status = PD_OK;
    if (pd_file_exists(phantom_file))
        return PD_OK;
    PD_TRY(pd_lock_wait_file(phantom_file, PHANTOM_SECONDS, "start again when it has ended"));
    if (!pd_file_exists(phantom_file))
        status = pack_phantoms();
    pd_lock_release_file(phantom_file);
cleanup:
    return status;
}

/* --- Resuming --- */

/* Sets *out (free()) to the checkpoint to continue from: of the folder given, or of the default
 * runs; NULL: there is none. */
static pd_status find_checkpoint(char **out, const char *given)
{
    static const char *const defaults[] = {"runs/" PD_DEFAULT_JOB, "runs/" PHANTOM_JOB};
    static const char *const names[] = {"last.h5", "previous.h5"};
    pd_status status = PD_OK;
    for (int i = 0; i < (given == NULL ? 2 : 1); i++) {
        for (int j = 0; j < 2; j++) {
            PD_TRY(pd_run_path(out, given == NULL ? defaults[i] : given, names[j]));
            if (pd_file_exists(*out))
                return PD_OK;
            free(*out);
            *out = NULL;
        }
    }
cleanup:
    return status;
}

/* Loads the checkpoint, or the one before it. */
static pd_status load_checkpoint(pd_checkpoint **out, char **path)
{
    pd_status status = pd_checkpoint_load(out, *path);
    char *slash = strrchr(*path, '/'), *previous = NULL;
    if (status == PD_OK || pd_format(&previous, "%.*s/previous.h5", (int)(slash - *path), *path))
        return status;
    if (!pd_file_exists(previous)) {
        free(previous);
        return status;
    }
    free(*path);
    *path = previous;
    return pd_checkpoint_load(out, *path);
}

/* Reads the job of the checkpoint that is resumed without naming a job; sets *found to whether
 * there is one. */
static pd_status read_resumed(pd_job *job, bool *found, const pd_train_choice *choice)
{
    pd_status status = PD_OK;
    char *path = NULL;
    pd_checkpoint *checkpoint = NULL;
    *found = false;
    PD_TRY(find_checkpoint(&path, choice->folder));
    if (path == NULL && choice->folder != NULL)
        status = pd_fail("%s has no checkpoint to resume; name the folder of a run with --run, or "
                         "give a job to start one there",
                         choice->folder);
    if (path == NULL)
        goto cleanup;
    PD_TRY(load_checkpoint(&checkpoint, &path));
    PD_TRY(pd_command_parse_job(job, checkpoint->job_name, checkpoint->job, choice->overrides));
    size_t length = (size_t)(strrchr(path, '/') - path);
    if (length >= sizeof job->folder) {
        status = pd_fail("%s: the path is too long", path);
        goto cleanup;
    }
    memcpy(job->folder, path, length);
    job->folder[length] = '\0';
    *found = true;
    pd_log_info("resuming job %s of %s", job->name, path);
cleanup:
    pd_checkpoint_destroy(&checkpoint);
    free(path);
    return status;
}

/* Collective. */
static pd_status resume_job(pd_job *job, pd_comm *comm, bool *found, const pd_train_choice *choice)
{
    pd_status status = PD_OK;
    memset(job, 0, sizeof *job);
    if (pd_comm_rank(comm) == 0)
        status = read_resumed(job, found, choice);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_comm_broadcast(comm, found, sizeof *found, 0));
    PD_TRY(pd_comm_broadcast(comm, job, sizeof *job, 0));
cleanup:
    return status;
}

/* --- Choosing --- */

/* Whether the default job has to do without the data of its own. */
static bool needs_phantoms(const pd_job *job, const pd_train_choice *choice)
{
    bool own_data = false;
    for (int i = 0; i < choice->overrides->count; i++)
        own_data = own_data || strcmp(choice->overrides->keys[i], "data.file") == 0 ||
                   strncmp(choice->overrides->values[i], "data.file=", strlen("data.file=")) == 0;
    return choice->name == NULL && !own_data && !pd_file_exists(job->file);
}

/* Replaces the job by the training on phantoms. Collective. */
static pd_status choose_phantoms(pd_job *job, pd_comm *comm, const pd_train_choice *choice)
{
    pd_status status = PD_OK;
    pd_log_info("no packed data set at %s: training on synthetic phantoms", job->file);
    if (pd_comm_rank(comm) == 0 && choice->resume && !pd_file_exists(phantom_file))
        status = pd_fail("nothing to resume: neither runs/" PD_DEFAULT_JOB " nor runs/" PHANTOM_JOB
                         " has a checkpoint, and there is no packed data set; start without "
                         "--resume, or name the run with --run");
    else if (pd_comm_rank(comm) == 0)
        status = make_phantoms();
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_command_read_job(job, comm, NULL, phantom_overrides, PHANTOM_OVERRIDES,
                               choice->overrides));
    snprintf(job->name, sizeof job->name, PHANTOM_JOB);
cleanup:
    return status;
}

pd_status pd_train_choose_job(pd_job *job, pd_comm *comm, const pd_train_choice *choice)
{
    pd_status status = PD_OK;
    bool found = false;
    if (choice->resume && choice->name == NULL && !choice->cross)
        PD_TRY(resume_job(job, comm, &found, choice));
    if (found)
        goto cleanup;
    PD_TRY(pd_command_read_job(job, comm, choice->name, NULL, 0, choice->overrides));
    bool phantoms = needs_phantoms(job, choice);
    PD_TRY(pd_comm_broadcast(comm, &phantoms, sizeof phantoms, 0));
    if (phantoms)
        PD_TRY(choose_phantoms(job, comm, choice));
    status = pd_command_set_folder(job, choice->folder);
cleanup:
    return status;
}
