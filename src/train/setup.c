#include "pneumo/train/setup.h"

#include "base_network.h"
#include "pneumo/base/text.h"
#include "pneumo/data/cross.h"
#include "pneumo/exchange/keras_model.h"
#include "pneumo/nn/model.h"

#include <stdio.h>
#include <string.h>

pd_input pd_setup_input(const pd_job *job, const pd_dataset_info *info)
{
    pd_input input = job->input;
    input.height = info->height;
    input.width = info->width;
    input.mean = (float)info->mean;
    input.deviation = info->deviation > 1.0 ? (float)info->deviation : 1.0f;
    if (input.size == 0)
        input.size = info->height;
    return input;
}

pd_status pd_setup_dataset(pd_dataset **out, const pd_job *job)
{
    pd_status status = pd_dataset_open(out, job->file);
    if (status != PD_OK || job->cross == 0)
        return status;
    status = pd_cross_assign(*out, job->cross, job->cross_part, job->seed);
    if (status == PD_OK)
        return PD_OK;
    pd_dataset_destroy(out);
    return pd_error_prefix(status, "%s", job->file);
}

static void set_storage(pd_network *network, const pd_job *job)
{
    pd_network_set_precision(network, job->precision);
    pd_network_set_recompute(network, job->recompute);
}

pd_status pd_setup_network(pd_network **out, pd_input *input, const pd_job *job,
                           const pd_dataset_info *info)
{
    pd_status status;
    *input = pd_setup_input(job, info);
    pd_model_spec spec = job->model;
    spec.input = (pd_shape){input->size, input->size, input->channels};
    spec.outputs = pd_tasks[job->task].outputs;
    if (job->base.file[0] != '\0')
        status = pd_base_network_build(out, input, job);
    else
        status = pd_model_build(out, &spec);
    if (status == PD_OK)
        set_storage(*out, job);
    return status;
}

const char *pd_setup_model_name(const pd_job *job)
{
    return job->base.file[0] != '\0' ? PD_SETUP_IMPORTED : job->model.name;
}

pd_status pd_setup_plan(pd_network *network, const pd_comm *comm, const pd_job *job, int stage,
                        int threads, size_t *bytes)
{
    const pd_plan plan = {.lanes = pd_comm_lane_count(comm),
                          .lane_samples = job->sampling.batch / job->sampling.lanes,
                          .total_lanes = job->sampling.lanes,
                          .threads = threads};
    int first = pd_comm_first_lane(comm);
    pd_status status = pd_network_freeze(network, stage == 0 ? job->freeze : "");
    if (status != PD_OK)
        return status;
    return bytes == NULL ? pd_network_plan(network, &plan, first, true)
                         : pd_network_measure(network, &plan, first, bytes);
}

static pd_status build_imported(pd_network **network, pd_input *input, const pd_job *job,
                                const pd_checkpoint *checkpoint)
{
    pd_keras_model model = {.network = NULL};
    if (checkpoint->model_config == NULL || !checkpoint->has_input)
        return pd_fail("its 'model_config' or '/input' is missing; import the model again");
    pd_status status =
        pd_keras_model_read(&model, "its 'model_config'", checkpoint->model_config, NULL);
    if (status == PD_OK && (model.input.size != checkpoint->input.size ||
                            model.input.channels != checkpoint->input.channels))
        status = pd_fail("'/input' and the network of 'model_config' differ in size");
    if (status == PD_OK) {
        *network = model.network;
        set_storage(*network, job);
        *input = checkpoint->input;
        model.network = NULL;
    }
    pd_keras_model_free(&model);
    return status;
}

static pd_status build(pd_network **network, pd_input *input, const pd_job *job,
                       const pd_checkpoint *checkpoint)
{
    const pd_dataset_info info = {.height = (int)checkpoint->image_height,
                                  .width = (int)checkpoint->image_width,
                                  .mean = checkpoint->pixel_mean,
                                  .deviation = checkpoint->pixel_deviation};
    *network = NULL;
    if (strcmp(checkpoint->model, PD_SETUP_IMPORTED) == 0)
        return build_imported(network, input, job, checkpoint);
    pd_status status = pd_setup_network(network, input, job, &info);
    if (status != PD_OK || !checkpoint->has_input)
        return status;
    if (checkpoint->input.size != input->size || checkpoint->input.channels != input->channels)
        return pd_fail("'/input' and the job differ in size or channels");
    *input = checkpoint->input; /* the scaling can be that of model.weights */
    return PD_OK;
}

/* Finds the weights of a layer's parameter. */
static pd_status find_weights(const pd_array **out, const pd_checkpoint *checkpoint,
                              const pd_layer *layer, const pd_param *param)
{
    const pd_array *array = pd_array_find(
        checkpoint->arrays.weights, checkpoint->arrays.weight_count, layer->name, param->name);
    if (array == NULL)
        return pd_fail("it has no weights '%s/%s': it is a checkpoint of another model",
                       layer->name, param->name);
    bool same = array->rank == param->rank;
    for (int i = 0; same && i < param->rank; i++)
        same = array->dims[i] == param->dims[i];
    if (!same)
        return pd_fail(
            "its weights '%s/%s' have another shape: it is a checkpoint of another model",
            layer->name, param->name);
    *out = array;
    return PD_OK;
}

static bool has_weights(const pd_network *network, const pd_array *array)
{
    const pd_layer *layer = pd_network_find_layer(network, array->layer);
    for (int i = 0; layer != NULL && i < layer->param_count; i++)
        if (strcmp(layer->params[i].name, array->weight) == 0)
            return true;
    return false;
}

/* Fails unless the checkpoint has the weights of this network, which is measured, once, and no
 * others. */
static pd_status check_weights(const pd_network *network, const pd_checkpoint *checkpoint)
{
    const pd_array *array = NULL, *arrays = checkpoint->arrays.weights;
    for (int i = 0; i < checkpoint->arrays.weight_count; i++)
        if (!has_weights(network, &arrays[i]) ||
            pd_array_find(arrays, i, arrays[i].layer, arrays[i].weight) != NULL)
            return pd_fail("its weights '%s/%s' are superfluous: it is a checkpoint of another "
                           "model",
                           arrays[i].layer, arrays[i].weight);
    for (int i = 0; i < pd_network_layer_count(network); i++) {
        const pd_layer *layer = pd_network_layer(network, i);
        for (int j = 0; j < layer->param_count; j++) {
            pd_status status = find_weights(&array, checkpoint, layer, &layer->params[j]);
            if (status != PD_OK)
                return status;
        }
    }
    return PD_OK;
}

pd_status pd_setup_check(const pd_job *job, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    pd_network *network = NULL;
    pd_input input;
    size_t bytes;
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};
    PD_TRY(build(&network, &input, job, checkpoint));
    PD_TRY(pd_network_measure(network, &plan, 0, &bytes));
    status = check_weights(network, checkpoint);
cleanup:
    pd_network_destroy(&network);
    return status;
}

pd_status pd_setup_checkpoint(pd_network **network, pd_input *input, const pd_job *job,
                              const pd_checkpoint *checkpoint)
{
    *network = NULL;
    pd_status status = pd_setup_check(job, checkpoint);
    return status == PD_OK ? build(network, input, job, checkpoint) : status;
}

char *pd_setup_frozen(char text[PD_SETUP_FROZEN], const pd_network *network)
{
    const pd_frozen frozen = pd_network_frozen(network);
    char parameters[PD_TEXT_NUMBER];
    text[0] = '\0';
    if (frozen.layers > 0)
        snprintf(text, PD_SETUP_FROZEN, "%d of %d layers with weights, %s parameters",
                 frozen.with_weights, frozen.all_with_weights,
                 pd_text_grouped(parameters, frozen.weights));
    return text;
}

/* Whether the last step before the checkpoint was taken with frozen layers. */
static bool has_frozen(const pd_job *job, const pd_train_state *state)
{
    int64_t epoch = state->epoch + (state->epoch_step > 0 || state->epoch == 0); /* from 1 */
    return job->freeze[0] != '\0' &&
           (job->schedule.unfreeze_epoch == 0 || epoch < job->schedule.unfreeze_epoch);
}

pd_status pd_setup_frozen_checkpoint(char text[PD_SETUP_FROZEN], const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    pd_network *network = NULL;
    pd_job job;
    pd_input input;
    size_t bytes;
    const pd_plan plan = {.lanes = 1, .lane_samples = 1, .total_lanes = 1, .threads = 1};
    text[0] = '\0';
    PD_TRY(pd_job_parse(&job, "its job", checkpoint->job, NULL, 0));
    if (!has_frozen(&job, &checkpoint->state))
        goto cleanup;
    PD_TRY(pd_setup_checkpoint(&network, &input, &job, checkpoint));
    PD_TRY(pd_network_freeze(network, job.freeze));
    PD_TRY(pd_network_measure(network, &plan, 0, &bytes));
    pd_setup_frozen(text, network);
cleanup:
    pd_network_destroy(&network);
    return status;
}

size_t pd_setup_bucket(const pd_job *job, int ranks)
{
    size_t asked = (size_t)job->bucket_kib * 256, least = (size_t)ranks * PD_SLICE_LEAST;
    return asked > least ? asked : least;
}

static pd_status load_tensor(const pd_tensor *tensor, const pd_checkpoint *checkpoint)
{
    const pd_array *array = NULL;
    pd_status status = find_weights(&array, checkpoint, tensor->layer, tensor->param);
    if (status == PD_OK)
        memcpy(tensor->param->value, array->data, tensor->size * sizeof(float));
    return status;
}

pd_status pd_setup_load_weights(pd_network *network, const pd_checkpoint *checkpoint)
{
    pd_status status = PD_OK;
    for (int i = 0; i < pd_network_tensor_count(network) && status == PD_OK; i++)
        status = load_tensor(pd_network_tensor(network, i), checkpoint);
    return status;
}
