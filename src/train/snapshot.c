#include "snapshot.h"

#include "pneumo/base/memory.h"
#include "pneumo/exchange/keras_config.h"
#include "pneumo/train/setup.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)PD_OPTIMIZER_SLOTS_MAX <= (int)PD_SLOTS_MAX, "a checkpoint holds all slots");

/* While the average is evaluated or saved, the slots of the average hold the weights being trained.
 */
static const char *slot_name(const char *name)
{
    if (strcmp(name, "average") == 0)
        return "live";
    return strcmp(name, "average_state") == 0 ? "live_state" : name;
}

static pd_array array_of(const pd_tensor *tensor, float *data)
{
    pd_array array = {.layer = tensor->layer->name,
                      .weight = tensor->param->name,
                      .rank = tensor->param->rank,
                      .data = data};
    memcpy(array.dims, tensor->param->dims, sizeof array.dims);
    return array;
}

static pd_status view_slot(pd_slot *out, const pd_optimizer_slot *slot, const pd_network *network)
{
    int tensors = pd_network_tensor_count(network);
    pd_status status = pd_alloc(&out->arrays, (size_t)tensors, sizeof *out->arrays);
    out->name = slot_name(slot->name);
    for (int i = 0; i < tensors && status == PD_OK; i++) {
        const pd_tensor *tensor = pd_network_tensor(network, i);
        float *values = pd_optimizer_slot_at(slot, tensor);
        if (values != NULL)
            out->arrays[out->count++] = array_of(tensor, values);
    }
    return status;
}

/* Fills model_config and layers. */
static pd_status view_model(pd_checkpoint *checkpoint, const pd_exchange_model *model)
{
    pd_status status = PD_OK;
    pd_arrays *arrays = &checkpoint->arrays;
    char *config = NULL;
    int *order = NULL, count;
    PD_TRY(pd_keras_config_write(&config, model));
    checkpoint->model_config = config;
    PD_TRY(pd_keras_config_order(&order, &count, model));
    PD_TRY(pd_alloc(&arrays->layers, (size_t)count, sizeof *arrays->layers));
    for (int i = 0; i < count; i++)
        arrays->layers[arrays->layer_count++] = pd_network_layer(model->network, order[i])->name;

cleanup:
    free(order);
    return status;
}

pd_status pd_snapshot_view(pd_checkpoint *checkpoint, const pd_exchange_model *model,
                           pd_optimizer *optimizer)
{
    pd_status status = PD_OK;
    const pd_network *network = model->network;
    pd_optimizer_slot slots[PD_OPTIMIZER_SLOTS_MAX];
    int tensors = pd_network_tensor_count(network);
    PD_TRY(view_model(checkpoint, model));
    checkpoint->has_input = true;
    checkpoint->input = *model->input;
    PD_TRY(
        pd_alloc(&checkpoint->arrays.weights, (size_t)tensors, sizeof *checkpoint->arrays.weights));
    for (int i = 0; i < tensors; i++) {
        const pd_tensor *tensor = pd_network_tensor(network, i);
        checkpoint->arrays.weights[checkpoint->arrays.weight_count++] =
            array_of(tensor, tensor->param->value);
    }
    int count = optimizer == NULL ? 0 : pd_optimizer_slots(optimizer, slots);
    for (int i = 0; i < count; i++) {
        PD_TRY(view_slot(&checkpoint->arrays.slots[i], &slots[i], network));
        checkpoint->arrays.slot_count++;
    }
cleanup:
    return status;
}

void pd_snapshot_release(pd_checkpoint *checkpoint)
{
    free((void *)checkpoint->model_config);
    free(checkpoint->arrays.layers);
    free(checkpoint->arrays.weights);
    for (int i = 0; i < PD_SLOTS_MAX; i++)
        free(checkpoint->arrays.slots[i].arrays);
    memset(checkpoint->arrays.slots, 0, sizeof checkpoint->arrays.slots);
    checkpoint->model_config = NULL;
    checkpoint->arrays.layers = NULL;
    checkpoint->arrays.weights = NULL;
    checkpoint->arrays.layer_count = checkpoint->arrays.weight_count =
        checkpoint->arrays.slot_count = 0;
}

static pd_status restore_slot(const pd_checkpoint *checkpoint, const pd_optimizer_slot *slot,
                              const pd_network *network)
{
    const pd_slot *from = NULL;
    for (int i = 0; i < checkpoint->arrays.slot_count; i++)
        if (strcmp(checkpoint->arrays.slots[i].name, slot_name(slot->name)) == 0)
            from = &checkpoint->arrays.slots[i];
    if (from == NULL)
        return pd_fail("it has no optimiser slot '%s': it was made by another optimiser",
                       slot_name(slot->name));
    for (int i = 0; i < pd_network_tensor_count(network); i++) {
        const pd_tensor *tensor = pd_network_tensor(network, i);
        float *values = pd_optimizer_slot_at(slot, tensor);
        if (values == NULL)
            continue;
        const pd_array *array =
            pd_array_find(from->arrays, from->count, tensor->layer->name, tensor->param->name);
        size_t size = array == NULL ? 0 : 1;
        for (int j = 0; array != NULL && j < array->rank; j++)
            size *= (size_t)array->dims[j];
        if (size != tensor->size)
            return pd_fail("its optimiser slot '%s' does not fit the weights '%s/%s'", from->name,
                           tensor->layer->name, tensor->param->name);
        memcpy(values, array->data, size * sizeof(float));
    }
    return PD_OK;
}

pd_status pd_snapshot_restore(const pd_checkpoint *checkpoint, pd_network *network,
                              pd_optimizer *optimizer)
{
    pd_status status = PD_OK;
    pd_optimizer_slot slots[PD_OPTIMIZER_SLOTS_MAX];
    PD_TRY(pd_setup_load_weights(network, checkpoint));
    int count = pd_optimizer_slots(optimizer, slots);
    for (int i = 0; i < count; i++)
        PD_TRY(restore_slot(checkpoint, &slots[i], network));
    /* The loaded weights are the average, and those in the slots are being trained. */
    pd_optimizer_swap_ema(optimizer);
cleanup:
    return status;
}
