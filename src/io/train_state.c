#include "train_state_internal.h"

#include "hdf5_array.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

const pd_history_field pd_history_fields[PD_HISTORY_FIELDS] = {
    {"learning_rate", offsetof(pd_history_row, learning_rate), true},
    {"train_loss", offsetof(pd_history_row, train_loss), false},
    {"val_loss", offsetof(pd_history_row, val_loss), false},
    {"val_auc", offsetof(pd_history_row, val_auc), false},
    {"val_accuracy", offsetof(pd_history_row, val_accuracy), false},
    {"val_sensitivity", offsetof(pd_history_row, val_sensitivity), false},
    {"val_specificity", offsetof(pd_history_row, val_specificity), false},
    {"gradient_norm", offsetof(pd_history_row, gradient_norm), true},
    {"val_stress_auc", offsetof(pd_history_row, val_stress_auc), false},
};

double pd_history_value(const pd_history_row *row, size_t offset)
{
    return *(const double *)(const void *)((const char *)row + offset);
}

/* A row of /history in memory. The caller closes it. With `former`, without the last member, as in
 * files of version 0.1. */
static hid_t history_type(bool former)
{
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(pd_history_row));
    H5Tinsert(type, "epoch", offsetof(pd_history_row, epoch), H5T_NATIVE_INT32);
    for (int i = 0; i < PD_HISTORY_FIELDS - former; i++)
        H5Tinsert(type, pd_history_fields[i].name, pd_history_fields[i].offset, H5T_NATIVE_DOUBLE);
    return type;
}

/* The same in the file: without padding, whose bytes are indeterminate. */
static hid_t stored_history_type(bool former)
{
    hid_t type = history_type(former);
    H5Tpack(type);
    return type;
}

pd_status pd_history_put(const pd_hdf5 *file, const pd_train_state *state)
{
    const hsize_t dims[1] = {(hsize_t)state->history_count};
    hid_t memory = history_type(false), stored = stored_history_type(false);
    const pd_hdf5_shape shape = {stored, memory, 1, dims};
    pd_status status = pd_hdf5_put_array(file, file->id, "history", &shape, state->history);
    pd_hdf5_close(&stored);
    pd_hdf5_close(&memory);
    return status;
}

/* Whether /history was written by version 0.1. */
static bool has_former_history(const pd_hdf5 *file)
{
    hid_t array = H5Dopen2(file->id, "/history", H5P_DEFAULT);
    hid_t type = array < 0 ? H5I_INVALID_HID : H5Dget_type(array);
    bool former = type >= 0 && H5Tget_class(type) == H5T_COMPOUND &&
                  H5Tget_member_index(type, "val_stress_auc") < 0;
    pd_hdf5_close(&type);
    pd_hdf5_close(&array);
    return former;
}

pd_status pd_history_get(const pd_hdf5 *file, pd_train_state *state)
{
    pd_status status = PD_OK;
    int64_t count = 0;
    bool former = has_former_history(file);
    hid_t memory = history_type(former), stored = stored_history_type(former);
    PD_TRY(pd_hdf5_get_vector(file, "/history", stored, memory, sizeof(pd_history_row),
                              &state->history, &count));
    for (int64_t i = 0; i < count && former; i++)
        state->history[i].val_stress_auc = (double)NAN;
    if (count > INT_MAX)
        status = pd_hdf5_fail_read(file, "'/history' has too many rows");
    else
        state->history_count = (int)count;

cleanup:
    pd_hdf5_close(&stored);
    pd_hdf5_close(&memory);
    return status;
}
