#include "checkpoint_internal.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"
#include "pneumo/io/lock.h"

#include "arrays_internal.h"
#include "decision_internal.h"
#include "field.h"
#include "hdf5_array.h"
#include "hdf5_attribute.h"
#include "hdf5_format.h"
#include "hdf5_text.h"
#include "input_internal.h"
#include "keras.h"
#include "profile_internal.h"
#include "site_internal.h"
#include "train_state_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const FORMAT = "pneumo-dist checkpoint";
enum { FORMAT_VERSION = 1 };

/* The attributes of /state. */
#define FIELD(member, name, kind) PD_FIELD(pd_checkpoint, member, name, kind)
static const pd_field state_fields[] = {
    FIELD(job_name, "job_name", TEXT),
    FIELD(model, "model", TEXT),
    FIELD(state.epoch, "epoch", INTEGER),
    FIELD(state.step, "step", INTEGER),
    FIELD(state.epoch_step, "epoch_step", INTEGER),
    FIELD(state.seed, "seed", UNSIGNED),
    FIELD(state.lanes, "lanes", INTEGER),
    FIELD(state.best_metric, "best_metric", REAL),
    FIELD(state.best_epoch, "best_epoch", INTEGER),
    FIELD(state.patience_left, "patience_left", INTEGER),
    FIELD(state.plateau_left, "plateau_left", INTEGER),
    FIELD(pixel_mean, "pixel_mean", REAL),
    FIELD(pixel_deviation, "pixel_deviation", REAL),
    FIELD(image_height, "image_height", INTEGER),
    FIELD(image_width, "image_width", INTEGER),
    FIELD(state.learning_scale, "learning_scale", REAL),
    FIELD(state.epoch_loss_sum, "epoch_loss_sum", REAL),
    FIELD(state.epoch_norm_sum, "epoch_norm_sum", REAL),
    FIELD(data_digest, "data_digest", TEXT),
};
enum { STATE_FIELDS = sizeof state_fields / sizeof *state_fields };

/* --- Saving. --- */

static pd_status put_state(const pd_hdf5 *file, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    hid_t group = H5I_INVALID_HID;
    int64_t finished = checkpoint->state.finished;
    PD_TRY(pd_hdf5_put_group(&group, file, file->id, "state"));
    PD_TRY(pd_fields_put(file, group, state_fields, STATE_FIELDS, checkpoint));
    PD_TRY(pd_hdf5_put_number(file, group, "finished", H5T_NATIVE_INT64, &finished));

cleanup:
    pd_hdf5_close(&group);
    return status;
}

static pd_status put_job(const pd_hdf5 *file, const char *job)
{
    const char *text = job == NULL ? "" : job;
    hid_t type = pd_hdf5_text_type(text[0] == '\0' ? 1 : strlen(text));
    const pd_hdf5_shape shape = {type, type, 0, NULL};
    pd_status status = pd_hdf5_put_array(file, file->id, "job", &shape, text);
    pd_hdf5_close(&type);
    return status;
}

pd_status pd_checkpoint_put(pd_hdf5 *out, pd_hdf5_image *image, const char *path,
                            const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    PD_TRY(pd_hdf5_create_in_memory(out, path, image));
    PD_TRY(pd_hdf5_put_format(out, FORMAT, FORMAT_VERSION, checkpoint->version));
    if (checkpoint->model_config != NULL)
        PD_TRY(pd_keras_put_config(out, checkpoint->model_config));
    PD_TRY(pd_arrays_put(out, &checkpoint->arrays));
    if (checkpoint->has_input)
        PD_TRY(pd_input_put(out, &checkpoint->input));
    PD_TRY(pd_history_put(out, &checkpoint->state));
    PD_TRY(put_state(out, checkpoint));
    if (checkpoint->has_decision)
        PD_TRY(pd_decision_put(out, &checkpoint->decision, checkpoint->test_looks));
    if (checkpoint->has_profile)
        PD_TRY(pd_profile_put(out, &checkpoint->profile));
    PD_TRY(pd_site_put(out, &checkpoint->site));
    PD_TRY(put_job(out, checkpoint->job));

cleanup:
    return status;
}

pd_status pd_checkpoint_save(const char *path, const pd_checkpoint *checkpoint)
{
    return pd_checkpoint_replace(path, NULL, checkpoint);
}

pd_status pd_checkpoint_replace(const char *path, const char *kept, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    pd_hdf5 file = {.id = H5I_INVALID_HID};
    pd_hdf5_image image = {.bytes = NULL};
    PD_TRY(pd_lock_take_beside(path, "wait until it ends, or write to another folder"));
    PD_TRY(pd_checkpoint_put(&file, &image, path, checkpoint));
    PD_TRY(pd_hdf5_close_in_memory(&file, &image));
    PD_TRY(pd_file_replace(path, kept, image.bytes, image.size));

cleanup:
    pd_hdf5_close(&file.id);
    free(image.bytes);
    return status;
}

/* --- Loading. --- */

static pd_status get_state(const pd_hdf5 *file, pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    const pd_train_state *state = &checkpoint->state;
    int64_t finished = 0;
    PD_TRY(pd_fields_get(file, "/state", state_fields, STATE_FIELDS, checkpoint));
    PD_TRY(pd_hdf5_get_number(file, "/state", "finished", H5T_NATIVE_INT64, &finished));
    checkpoint->state.finished = finished != 0;
    if (state->epoch < 0 || state->step < 0 || state->epoch_step < 0 || state->lanes < 0)
        status = pd_hdf5_fail_read(file, "its epoch, step or lanes are negative");
    else if (state->best_epoch < 0 || state->best_epoch > state->epoch)
        status = pd_hdf5_fail_read(file, "its best epoch is %lld, but it has %lld epochs",
                                   (long long)state->best_epoch, (long long)state->epoch);
    else if (!isfinite(checkpoint->pixel_mean) || !isfinite(checkpoint->pixel_deviation))
        status = pd_hdf5_fail_read(file, "its pixel mean or deviation is not finite");

cleanup:
    return status;
}

static pd_status get_job(const pd_hdf5 *file, pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    char **texts = NULL, *job = NULL;
    int64_t count = 0;
    PD_TRY(pd_hdf5_get_text_array(file, "/job", 0, &texts, &count));
    PD_TRY(pd_strdup(&job, texts[0]));
    checkpoint->job = job;

cleanup:
    free(texts);
    return status;
}

pd_status pd_checkpoint_get(pd_checkpoint **out, const pd_hdf5 *file, int64_t *budget)
{
    pd_status status = PD_OK;
    pd_checkpoint *checkpoint = NULL;
    char *model_config = NULL;
    *out = NULL;
    PD_TRY(pd_alloc(&checkpoint, 1, sizeof *checkpoint));
    PD_TRY(pd_hdf5_check_format(file, FORMAT, FORMAT_VERSION));
    PD_TRY(pd_hdf5_get_text(file, "/", "program_version", checkpoint->version,
                            sizeof checkpoint->version));
    PD_TRY(pd_keras_get_config(file, "/", &model_config));
    checkpoint->model_config = model_config;
    PD_TRY(pd_arrays_get(file, &checkpoint->arrays, budget));
    checkpoint->has_input = H5Lexists(file->id, "input", H5P_DEFAULT) > 0;
    if (checkpoint->has_input)
        PD_TRY(pd_input_get(file, &checkpoint->input));
    PD_TRY(pd_history_get(file, &checkpoint->state));
    PD_TRY(get_state(file, checkpoint));
    checkpoint->has_decision = H5Lexists(file->id, "decision", H5P_DEFAULT) > 0;
    if (checkpoint->has_decision)
        PD_TRY(pd_decision_get(file, &checkpoint->decision, &checkpoint->test_looks));
    checkpoint->has_profile = H5Lexists(file->id, "profile", H5P_DEFAULT) > 0;
    if (checkpoint->has_profile)
        PD_TRY(pd_profile_get(file, &checkpoint->profile));
    PD_TRY(pd_site_get(file, &checkpoint->site));
    PD_TRY(get_job(file, checkpoint));
    *out = checkpoint;
    checkpoint = NULL;

cleanup:
    pd_checkpoint_destroy(&checkpoint);
    return status;
}

pd_status pd_checkpoint_check_replaced(const char *path)
{
    return pd_hdf5_check_replaced(path, FORMAT);
}

/* Fails with advice if `path` is the folder of a run. */
static pd_status check_folder(const char *path)
{
    char *best = NULL;
    struct stat about;
    if (stat(path, &about) != 0 || !S_ISDIR(about.st_mode))
        return PD_OK;
    pd_status status = pd_format(&best, "%s/best.h5", path);
    if (status == PD_OK && pd_file_exists(best))
        status = pd_fail("%s: is a folder; give the checkpoint in it, %s", path, best);
    free(best);
    return status;
}

pd_status pd_checkpoint_recognise(bool *is, const char *path)
{
    *is = false;
    pd_status status = check_folder(path);
    if (status != PD_OK)
        return status;
    return pd_hdf5_recognise(is, path, "give a data set or a checkpoint", FORMAT);
}

pd_status pd_checkpoint_load(pd_checkpoint **out, const char *path)
{
    pd_status status = PD_OK;
    pd_hdf5 file = {.id = H5I_INVALID_HID};
    *out = NULL;
    if (!pd_file_exists(path))
        return pd_fail("%s: cannot open: %s; give the best.h5 or last.h5 of a run", path,
                       strerror(errno));
    PD_TRY(check_folder(path));
    PD_TRY(
        pd_hdf5_open(&file, path, "use another checkpoint, or the program version that wrote it"));
    int64_t budget = file.size;
    status = pd_checkpoint_get(out, &file, &budget);

cleanup:
    pd_hdf5_close(&file.id);
    return status;
}

void pd_checkpoint_destroy(pd_checkpoint **checkpoint)
{
    pd_checkpoint *old = *checkpoint;
    if (old == NULL)
        return;
    *checkpoint = NULL;
    pd_arrays_free(&old->arrays);
    free(old->state.history);
    free(old->site.images);
    free((void *)old->model_config);
    free((void *)old->job);
    free(old);
}
