#include "pneumo/exchange/donor.h"

#include "donor_internal.h"
#include "pneumo/base/memory.h"
#include "pneumo/exchange/keras_model.h"
#include "pneumo/exchange/scaling.h"
#include "pneumo/io/file.h"
#include "pneumo/nn/model.h"
#include "weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const pd_plan one_sample = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};

/* --- The list of arrays --- */

pd_status pd_donor_add(pd_donor *donor, const char *layer, const char *weight, pd_array *array)
{
    pd_status status = PD_OK;
    char *layer_copy = NULL, *weight_copy = NULL;
    donor->owns = true;
    PD_TRY(pd_strdup(&layer_copy, layer));
    PD_TRY(pd_strdup(&weight_copy, weight));
    PD_TRY(
        pd_grow(&donor->arrays, &donor->capacity, (size_t)donor->count + 1, sizeof *donor->arrays));
    pd_array *added = &donor->arrays[donor->count++];
    *added = *array;
    added->layer = layer_copy;
    added->weight = weight_copy;
    array->data = NULL;
    layer_copy = weight_copy = NULL;

cleanup:
    free(layer_copy);
    free(weight_copy);
    return status;
}

void pd_donor_free(pd_donor *donor)
{
    if (donor->owns)
        pd_array_free_all(donor->arrays, donor->count);
    else
        free(donor->arrays);
    pd_network_destroy(&donor->network);
    pd_checkpoint_destroy(&donor->checkpoint);
    *donor = (pd_donor){.count = 0};
}

/* --- Checkpoints --- */

static pd_status read_checkpoint(pd_donor *out, const char *path)
{
    pd_status status = PD_OK;
    PD_TRY(pd_checkpoint_load(&out->checkpoint, path));
    const pd_checkpoint *checkpoint = out->checkpoint;
    int count = checkpoint->arrays.weight_count;
    PD_TRY(pd_alloc(&out->arrays, (size_t)count, sizeof *out->arrays));
    memcpy(out->arrays, checkpoint->arrays.weights, (size_t)count * sizeof *out->arrays);
    out->count = count;
    snprintf(out->what, sizeof out->what, "a checkpoint of job %s, model %s, epoch %lld",
             checkpoint->job_name, checkpoint->model, (long long)checkpoint->state.epoch);
    out->scaled = checkpoint->has_input;
    out->input = checkpoint->input;
    if (out->input.scaling == PD_GREY_FOLD) { /* that fold's, not the next one's */
        out->input.scaling = PD_GREY_FIXED;
        for (int c = 0; c < PD_INPUT_CHANNELS; c++) {
            out->input.means[c] = out->input.mean;
            out->input.deviations[c] = out->input.deviation;
        }
    }

cleanup:
    return status;
}

/* --- Keras models --- */

/* Lists the arrays of the network, which is planned. */
static pd_status list_arrays(pd_donor *out)
{
    pd_status status =
        pd_alloc(&out->arrays, (size_t)pd_network_tensor_count(out->network), sizeof *out->arrays);
    if (status != PD_OK)
        return status;
    for (int i = 0; i < pd_network_layer_count(out->network); i++) {
        const pd_layer *layer = pd_network_layer(out->network, i);
        for (int j = 0; j < layer->param_count; j++)
            out->arrays[out->count++] = pd_weights_view(layer, j);
    }
    return PD_OK;
}

static pd_status read_description(pd_keras_model *model, pd_keras_file *file, int size)
{
    *model = (pd_keras_model){.input = {.size = size}};
    return pd_keras_model_read(model, pd_keras_file_path(file), pd_keras_file_config(file), file);
}

/* Builds the network that the file describes, with its weights. `size` is for models that take
 * images of any size: others may have a layer that fits their own size only. */
static pd_status read_model(pd_donor *out, pd_keras_file *file, int size)
{
    pd_status status = PD_OK;
    pd_keras_model model = {.network = NULL};
    size_t bytes;
    PD_TRY(read_description(&model, file, size));
    PD_TRY(pd_network_measure(model.network, &one_sample, 0, &bytes));
    PD_TRY(pd_keras_model_check(&model, file));
    pd_keras_model_free(&model);
    PD_TRY(read_description(&model, file, size));
    PD_TRY(pd_network_plan(model.network, &one_sample, 0, false));
    /* Arrays that Keras left out, such as a gamma, have their initial values. */
    pd_network_initialise(model.network, 0);
    PD_TRY(pd_keras_model_load(&model, file));
    out->scaled = model.scaled;
    out->input = model.input;
    out->network = model.network;
    model.network = NULL;
    snprintf(out->what, sizeof out->what, "a Keras model");
    status = list_arrays(out);

cleanup:
    pd_keras_model_free(&model);
    return status;
}

/* --- Scaling --- */

/* Files of keras.applications do not say how images are scaled, but the package does. */
static pd_status assume_scaling(pd_donor *out, const pd_exchange_model *like)
{
    const char *convention = pd_model_scaling(like->name);
    bool colours = out->input.channels == 0 || out->input.channels == PD_INPUT_CHANNELS;
    if (out->scaled || convention == NULL || !colours)
        return PD_OK;
    out->scaled = out->assumed = true;
    out->input.scaling = PD_GREY_FIXED;
    out->input.channels = PD_INPUT_CHANNELS;
    return pd_scaling_parse(&out->input, convention);
}

/* --- Any file --- */

static pd_status read_keras(pd_donor *out, const char *path, const pd_exchange_model *like)
{
    pd_status status = PD_OK;
    pd_keras_file *file = NULL;
    char known[sizeof out->what];
    PD_TRY(pd_keras_file_open(&file, path));
    if (!pd_keras_file_has_weights(file)) {
        status = pd_fail("%s: describes a network, but has no weights", path);
        goto cleanup;
    }
    if (pd_keras_file_config(file) != NULL)
        PD_TRY(read_model(out, file, like->input->size));
    else
        PD_TRY(pd_donor_read_weights(out, file, like));
    PD_TRY(pd_known_file(known, sizeof known, path));
    if (known[0] != '\0')
        memcpy(out->what, known, sizeof known);
    PD_TRY(pd_donor_renumber(out, like->network));
    status = assume_scaling(out, like);

cleanup:
    pd_keras_file_close(&file);
    return status;
}

pd_status pd_donor_read(pd_donor *out, const char *path, const pd_exchange_model *like)
{
    bool checkpoint = false;
    *out = (pd_donor){.count = 0};
    pd_status status = pd_file_check_regular(path);
    if (status != PD_OK)
        return status;
    if (pd_donor_is_safetensors(path))
        return pd_donor_read_safetensors(out, path);
    if (pd_keras_file_is_hdf5(path) && pd_checkpoint_recognise(&checkpoint, path) == PD_OK &&
        checkpoint)
        return read_checkpoint(out, path);
    return read_keras(out, path, like);
}
