#include "keras.h"

#include "pneumo/base/memory.h"

#include "hdf5_array.h"
#include "hdf5_attribute.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The version whose layout this is. */
static const char *const KERAS_VERSION = "2.4.0";

/* --- Writing. --- */

static pd_status put_version(const pd_hdf5 *file, hid_t object)
{
    pd_status status = pd_hdf5_put_text(file, object, "backend", "tensorflow");
    if (status == PD_OK)
        status = pd_hdf5_put_text(file, object, "keras_version", KERAS_VERSION);
    return status;
}

pd_status pd_keras_put_config(const pd_hdf5 *file, const char *config)
{
    pd_status status = put_version(file, file->id);
    return status == PD_OK ? pd_hdf5_put_text(file, file->id, "model_config", config) : status;
}

pd_status pd_keras_check_name(const pd_hdf5 *file, const char *name)
{
    if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0)
        return pd_fail("%s: cannot write: '%s' is not a valid name of a layer or weight",
                       file->path, name);
    return PD_OK;
}

/* Writes `array` as <layer>/<weight>:0 below `group`. */
static pd_status put_weight(const pd_hdf5 *file, hid_t group, const pd_array *array)
{
    pd_status status = PD_OK;
    hsize_t dims[PD_ARRAY_RANK_MAX];
    char *name = NULL;
    PD_TRY(pd_keras_check_name(file, array->layer));
    PD_TRY(pd_keras_check_name(file, array->weight));
    if (array->rank < 1 || array->rank > PD_ARRAY_RANK_MAX) {
        status = pd_fail("%s: cannot write: weight '%s' of layer '%s' has %d dimensions",
                         file->path, array->weight, array->layer, array->rank);
        goto cleanup;
    }
    for (int i = 0; i < array->rank; i++)
        dims[i] = (hsize_t)array->dims[i];
    if (H5Lexists(group, array->layer, H5P_DEFAULT) <= 0)
        PD_TRY(pd_hdf5_put_group(NULL, file, group, array->layer));
    PD_TRY(pd_format(&name, "%s/%s:0", array->layer, array->weight));
    const pd_hdf5_shape shape = {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, array->rank, dims};
    PD_TRY(pd_hdf5_put_array(file, group, name, &shape, array->data));

cleanup:
    free(name);
    return status;
}

pd_status pd_keras_put_weights(const pd_hdf5 *file, hid_t group, const pd_array *arrays, int count,
                               const char *layer)
{
    pd_status status = PD_OK;
    char **names = NULL;
    int used = 0;
    PD_TRY(pd_alloc(&names, (size_t)count, sizeof *names));
    for (int i = 0; i < count; i++) {
        if (layer != NULL && strcmp(arrays[i].layer, layer) != 0)
            continue;
        PD_TRY(put_weight(file, group, &arrays[i]));
        PD_TRY(pd_format(&names[used], "%s/%s:0", arrays[i].layer, arrays[i].weight));
        used++;
    }
    PD_TRY(pd_hdf5_put_texts(file, group, "weight_names", (const char *const *)names, used));

cleanup:
    for (int i = 0; i < used; i++)
        free(names[i]);
    free(names);
    return status;
}

pd_status pd_keras_put_model(const pd_hdf5 *file, const char *name, const char *const *layers,
                             int layer_count, const pd_array *weights, int weight_count)
{
    pd_status status = PD_OK;
    hid_t model = H5I_INVALID_HID, group = H5I_INVALID_HID;
    PD_TRY(pd_hdf5_put_group(&model, file, file->id, name));
    PD_TRY(pd_hdf5_put_texts(file, model, "layer_names", layers, layer_count));
    PD_TRY(put_version(file, model));
    for (int i = 0; i < layer_count; i++) {
        PD_TRY(pd_keras_check_name(file, layers[i]));
        PD_TRY(pd_hdf5_put_group(&group, file, model, layers[i]));
        PD_TRY(pd_keras_put_weights(file, group, weights, weight_count, layers[i]));
        pd_hdf5_close(&group);
    }

cleanup:
    pd_hdf5_close(&group);
    pd_hdf5_close(&model);
    return status;
}

/* --- Reading. --- */

pd_status pd_keras_get_config(const pd_hdf5 *file, const char *object, char **config)
{
    *config = NULL;
    if (H5Aexists_by_name(file->id, object, "model_config", H5P_DEFAULT) <= 0)
        return PD_OK;
    return pd_hdf5_get_long_text(file, object, "model_config", config);
}

const char *pd_keras_root(const pd_hdf5 *file)
{
    return H5Aexists_by_name(file->id, "/", "layer_names", H5P_DEFAULT) > 0 ? "" : "/model_weights";
}

pd_status pd_keras_get_layers(const pd_hdf5 *file, const char *root, char ***out, int *count)
{
    int64_t found = 0;
    const char *group = root[0] == '\0' ? "/" : root;
    pd_status status = pd_hdf5_get_texts(file, group, "layer_names", out, &found);
    if (status == PD_OK && found > INT_MAX)
        status = pd_hdf5_fail_read(file, "'%s' has too many layers", group);
    *count = status == PD_OK ? (int)found : 0;
    return status;
}

/* Splits "scope/weight:0" into the array's two names. */
static pd_status split_name(const pd_hdf5 *file, const char *name, pd_array *array)
{
    const char *slash = strrchr(name, '/');
    const char *weight = slash == NULL ? name : slash + 1;
    int scope = slash == NULL ? 0 : (int)(slash - name), length = (int)strcspn(weight, ":");
    char *text = NULL;
    if (length == 0)
        return pd_hdf5_fail_read(file, "'%s' is not the name of a weight", name);
    pd_status status = pd_format(&text, "%.*s", scope, name);
    array->layer = text;
    if (status != PD_OK)
        return status;
    status = pd_format(&text, "%.*s", length, weight);
    array->weight = text;
    return status;
}

/* Reads the dimensions of `object`, opened in *out; the caller closes it. */
static pd_status open_data(hid_t *out, const pd_hdf5 *file, const char *object, pd_array *array)
{
    pd_status status = PD_OK;
    hsize_t dims[PD_ARRAY_RANK_MAX];
    int rank = 0;
    PD_TRY(pd_hdf5_get_rank(file, object, &rank));
    if (rank < 1 || rank > PD_ARRAY_RANK_MAX) {
        status = pd_hdf5_fail_read(file, "array '%s' has the wrong shape", object);
        goto cleanup;
    }
    PD_TRY(pd_hdf5_open_array(out, file, object, H5T_IEEE_F32LE, rank, dims));
    array->rank = rank;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 1 || dims[i] > INT_MAX) {
            status = pd_hdf5_fail_read(file, "array '%s' has the wrong shape", object);
            goto cleanup;
        }
        array->dims[i] = (int)dims[i];
    }

cleanup:
    return status;
}

static pd_status get_data(const pd_hdf5 *file, const char *object, pd_array *array, int64_t *budget)
{
    pd_status status = PD_OK;
    hid_t data = H5I_INVALID_HID;
    size_t items = 1;
    PD_TRY(open_data(&data, file, object, array));
    for (int i = 0; i < array->rank; i++)
        items *= (size_t)array->dims[i];
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

/* The arrays that there is room for once there are `count`: a power of 2. */
static size_t room_for(int64_t count)
{
    size_t room = 1;
    while (room < (size_t)count)
        room *= 2;
    return room;
}

/* Makes room for `more` arrays behind (*arrays)[count]. */
static pd_status grow(pd_array **arrays, int count, int64_t more)
{
    pd_array *grown = NULL;
    if (*arrays != NULL && room_for(count + more) == room_for(count))
        return PD_OK;
    pd_status status = pd_alloc(&grown, room_for(count + more), sizeof *grown);
    if (status != PD_OK)
        return status;
    if (count > 0)
        memcpy(grown, *arrays, (size_t)count * sizeof *grown);
    free(*arrays);
    *arrays = grown;
    return PD_OK;
}

pd_status pd_keras_get_weights(const pd_hdf5 *file, const char *group, pd_array **arrays,
                               int *count, int64_t *budget)
{
    pd_status status = PD_OK;
    char **names = NULL, *object = NULL;
    int64_t found = 0;
    PD_TRY(pd_hdf5_get_texts(file, group, "weight_names", &names, &found));
    if (found > INT_MAX - *count) {
        status = pd_hdf5_fail_read(file, "'%s' has too many weights", group);
        goto cleanup;
    }
    PD_TRY(grow(arrays, *count, found));
    for (int64_t i = 0; i < found; i++) {
        /* Counted first, so that the caller also frees a partly read one. */
        pd_array *array = &(*arrays)[(*count)++];
        PD_TRY(split_name(file, names[i], array));
        free(object);
        PD_TRY(pd_format(&object, "%s/%s", group, names[i]));
        PD_TRY(get_data(file, object, array, budget));
    }

cleanup:
    free(object);
    free(names);
    return status;
}
