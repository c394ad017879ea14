#include "arrays_internal.h"

#include "pneumo/base/memory.h"

#include "hdf5_attribute.h"
#include "keras.h"

#include <stdlib.h>
#include <string.h>

static pd_status put_slots(const pd_hdf5 *file, const pd_arrays *arrays)
{
    pd_status status = PD_OK;
    hid_t optimizer = H5I_INVALID_HID, group = H5I_INVALID_HID;
    const char *names[PD_SLOTS_MAX];
    if (arrays->slot_count > PD_SLOTS_MAX)
        return pd_fail("%s: cannot write: %d optimiser slots are more than %d", file->path,
                       arrays->slot_count, PD_SLOTS_MAX);
    PD_TRY(pd_hdf5_put_group(&optimizer, file, file->id, "optimizer"));
    for (int i = 0; i < arrays->slot_count; i++) {
        const pd_slot *slot = &arrays->slots[i];
        names[i] = slot->name;
        PD_TRY(pd_keras_check_name(file, slot->name));
        PD_TRY(pd_hdf5_put_group(&group, file, optimizer, slot->name));
        PD_TRY(pd_keras_put_weights(file, group, slot->arrays, slot->count, NULL));
        pd_hdf5_close(&group);
    }
    PD_TRY(pd_hdf5_put_texts(file, optimizer, "slot_names", names, arrays->slot_count));

cleanup:
    pd_hdf5_close(&group);
    pd_hdf5_close(&optimizer);
    return status;
}

pd_status pd_arrays_put(const pd_hdf5 *file, const pd_arrays *arrays)
{
    pd_status status =
        pd_keras_put_model(file, "model_weights", arrays->layers, arrays->layer_count,
                           arrays->weights, arrays->weight_count);
    return status == PD_OK ? put_slots(file, arrays) : status;
}

/* Reads the weights of one layer; the scope of each must be the layer. */
static pd_status get_layer(const pd_hdf5 *file, const char *root, const char *layer,
                           pd_arrays *arrays, int64_t *budget)
{
    pd_status status = PD_OK;
    char *group = NULL;
    int first = arrays->weight_count;
    PD_TRY(pd_format(&group, "%s/%s", root, layer));
    PD_TRY(pd_keras_get_weights(file, group, &arrays->weights, &arrays->weight_count, budget));
    for (int i = first; i < arrays->weight_count; i++) {
        const pd_array *array = &arrays->weights[i];
        if (strcmp(array->layer, layer) != 0) {
            status = pd_hdf5_fail_read(file, "'%s' lists weight '%s' of layer '%s'", group,
                                       array->weight, array->layer);
            goto cleanup;
        }
    }

cleanup:
    free(group);
    return status;
}

static pd_status get_slots(const pd_hdf5 *file, pd_arrays *arrays, int64_t *budget)
{
    pd_status status = PD_OK;
    char **names = NULL, *group = NULL;
    int64_t count = 0;
    PD_TRY(pd_hdf5_get_texts(file, "/optimizer", "slot_names", &names, &count));
    if (count > PD_SLOTS_MAX) {
        status = pd_hdf5_fail_read(file, "has %lld optimiser slots, more than %d", (long long)count,
                                   PD_SLOTS_MAX);
        goto cleanup;
    }
    for (int i = 0; i < (int)count; i++) {
        pd_slot *slot = &arrays->slots[arrays->slot_count++];
        char *name;
        PD_TRY(pd_strdup(&name, names[i]));
        slot->name = name;
        free(group);
        PD_TRY(pd_format(&group, "/optimizer/%s", names[i]));
        PD_TRY(pd_keras_get_weights(file, group, &slot->arrays, &slot->count, budget));
    }

cleanup:
    free(group);
    free(names);
    return status;
}

pd_status pd_arrays_get(const pd_hdf5 *file, pd_arrays *arrays, int64_t *budget)
{
    pd_status status = PD_OK;
    const char *root = pd_keras_root(file);
    char **layers = NULL;
    PD_TRY(pd_keras_get_layers(file, root, &layers, &arrays->layer_count));
    arrays->layers = (const char **)layers;
    for (int i = 0; i < arrays->layer_count; i++)
        PD_TRY(get_layer(file, root, layers[i], arrays, budget));
    PD_TRY(get_slots(file, arrays, budget));

cleanup:
    return status;
}

void pd_arrays_free(pd_arrays *arrays)
{
    free(arrays->layers);
    pd_array_free_all(arrays->weights, arrays->weight_count);
    for (int i = 0; i < arrays->slot_count; i++) {
        free((void *)arrays->slots[i].name);
        pd_array_free_all(arrays->slots[i].arrays, arrays->slots[i].count);
    }
}
