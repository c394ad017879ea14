#include "pneumo/io/checkpoint.h"

#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"
#include "pneumo/io/hdf5.h"

#include "checkpoint_hdf5.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANK_MAX = 4 };

/* A member of pd_checkpoint that is stored as an attribute. */
typedef enum field_kind { INTEGER, UNSIGNED, REAL, TEXT } field_kind;
typedef struct field {
    const char *group, *name;
    field_kind kind;
    size_t offset, size;
} field;

#define FIELD(group, name, member, kind)                                                           \
    {                                                                                              \
        group, name, kind, offsetof(pd_checkpoint, member), sizeof(((pd_checkpoint *)0)->member)   \
    }

const char *const pd_trait_names[PD_TRAITS] = {"side", "ratio",     "black",   "deviation",
                                               "mean", "sharpness", "likeness"};

static const field state_fields[] = {
    FIELD("/state", "job_name", job_name, TEXT),
    FIELD("/state", "model", model, TEXT),
    FIELD("/state", "epoch", state.epoch, INTEGER),
    FIELD("/state", "step", state.step, INTEGER),
    FIELD("/state", "epoch_step", state.epoch_step, INTEGER),
    FIELD("/state", "seed", state.seed, UNSIGNED),
    FIELD("/state", "lanes", state.lanes, INTEGER),
    FIELD("/state", "best_metric", state.best_metric, REAL),
    FIELD("/state", "best_epoch", state.best_epoch, INTEGER),
    FIELD("/state", "patience_left", state.patience_left, INTEGER),
    FIELD("/state", "plateau_left", state.plateau_left, INTEGER),
    FIELD("/state", "pixel_mean", pixel_mean, REAL),
    FIELD("/state", "pixel_deviation", pixel_deviation, REAL),
    FIELD("/state", "image_height", image_height, INTEGER),
    FIELD("/state", "image_width", image_width, INTEGER),
    FIELD("/state", "learning_scale", state.learning_scale, REAL),
    FIELD("/state", "epoch_loss_sum", state.epoch_loss_sum, REAL),
    FIELD("/state", "epoch_norm_sum", state.epoch_norm_sum, REAL),
    FIELD("/state", "data_digest", data_digest, TEXT),
};
static const field decision_fields[] = {
    FIELD("/decision", "threshold", decision.threshold, REAL),
    FIELD("/decision", "target_sensitivity", decision.target_sensitivity, REAL),
    FIELD("/decision", "decision_rule", decision.rule, TEXT),
    FIELD("/decision", "decision_fold", decision.fold, TEXT),
    FIELD("/decision", "temperature", decision.temperature, REAL),
    FIELD("/decision", "refer_low", decision.refer_low, REAL),
    FIELD("/decision", "refer_high", decision.refer_high, REAL),
    FIELD("/decision", "test_looks", test_looks, INTEGER),
};
static const field site_fields[] = {
    FIELD("/calibration", "source", site.source, TEXT),
    FIELD("/calibration", "data_digest", site.data_digest, TEXT),
    FIELD("/calibration", "rule", site.rule, TEXT),
    FIELD("/calibration", "target_sensitivity", site.target_sensitivity, REAL),
    FIELD("/calibration", "target_specificity", site.target_specificity, REAL),
    FIELD("/calibration", "normal", site.normal, INTEGER),
    FIELD("/calibration", "pneumonia", site.pneumonia, INTEGER),
    FIELD("/calibration", "image_height", site.image_height, INTEGER),
    FIELD("/calibration", "image_width", site.image_width, INTEGER),
};
enum {
    SITE_FIELDS = sizeof site_fields / sizeof *site_fields,
    STATE_FIELDS = sizeof state_fields / sizeof *state_fields,
    DECISION_FIELDS = sizeof decision_fields / sizeof *decision_fields
};

static hid_t number_type(field_kind kind)
{
    return kind == REAL       ? H5T_NATIVE_DOUBLE
           : kind == UNSIGNED ? H5T_NATIVE_UINT64
                              : H5T_NATIVE_INT64;
}

/* A row of /history in memory. The caller closes it. `former`: as files of version 0.1 have it,
 * which lack the last member. */
static hid_t history_type(bool former)
{
    static const struct {
        const char *name;
        size_t offset;
    } rates[] = {
        {"learning_rate", offsetof(pd_history_row, learning_rate)},
        {"train_loss", offsetof(pd_history_row, train_loss)},
        {"val_loss", offsetof(pd_history_row, val_loss)},
        {"val_auc", offsetof(pd_history_row, val_auc)},
        {"val_accuracy", offsetof(pd_history_row, val_accuracy)},
        {"val_sensitivity", offsetof(pd_history_row, val_sensitivity)},
        {"val_specificity", offsetof(pd_history_row, val_specificity)},
        {"gradient_norm", offsetof(pd_history_row, gradient_norm)},
        {"val_stress_auc", offsetof(pd_history_row, val_stress_auc)},
    };
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(pd_history_row));
    H5Tinsert(type, "epoch", offsetof(pd_history_row, epoch), H5T_NATIVE_INT32);
    for (size_t i = 0; i < sizeof rates / sizeof *rates - former; i++)
        H5Tinsert(type, rates[i].name, rates[i].offset, H5T_NATIVE_DOUBLE);
    return type;
}

/* The same in the file: without the gaps, whose bytes would be arbitrary. */
static hid_t stored_history_type(bool former)
{
    hid_t type = history_type(former);
    H5Tpack(type);
    return type;
}

/* An image's identity: 16 bytes. The caller closes it. */
static hid_t identity_type(void)
{
    return H5Tarray_create(H5T_STD_U8LE, 1, (const hsize_t[]){sizeof(pd_identity)});
}

/* --- Saving. --- */

static pd_status put_fields(const pd_hdf5 *file, hid_t group, const field *fields, int count,
                            const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    for (int i = 0; i < count; i++) {
        const char *value = (const char *)checkpoint + fields[i].offset;
        if (fields[i].kind == TEXT)
            PD_TRY(pd_hdf5_put_text(file, group, fields[i].name, value));
        else
            PD_TRY(pd_hdf5_put_number(file, group, fields[i].name, number_type(fields[i].kind),
                                      value));
    }

cleanup:
    return status;
}

/* Names become parts of paths in the file. */
static pd_status check_name(const pd_hdf5 *file, const char *name)
{
    if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0)
        return pd_fail("%s: cannot write: '%s' cannot be a layer's or weight's name", file->path,
                       name);
    return PD_OK;
}

/* Writes `array` as <layer>/<weight>:0 below `parent`. */
static pd_status put_weight(const pd_hdf5 *file, hid_t parent, const pd_array *array)
{
    pd_status status = PD_OK;
    hsize_t dims[RANK_MAX];
    char *name = NULL;
    PD_TRY(check_name(file, array->layer));
    PD_TRY(check_name(file, array->weight));
    if (array->rank < 1 || array->rank > RANK_MAX) {
        status = pd_fail("%s: cannot write: weight '%s' of layer '%s' has %d dimensions",
                         file->path, array->weight, array->layer, array->rank);
        goto cleanup;
    }
    for (int i = 0; i < array->rank; i++)
        dims[i] = (hsize_t)array->dims[i];
    if (H5Lexists(parent, array->layer, H5P_DEFAULT) <= 0)
        PD_TRY(pd_hdf5_put_group(NULL, file, parent, array->layer));
    PD_TRY(pd_format(&name, "%s/%s:0", array->layer, array->weight));
    PD_TRY(pd_hdf5_put_array(file, parent, name, H5T_IEEE_F32LE, array->rank, dims,
                             H5T_NATIVE_FLOAT, array->data));

cleanup:
    free(name);
    return status;
}

/* Writes those arrays that belong to `layer` (NULL: all) below `parent`, and their names as its
 * attribute. */
static pd_status put_weights(const pd_hdf5 *file, hid_t parent, const pd_array *arrays, int count,
                             const char *layer)
{
    pd_status status = PD_OK;
    char **names = NULL;
    int used = 0;
    PD_TRY(pd_alloc(&names, (size_t)count, sizeof *names));
    for (int i = 0; i < count; i++) {
        if (layer != NULL && strcmp(arrays[i].layer, layer) != 0)
            continue;
        PD_TRY(put_weight(file, parent, &arrays[i]));
        PD_TRY(pd_format(&names[used], "%s/%s:0", arrays[i].layer, arrays[i].weight));
        used++;
    }
    PD_TRY(pd_hdf5_put_texts(file, parent, "weight_names", (const char *const *)names, used));

cleanup:
    for (int i = 0; i < used; i++)
        free(names[i]);
    free(names);
    return status;
}

static pd_status put_model(const pd_hdf5 *file, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    hid_t model = H5I_INVALID_HID, group = H5I_INVALID_HID;
    PD_TRY(pd_hdf5_put_group(&model, file, file->id, "model_weights"));
    PD_TRY(pd_hdf5_put_texts(file, model, "layer_names", checkpoint->arrays.layers,
                             checkpoint->arrays.layer_count));
    PD_TRY(pd_hdf5_put_text(file, model, "backend", "tensorflow"));
    PD_TRY(pd_hdf5_put_text(file, model, "keras_version", "2.4.0"));
    for (int i = 0; i < checkpoint->arrays.layer_count; i++) {
        PD_TRY(check_name(file, checkpoint->arrays.layers[i]));
        PD_TRY(pd_hdf5_put_group(&group, file, model, checkpoint->arrays.layers[i]));
        PD_TRY(put_weights(file, group, checkpoint->arrays.weights, checkpoint->arrays.weight_count,
                           checkpoint->arrays.layers[i]));
        pd_hdf5_close(&group);
    }

cleanup:
    pd_hdf5_close(&group);
    pd_hdf5_close(&model);
    return status;
}

static pd_status put_slots(const pd_hdf5 *file, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    hid_t optimizer = H5I_INVALID_HID, group = H5I_INVALID_HID;
    const char *names[PD_SLOTS_MAX];
    PD_TRY(pd_hdf5_put_group(&optimizer, file, file->id, "optimizer"));
    for (int i = 0; i < checkpoint->arrays.slot_count; i++) {
        const pd_slot *slot = &checkpoint->arrays.slots[i];
        names[i] = slot->name;
        PD_TRY(check_name(file, slot->name));
        PD_TRY(pd_hdf5_put_group(&group, file, optimizer, slot->name));
        PD_TRY(put_weights(file, group, slot->arrays, slot->count, NULL));
        pd_hdf5_close(&group);
    }
    PD_TRY(pd_hdf5_put_texts(file, optimizer, "slot_names", names, checkpoint->arrays.slot_count));

cleanup:
    pd_hdf5_close(&group);
    pd_hdf5_close(&optimizer);
    return status;
}

static pd_status put_history(const pd_hdf5 *file, const pd_checkpoint *checkpoint)
{
    hsize_t dims[1] = {(hsize_t)checkpoint->state.history_count};
    hid_t memory = history_type(false), stored = stored_history_type(false);
    pd_status status = pd_hdf5_put_array(file, file->id, "history", stored, 1, dims, memory,
                                         checkpoint->state.history);
    pd_hdf5_close(&stored);
    pd_hdf5_close(&memory);
    return status;
}

pd_status pd_checkpoint_put_decision(const pd_hdf5 *file, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    hid_t decision = H5I_INVALID_HID;
    int64_t views = checkpoint->decision.views;
    PD_TRY(pd_hdf5_put_group(&decision, file, file->id, "decision"));
    PD_TRY(put_fields(file, decision, decision_fields, DECISION_FIELDS, checkpoint));
    PD_TRY(pd_hdf5_put_number(file, decision, "views", H5T_NATIVE_INT64, &views));

cleanup:
    pd_hdf5_close(&decision);
    return status;
}

static pd_status put_state(const pd_hdf5 *file, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    hid_t state = H5I_INVALID_HID;
    int64_t finished = checkpoint->state.finished;
    PD_TRY(pd_hdf5_put_group(&state, file, file->id, "state"));
    PD_TRY(put_fields(file, state, state_fields, STATE_FIELDS, checkpoint));
    PD_TRY(pd_hdf5_put_number(file, state, "finished", H5T_NATIVE_INT64, &finished));
    if (checkpoint->has_decision)
        PD_TRY(pd_checkpoint_put_decision(file, checkpoint));

cleanup:
    pd_hdf5_close(&state);
    return status;
}

/* The numbers of a trait's range and the ends of their attributes' names. */
enum { RANGE_FIELDS = 4 };
static const struct {
    const char *suffix;
    size_t offset;
} range_fields[RANGE_FIELDS] = {{"low", offsetof(pd_trait_range, low)},
                                {"high", offsetof(pd_trait_range, high)},
                                {"least", offsetof(pd_trait_range, least)},
                                {"most", offsetof(pd_trait_range, most)}};

/* "sharpness_low" */
static void name_range(char name[32], int trait, int number)
{
    snprintf(name, 32, "%s_%s", pd_trait_names[trait], range_fields[number].suffix);
}

static pd_status put_profile(const pd_hdf5 *file, const pd_checkpoint *checkpoint)
{
    static const char *const meaning =
        "low to high hold 99.9 % of the training images; below least or above most, an image is "
        "unlike them";
    const hsize_t dims[2] = {PD_PROFILE_GRID, PD_PROFILE_GRID};
    const pd_profile *profile = &checkpoint->profile;
    pd_status status = PD_OK;
    hid_t group = H5I_INVALID_HID;
    char name[32];
    if (!checkpoint->has_profile)
        return PD_OK;
    PD_TRY(pd_hdf5_put_group(&group, file, file->id, "profile"));
    PD_TRY(pd_hdf5_put_text(file, group, "meaning", meaning));
    PD_TRY(pd_hdf5_put_number(file, group, "images", H5T_NATIVE_INT64, &profile->images));
    for (int i = 0; i < PD_TRAITS * RANGE_FIELDS; i++) {
        int trait = i / RANGE_FIELDS, number = i % RANGE_FIELDS;
        name_range(name, trait, number);
        PD_TRY(pd_hdf5_put_number(file, group, name, H5T_NATIVE_DOUBLE,
                                  (const char *)&profile->ranges[trait] +
                                      range_fields[number].offset));
    }
    PD_TRY(pd_hdf5_put_array(file, group, "mean_image", H5T_IEEE_F32LE, 2, dims, H5T_NATIVE_FLOAT,
                             profile->mean));

cleanup:
    pd_hdf5_close(&group);
    return status;
}

static pd_status put_site(const pd_hdf5 *file, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    hid_t group = H5I_INVALID_HID, type = H5I_INVALID_HID;
    const hsize_t dims[1] = {(hsize_t)checkpoint->site.count};
    if (checkpoint->site.count == 0)
        return PD_OK;
    PD_TRY(pd_hdf5_put_group(&group, file, file->id, "calibration"));
    PD_TRY(put_fields(file, group, site_fields, SITE_FIELDS, checkpoint));
    type = identity_type();
    PD_TRY(pd_hdf5_put_array(file, group, "images", type, 1, dims, type, checkpoint->site.images));

cleanup:
    pd_hdf5_close(&type);
    pd_hdf5_close(&group);
    return status;
}

static pd_status put_job(const pd_hdf5 *file, const char *job)
{
    const char *text = job == NULL ? "" : job;
    hid_t type = pd_hdf5_text_type(text[0] == '\0' ? 1 : strlen(text));
    pd_status status = pd_hdf5_put_array(file, file->id, "job", type, 0, NULL, type, text);
    pd_hdf5_close(&type);
    return status;
}

pd_status pd_checkpoint_save(const char *path, const pd_checkpoint *checkpoint)
{
    return pd_checkpoint_replace(path, NULL, checkpoint);
}

pd_status pd_checkpoint_put(pd_hdf5 *out, pd_hdf5_image *image, const char *path,
                            const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    /* Made in memory and written as plain bytes, since HDF5 cannot recover from a full disk. */
    PD_TRY(pd_hdf5_create_in_memory(out, path, image));
    PD_TRY(
        pd_hdf5_put_format(out, PD_CHECKPOINT_FORMAT, PD_CHECKPOINT_VERSION, checkpoint->version));
    PD_TRY(put_model(out, checkpoint));
    PD_TRY(put_slots(out, checkpoint));
    PD_TRY(put_history(out, checkpoint));
    PD_TRY(put_state(out, checkpoint));
    PD_TRY(put_profile(out, checkpoint));
    PD_TRY(put_site(out, checkpoint));
    PD_TRY(put_job(out, checkpoint->job));

cleanup:
    return status;
}

pd_status pd_checkpoint_replace(const char *path, const char *kept, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    pd_hdf5 file = {.id = H5I_INVALID_HID};
    pd_hdf5_image image = {.bytes = NULL};
    if (checkpoint->arrays.slot_count > PD_SLOTS_MAX)
        return pd_fail("%s: cannot write: %d optimiser slots are more than %d", path,
                       checkpoint->arrays.slot_count, PD_SLOTS_MAX);
    PD_TRY(pd_checkpoint_put(&file, &image, path, checkpoint));
    PD_TRY(pd_hdf5_close_in_memory(&file, &image));
    PD_TRY(pd_file_replace(path, kept, image.bytes, image.size));

cleanup:
    pd_hdf5_close(&file.id);
    free(image.bytes);
    return status;
}

/* --- Loading. --- */

static pd_status get_fields(const pd_hdf5 *file, const field *fields, int count,
                            pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    for (int i = 0; i < count; i++) {
        char *value = (char *)checkpoint + fields[i].offset;
        if (fields[i].kind == TEXT)
            PD_TRY(pd_hdf5_get_text(file, fields[i].group, fields[i].name, value, fields[i].size));
        else
            PD_TRY(pd_hdf5_get_number(file, fields[i].group, fields[i].name,
                                      number_type(fields[i].kind), value));
    }

cleanup:
    return status;
}

/* Splits "layer/weight:0" into the array's two names. */
static pd_status split_name(const pd_hdf5 *file, const char *name, pd_array *array)
{
    pd_status status = PD_OK;
    char *part = NULL;
    const char *slash = strrchr(name, '/');
    const char *suffix = slash == NULL ? NULL : strrchr(slash, ':');
    if (suffix == NULL || slash == name || suffix == slash + 1)
        return pd_hdf5_fail_read(file, "'%s' is not the name of a weight", name);
    PD_TRY(pd_format(&part, "%.*s", (int)(slash - name), name));
    array->layer = part;
    PD_TRY(pd_format(&part, "%.*s", (int)(suffix - slash - 1), slash + 1));
    array->weight = part;

cleanup:
    return status;
}

static pd_status get_data(const pd_hdf5 *file, const char *object, pd_array *array, int64_t *budget)
{
    pd_status status = PD_OK;
    hid_t data = H5I_INVALID_HID;
    hsize_t dims[RANK_MAX];
    size_t items = 1;
    int rank = 0;
    PD_TRY(pd_hdf5_get_rank(file, object, &rank));
    if (rank < 1 || rank > RANK_MAX) {
        status = pd_hdf5_fail_read(file, "array '%s' has the wrong shape", object);
        goto cleanup;
    }
    PD_TRY(pd_hdf5_open_array(&data, file, object, H5T_IEEE_F32LE, rank, dims));
    array->rank = rank;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 1 || dims[i] > INT_MAX) {
            status = pd_hdf5_fail_read(file, "array '%s' has the wrong shape", object);
            goto cleanup;
        }
        array->dims[i] = (int)dims[i];
        items *= (size_t)dims[i];
    }
    *budget -= (int64_t)(items * sizeof(float));
    if (*budget < 0) {
        status = pd_hdf5_fail_read(file, "names more arrays than it holds");
        goto cleanup;
    }
    PD_TRY(pd_alloc(&array->data, items, sizeof(float)));
    if (H5Dread(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, array->data) < 0)
        status = pd_hdf5_fail_read(file, "array '%s' is damaged", object);

cleanup:
    pd_hdf5_close(&data);
    return status;
}

/* Appends the arrays that attribute weight_names of the group `parent` lists. They all share
 * `budget`, the bytes that the file can hold. */
static pd_status get_weights(const pd_hdf5 *file, const char *parent, pd_array **arrays, int *count,
                             int64_t *budget)
{
    pd_status status = PD_OK;
    char **names = NULL, *object = NULL;
    pd_array *grown = NULL;
    int64_t found = 0;
    PD_TRY(pd_hdf5_get_texts(file, parent, "weight_names", 1, &names, &found));
    if (found > INT_MAX - *count) {
        status = pd_hdf5_fail_read(file, "'%s' has too many weights", parent);
        goto cleanup;
    }
    PD_TRY(pd_alloc(&grown, (size_t)(*count + found), sizeof *grown));
    if (*count > 0)
        memcpy(grown, *arrays, (size_t)*count * sizeof *grown);
    free(*arrays);
    *arrays = grown;
    for (int64_t i = 0; i < found; i++) {
        /* Counted first, so that a half-read one is released with the others. */
        pd_array *array = &(*arrays)[(*count)++];
        PD_TRY(split_name(file, names[i], array));
        free(object);
        PD_TRY(pd_format(&object, "%s/%s", parent, names[i]));
        PD_TRY(get_data(file, object, array, budget));
    }

cleanup:
    free(object);
    free(names);
    return status;
}

static pd_status get_model(const pd_hdf5 *file, pd_checkpoint *checkpoint, int64_t *budget)
{
    pd_status status = PD_OK;
    char **layers = NULL, *parent = NULL;
    int64_t count = 0;
    PD_TRY(pd_hdf5_get_texts(file, "/model_weights", "layer_names", 1, &layers, &count));
    checkpoint->arrays.layers = (const char **)layers;
    if (count > INT_MAX) {
        status = pd_hdf5_fail_read(file, "'/model_weights' has too many layers");
        goto cleanup;
    }
    checkpoint->arrays.layer_count = (int)count;
    for (int i = 0; i < checkpoint->arrays.layer_count; i++) {
        int first = checkpoint->arrays.weight_count;
        free(parent);
        PD_TRY(pd_format(&parent, "/model_weights/%s", layers[i]));
        PD_TRY(get_weights(file, parent, &checkpoint->arrays.weights,
                           &checkpoint->arrays.weight_count, budget));
        for (int w = first; w < checkpoint->arrays.weight_count; w++) {
            if (strcmp(checkpoint->arrays.weights[w].layer, layers[i]) != 0) {
                status = pd_hdf5_fail_read(file, "'%s' lists a weight of layer '%s'", parent,
                                           checkpoint->arrays.weights[w].layer);
                goto cleanup;
            }
        }
    }

cleanup:
    free(parent);
    return status;
}

static pd_status get_slots(const pd_hdf5 *file, pd_checkpoint *checkpoint, int64_t *budget)
{
    pd_status status = PD_OK;
    char **names = NULL, *parent = NULL;
    int64_t count = 0;
    PD_TRY(pd_hdf5_get_texts(file, "/optimizer", "slot_names", 1, &names, &count));
    if (count > PD_SLOTS_MAX) {
        status = pd_hdf5_fail_read(file, "has %lld optimiser slots, more than %d", (long long)count,
                                   PD_SLOTS_MAX);
        goto cleanup;
    }
    for (int i = 0; i < (int)count; i++) {
        pd_slot *slot = &checkpoint->arrays.slots[checkpoint->arrays.slot_count++];
        char *name;
        PD_TRY(pd_strdup(&name, names[i]));
        slot->name = name;
        free(parent);
        PD_TRY(pd_format(&parent, "/optimizer/%s", names[i]));
        PD_TRY(get_weights(file, parent, &slot->arrays, &slot->count, budget));
    }

cleanup:
    free(parent);
    free(names);
    return status;
}

/* Whether the rows of /history are those of version 0.1. */
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

static pd_status get_history(const pd_hdf5 *file, pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    int64_t count = 0;
    bool former = has_former_history(file);
    hid_t memory = history_type(former), stored = stored_history_type(former);
    PD_TRY(pd_hdf5_get_vector(file, "/history", stored, memory, sizeof(pd_history_row),
                              &checkpoint->state.history, &count));
    for (int64_t i = 0; i < count && former; i++)
        checkpoint->state.history[i].val_stress_auc = (double)NAN;
    if (count > INT_MAX)
        status = pd_hdf5_fail_read(file, "'/history' has too many rows");
    else
        checkpoint->state.history_count = (int)count;

cleanup:
    pd_hdf5_close(&stored);
    pd_hdf5_close(&memory);
    return status;
}

/* Version 0.1 kept whether it averaged over mirror images, and knew no other views. */
static pd_status get_views(const pd_hdf5 *file, pd_checkpoint *checkpoint)
{
    int64_t mirrors = 0;
    if (H5Aexists_by_name(file->id, "/decision", "flip_average", H5P_DEFAULT) <= 0)
        return pd_hdf5_get_number(file, "/decision", "views", H5T_NATIVE_INT,
                                  &checkpoint->decision.views);
    pd_status status =
        pd_hdf5_get_number(file, "/decision", "flip_average", H5T_NATIVE_INT64, &mirrors);
    checkpoint->decision.views = mirrors != 0 ? 2 : 1;
    return status;
}

pd_status pd_checkpoint_get_decision(const pd_hdf5 *file, pd_checkpoint *checkpoint)
{
    pd_status status = get_fields(file, decision_fields, DECISION_FIELDS, checkpoint);
    return status == PD_OK ? get_views(file, checkpoint) : status;
}

static pd_status get_state(const pd_hdf5 *file, pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    int64_t finished = 0;
    PD_TRY(get_fields(file, state_fields, STATE_FIELDS, checkpoint));
    PD_TRY(pd_hdf5_get_number(file, "/state", "finished", H5T_NATIVE_INT64, &finished));
    checkpoint->state.finished = finished != 0;
    if (checkpoint->state.epoch < 0 || checkpoint->state.step < 0 ||
        checkpoint->state.epoch_step < 0 || checkpoint->state.lanes < 0) {
        status = pd_hdf5_fail_read(file, "its epoch, step or lanes are negative");
        goto cleanup;
    }
    checkpoint->has_decision = H5Lexists(file->id, "decision", H5P_DEFAULT) > 0;
    if (checkpoint->has_decision)
        status = pd_checkpoint_get_decision(file, checkpoint);

cleanup:
    return status;
}

static pd_status get_mean_image(const pd_hdf5 *file, pd_profile *profile)
{
    pd_status status = PD_OK;
    hid_t data = H5I_INVALID_HID;
    hsize_t dims[2];
    PD_TRY(pd_hdf5_open_array(&data, file, "/profile/mean_image", H5T_IEEE_F32LE, 2, dims));
    if (dims[0] != PD_PROFILE_GRID || dims[1] != PD_PROFILE_GRID)
        status = pd_hdf5_fail_read(file, "array '/profile/mean_image' has the wrong shape");
    else if (H5Dread(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, profile->mean) < 0)
        status = pd_hdf5_fail_read(file, "array '/profile/mean_image' is damaged");
    for (int i = 0; i < PD_PROFILE_GRID * PD_PROFILE_GRID && status == PD_OK; i++)
        if (!(profile->mean[i] >= 0 && profile->mean[i] <= 255))
            status = pd_hdf5_fail_read(file, "array '/profile/mean_image' holds %g, no grey value",
                                       (double)profile->mean[i]);

cleanup:
    pd_hdf5_close(&data);
    return status;
}

static pd_status get_profile(const pd_hdf5 *file, pd_checkpoint *checkpoint)
{
    pd_profile *profile = &checkpoint->profile;
    pd_status status = PD_OK;
    char name[32];
    checkpoint->has_profile = H5Lexists(file->id, "profile", H5P_DEFAULT) > 0;
    if (!checkpoint->has_profile)
        return PD_OK;
    PD_TRY(pd_hdf5_get_number(file, "/profile", "images", H5T_NATIVE_INT64, &profile->images));
    for (int i = 0; i < PD_TRAITS * RANGE_FIELDS; i++) {
        int trait = i / RANGE_FIELDS, number = i % RANGE_FIELDS;
        name_range(name, trait, number);
        PD_TRY(pd_hdf5_get_number(file, "/profile", name, H5T_NATIVE_DOUBLE,
                                  (char *)&profile->ranges[trait] + range_fields[number].offset));
    }
    for (int i = 0; i < PD_TRAITS; i++)
        /* A limit that is not a number would let every image pass. */
        if (!(profile->ranges[i].least <= profile->ranges[i].most)) {
            status = pd_hdf5_fail_read(file, "'/profile' has no valid limits of '%s'",
                                       pd_trait_names[i]);
            goto cleanup;
        }
    PD_TRY(get_mean_image(file, profile));

cleanup:
    return status;
}

/* Checkpoints that were never calibrated have no such group. */
static pd_status get_site(const pd_hdf5 *file, pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    pd_site *site = &checkpoint->site;
    hid_t type = H5I_INVALID_HID;
    if (H5Lexists(file->id, "calibration", H5P_DEFAULT) <= 0)
        return PD_OK;
    PD_TRY(get_fields(file, site_fields, SITE_FIELDS, checkpoint));
    type = identity_type();
    PD_TRY(pd_hdf5_get_vector(file, "/calibration/images", type, type, sizeof *site->images,
                              &site->images, &site->count));
    if (site->normal < 1 || site->pneumonia < 1 || site->normal > site->count ||
        site->pneumonia != site->count - site->normal)
        status = pd_hdf5_fail_read(file, "'/calibration' does not hold as many images as it says");
    for (int64_t i = 1; i < site->count && status == PD_OK; i++)
        if (memcmp(&site->images[i - 1], &site->images[i], sizeof *site->images) >= 0)
            status = pd_hdf5_fail_read(file, "'/calibration/images' is not in ascending order");

cleanup:
    pd_hdf5_close(&type);
    return status;
}

static pd_status get_job(const pd_hdf5 *file, pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    char **texts = NULL, *job = NULL;
    int64_t count = 0;
    PD_TRY(pd_hdf5_get_texts(file, "/job", NULL, 0, &texts, &count));
    PD_TRY(pd_strdup(&job, texts[0]));
    checkpoint->job = job;

cleanup:
    free(texts);
    return status;
}

pd_status pd_checkpoint_recognise(bool *is, const char *path)
{
    pd_hdf5 file;
    char format[64];
    *is = false;
    pd_status status = pd_hdf5_open(&file, path, "give a data set or a checkpoint");
    if (status == PD_OK)
        *is = pd_hdf5_get_text(&file, "/", "format", format, sizeof format) == PD_OK &&
              strcmp(format, PD_CHECKPOINT_FORMAT) == 0;
    pd_hdf5_close(&file.id);
    return status;
}

pd_status pd_checkpoint_get(pd_checkpoint **out, const pd_hdf5 *file)
{
    pd_status status = PD_OK;
    pd_checkpoint *checkpoint = NULL;
    int64_t budget = file->size;
    *out = NULL;
    PD_TRY(pd_alloc(&checkpoint, 1, sizeof *checkpoint));
    PD_TRY(pd_hdf5_check_format(file, PD_CHECKPOINT_FORMAT, PD_CHECKPOINT_VERSION));
    PD_TRY(pd_hdf5_get_text(file, "/", "program_version", checkpoint->version,
                            sizeof checkpoint->version));
    PD_TRY(get_model(file, checkpoint, &budget));
    PD_TRY(get_slots(file, checkpoint, &budget));
    PD_TRY(get_history(file, checkpoint));
    PD_TRY(get_state(file, checkpoint));
    PD_TRY(get_profile(file, checkpoint));
    PD_TRY(get_site(file, checkpoint));
    PD_TRY(get_job(file, checkpoint));
    *out = checkpoint;
    checkpoint = NULL;

cleanup:
    pd_checkpoint_destroy(&checkpoint);
    return status;
}

pd_status pd_checkpoint_load(pd_checkpoint **out, const char *path)
{
    pd_status status = PD_OK;
    pd_hdf5 file = {.id = H5I_INVALID_HID};
    *out = NULL;
    if (!pd_file_exists(path))
        return pd_fail("%s: cannot open: %s; give the best.h5 or last.h5 of a run", path,
                       strerror(errno));
    PD_TRY(pd_hdf5_open(&file, path, PD_CHECKPOINT_REMEDY));
    status = pd_checkpoint_get(out, &file);

cleanup:
    pd_hdf5_close(&file.id);
    return status;
}

static void free_arrays(pd_array *arrays, int count)
{
    for (int i = 0; i < count; i++) {
        free((void *)arrays[i].layer);
        free((void *)arrays[i].weight);
        free(arrays[i].data);
    }
    free(arrays);
}

void pd_checkpoint_destroy(pd_checkpoint **checkpoint)
{
    pd_checkpoint *old = *checkpoint;
    if (old == NULL)
        return;
    *checkpoint = NULL;
    free(old->arrays.layers);
    free_arrays(old->arrays.weights, old->arrays.weight_count);
    for (int i = 0; i < old->arrays.slot_count; i++) {
        free((void *)old->arrays.slots[i].name);
        free_arrays(old->arrays.slots[i].arrays, old->arrays.slots[i].count);
    }
    free(old->state.history);
    free(old->site.images);
    free((void *)old->job);
    free(old);
}

const pd_array *pd_array_find(const pd_array *arrays, int count, const char *layer,
                              const char *weight)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(arrays[i].layer, layer) == 0 && strcmp(arrays[i].weight, weight) == 0)
            return &arrays[i];
    }
    return NULL;
}
