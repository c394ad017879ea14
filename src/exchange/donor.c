#include "pneumo/exchange/donor.h"

#include "pneumo/base/memory.h"
#include "pneumo/exchange/keras_model.h"
#include "weights.h"

#include <stdlib.h>
#include <string.h>

static const pd_plan one_sample = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};

/* Lists the arrays of the network, which is planned. */
static pd_status list_arrays(pd_donor *out)
{
    int tensors = pd_network_tensor_count(out->network);
    pd_status status = pd_alloc(&out->arrays, (size_t)tensors, sizeof *out->arrays);
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
    *model = (pd_keras_model){.input = {.size = size}, .resize = true};
    return pd_keras_model_read(model, pd_keras_file_path(file), pd_keras_file_config(file), file);
}

/* Builds the network that the file describes, with its weights. */
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
    status = list_arrays(out);

cleanup:
    pd_keras_model_free(&model);
    return status;
}

pd_status pd_donor_read(pd_donor *out, const char *path, int size)
{
    pd_status status = PD_OK;
    pd_keras_file *file = NULL;
    *out = (pd_donor){.count = 0};
    PD_TRY(pd_keras_file_open(&file, path));
    status = read_model(out, file, size);

cleanup:
    pd_keras_file_close(&file);
    return status;
}

void pd_donor_free(pd_donor *donor)
{
    free(donor->arrays);
    pd_network_destroy(&donor->network);
    *donor = (pd_donor){.count = 0};
}
