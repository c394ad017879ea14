#include "pneumo/io/ensemble.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"
#include "pneumo/io/lock.h"

#include "checkpoint_internal.h"
#include "decision_internal.h"
#include "hdf5_attribute.h"
#include "hdf5_copy.h"
#include "hdf5_format.h"
#include "keras.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const FORMAT = "pneumo-dist ensemble";
enum { FORMAT_VERSION = 1 };

/* --- In memory. --- */

pd_status pd_ensemble_add(pd_ensemble *ensemble, const char *name, pd_checkpoint **member)
{
    if (ensemble->count == PD_MEMBERS_MAX)
        return pd_fail("%s: an ensemble has at most %d members", name, PD_MEMBERS_MAX);
    pd_status status = pd_strdup(&ensemble->names[ensemble->count], name);
    if (status != PD_OK)
        return status;
    ensemble->members[ensemble->count++] = *member;
    *member = NULL;
    return PD_OK;
}

void pd_ensemble_summarise(pd_ensemble *ensemble)
{
    pd_checkpoint *whole = &ensemble->whole, *const *members = ensemble->members;
    bool same_job = true, same_model = true;
    *whole = *members[0];
    if (ensemble->count == 1)
        return;
    for (int i = 1; i < ensemble->count; i++) {
        same_job = same_job && strcmp(members[i]->job_name, whole->job_name) == 0;
        same_model = same_model && strcmp(members[i]->model, whole->model) == 0;
        if (members[i]->test_looks > whole->test_looks)
            whole->test_looks = members[i]->test_looks;
    }
    snprintf(whole->job_name, sizeof whole->job_name, "average of %d%s%.39s", ensemble->count,
             same_job ? ": " : "", same_job ? members[0]->job_name : "");
    if (!same_model)
        snprintf(whole->model, sizeof whole->model, "several models");
    whole->has_decision = false;
    whole->decision.views = 1;
    whole->decision.temperature = 1;
    /* These describe a single run. */
    whole->model_config = NULL;
    whole->arrays.slot_count = 0;
    whole->state.history_count = 0;
    whole->state.epoch = whole->state.step = whole->state.epoch_step = whole->state.best_epoch = 0;
}

void pd_ensemble_destroy(pd_ensemble **ensemble)
{
    if (*ensemble == NULL)
        return;
    for (int i = 0; i < (*ensemble)->count; i++) {
        pd_checkpoint_destroy(&(*ensemble)->members[i]);
        free((*ensemble)->names[i]);
    }
    free(*ensemble);
    *ensemble = NULL;
}

/* --- Saving. A member is first written as a checkpoint file in memory and then copied, so this
 * file does not depend on a checkpoint's content. --- */

static pd_status put_member(const pd_hdf5 *file, int number, const pd_checkpoint *member)
{
    pd_status status = PD_OK;
    pd_hdf5 own = {.id = H5I_INVALID_HID};
    pd_hdf5_image image = {.bytes = NULL};
    pd_checkpoint lean = *member;
    char object[32], *name = NULL;
    lean.arrays.slot_count = 0;
    snprintf(object, sizeof object, "members/%d", number);
    PD_TRY(pd_format(&name, "%s, member %d", file->path, number));
    PD_TRY(pd_checkpoint_put(&own, &image, name, &lean));
    errno = 0;
    if (H5Ocopy(own.id, "/", file->id, object, H5P_DEFAULT, H5P_DEFAULT) < 0)
        status = pd_hdf5_fail_write(file);

cleanup:
    pd_hdf5_close(&own.id);
    free(image.bytes);
    free(name);
    return status;
}

static pd_status put_members(const pd_hdf5 *file, const pd_ensemble *ensemble)
{
    pd_status status = PD_OK;
    hid_t members = H5I_INVALID_HID;
    int64_t count = ensemble->count;
    PD_TRY(pd_hdf5_put_group(&members, file, file->id, "members"));
    PD_TRY(pd_hdf5_put_number(file, members, "count", H5T_NATIVE_INT64, &count));
    for (int i = 0; i < ensemble->count; i++)
        PD_TRY(put_member(file, i + 1, ensemble->members[i]));

cleanup:
    pd_hdf5_close(&members);
    return status;
}

pd_status pd_ensemble_save(const char *path, const pd_ensemble *ensemble)
{
    pd_status status = PD_OK;
    pd_hdf5 file = {.id = H5I_INVALID_HID};
    pd_hdf5_image image = {.bytes = NULL};
    PD_TRY(pd_lock_take_beside(path, "wait until it ends, or write to another folder"));
    PD_TRY(pd_hdf5_create_in_memory(&file, path, &image));
    PD_TRY(pd_hdf5_put_format(&file, FORMAT, FORMAT_VERSION, ensemble->whole.version));
    PD_TRY(pd_hdf5_put_text(&file, file.id, "data_digest", ensemble->whole.data_digest));
    PD_TRY(put_members(&file, ensemble));
    PD_TRY(pd_decision_put(&file, &ensemble->whole.decision, ensemble->whole.test_looks));
    PD_TRY(pd_hdf5_close_in_memory(&file, &image));
    PD_TRY(pd_file_write(path, image.bytes, image.size));

cleanup:
    pd_hdf5_close(&file.id);
    free(image.bytes);
    return status;
}

/* --- Loading. A member is copied to a file in memory and read as a checkpoint. --- */

/* Copies the group `object` to a file in memory. */
static pd_status extract(pd_hdf5 *out, pd_hdf5_image *image, const pd_hdf5 *file,
                         const char *object, const char *name)
{
    pd_status status = PD_OK;
    char format[64], program[32], *config = NULL;
    int64_t version;
    PD_TRY(pd_hdf5_get_text(file, object, "format", format, sizeof format));
    PD_TRY(pd_hdf5_get_number(file, object, "format_version", H5T_NATIVE_INT64, &version));
    PD_TRY(pd_hdf5_get_text(file, object, "program_version", program, sizeof program));
    PD_TRY(pd_hdf5_create_in_memory(out, name, image));
    PD_TRY(pd_hdf5_put_format(out, format, version, program));
    PD_TRY(pd_keras_get_config(file, object, &config));
    if (config != NULL)
        PD_TRY(pd_keras_put_config(out, config));
    out->remedy = file->remedy;
    out->size = file->size;
    status = pd_hdf5_copy_group(out, file, object);

cleanup:
    free(config);
    return status;
}

/* *budget: pd_checkpoint_get. */
static pd_status get_member(const pd_hdf5 *file, int number, pd_ensemble *ensemble, int64_t *budget)
{
    pd_status status = PD_OK;
    pd_hdf5 own = {.id = H5I_INVALID_HID};
    pd_hdf5_image image = {.bytes = NULL};
    pd_checkpoint *member = NULL;
    char object[32], *name = NULL;
    snprintf(object, sizeof object, "/members/%d", number);
    PD_TRY(pd_format(&name, "%s, member %d", file->path, number));
    PD_TRY(extract(&own, &image, file, object, name));
    PD_TRY(pd_checkpoint_get(&member, &own, budget));
    PD_TRY(pd_ensemble_add(ensemble, name, &member));

cleanup:
    pd_checkpoint_destroy(&member);
    pd_hdf5_close(&own.id);
    free(image.bytes);
    free(name);
    return status;
}

static pd_status get_members(const pd_hdf5 *file, pd_ensemble *ensemble)
{
    pd_status status = PD_OK;
    int64_t count, budget = file->size;
    PD_TRY(pd_hdf5_check_format(file, FORMAT, FORMAT_VERSION));
    PD_TRY(pd_hdf5_get_number(file, "/members", "count", H5T_NATIVE_INT64, &count));
    if (count < 1 || count > PD_MEMBERS_MAX) {
        status = pd_hdf5_fail_read(file, "has %lld members; it must have 1 to %d", (long long)count,
                                   PD_MEMBERS_MAX);
        goto cleanup;
    }
    for (int i = 1; i <= (int)count; i++)
        PD_TRY(get_member(file, i, ensemble, &budget));
    pd_ensemble_summarise(ensemble);
    PD_TRY(pd_decision_get(file, &ensemble->whole.decision, &ensemble->whole.test_looks));
    PD_TRY(pd_hdf5_get_text(file, "/", "program_version", ensemble->whole.version,
                            sizeof ensemble->whole.version));
    PD_TRY(pd_hdf5_get_text(file, "/", "data_digest", ensemble->whole.data_digest,
                            sizeof ensemble->whole.data_digest));
    ensemble->whole.has_decision = ensemble->is_file = true;

cleanup:
    return status;
}

pd_status pd_ensemble_check_replaced(const char *path)
{
    return pd_hdf5_check_replaced(path, FORMAT);
}

pd_status pd_ensemble_recognise(bool *is, const char *path)
{
    return pd_hdf5_recognise(is, path, "give a checkpoint or an ensemble", FORMAT);
}

/* For a file that is not an ensemble: if it is not a checkpoint either, the error is that of its
 * reader. */
static pd_status load_checkpoint(pd_ensemble *ensemble, const char *path)
{
    pd_checkpoint *only = NULL;
    pd_status status = pd_checkpoint_load(&only, path);
    if (status == PD_OK)
        status = pd_ensemble_add(ensemble, path, &only);
    pd_checkpoint_destroy(&only);
    if (status == PD_OK)
        pd_ensemble_summarise(ensemble);
    return status;
}

pd_status pd_ensemble_load(pd_ensemble **out, const char *path)
{
    pd_status status = PD_OK;
    pd_hdf5 file = {.id = H5I_INVALID_HID};
    pd_ensemble *ensemble = NULL;
    bool is = false;
    *out = NULL;
    PD_TRY(pd_alloc(&ensemble, 1, sizeof *ensemble));
    if (!pd_file_exists(path) || pd_ensemble_recognise(&is, path) != PD_OK || !is) {
        PD_TRY(load_checkpoint(ensemble, path));
    } else {
        PD_TRY(pd_hdf5_open(&file, path, "create it again with 'pneumo-dist ensemble'"));
        PD_TRY(get_members(&file, ensemble));
    }
    *out = ensemble;
    ensemble = NULL;

cleanup:
    pd_hdf5_close(&file.id);
    pd_ensemble_destroy(&ensemble);
    return status;
}
