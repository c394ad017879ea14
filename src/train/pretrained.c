#include "pretrained.h"

#include "pneumo/base/log.h"
#include "pneumo/exchange/donor.h"
#include "pneumo/exchange/scaling.h"
#include "pneumo/io/file.h"
#include "pneumo/train/setup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { REASON = 160, DIMS = 48 };

/* Taking weights over, on rank 0. */
typedef struct adoption {
    const pd_job *job;
    const char *path;
    pd_network *network;
    pd_input *input; /* how images become the network's input */
    pd_donor donor;
    size_t taken, all; /* numbers */
} adoption;

/* --- One layer --- */

/* Writes "3 x 3 x 64". */
static const char *dims_text(char text[DIMS], const int *dims, int rank)
{
    int used = 0;
    for (int i = 0; i < rank && used < DIMS; i++)
        used += snprintf(text + used, (size_t)(DIMS - used), "%s%d", i > 0 ? " x " : "", dims[i]);
    return text;
}

static bool same_shape(const pd_array *array, const pd_param *param)
{
    bool same = array->rank == param->rank;
    for (int i = 0; same && i < param->rank; i++)
        same = array->dims[i] == param->dims[i];
    return same;
}

/* Whether a kernel on the image's planes, which are equal, becomes one on a single plane: their
 * sum. */
static bool folds(const adoption *a, const pd_array *array, const pd_layer *layer,
                  const pd_param *param)
{
    return pd_network_layer_input(a->network, layer->index, 0) == PD_NETWORK_INPUT &&
           layer->type->convolves && array->rank == 4 && param->rank == 4 &&
           array->dims[0] == param->dims[0] && array->dims[1] == param->dims[1] &&
           array->dims[2] == a->donor.input.channels && param->dims[2] == 1 &&
           array->dims[3] == param->dims[3];
}

static const pd_array *find(const adoption *a, const pd_layer *layer, const pd_param *param)
{
    return pd_array_find(a->donor.arrays, a->donor.count, layer->name, param->name);
}

static bool has_layer(const pd_donor *donor, const char *name)
{
    for (int i = 0; i < donor->count; i++)
        if (strcmp(donor->arrays[i].layer, name) == 0)
            return true;
    return false;
}

/* Writes why the layer cannot take its weights from the file; nothing if it can. */
static void judge(char why[REASON], const adoption *a, const pd_layer *layer)
{
    char has[DIMS], needs[DIMS];
    why[0] = '\0';
    for (int i = 0; i < layer->param_count && why[0] == '\0'; i++) {
        const pd_param *param = &layer->params[i];
        const pd_array *array = find(a, layer, param);
        if (array == NULL)
            snprintf(why, REASON, "the file has no '%s' of it", param->name);
        else if (!same_shape(array, param) && !folds(a, array, layer, param))
            snprintf(why, REASON, "'%s' is %s in the file, but %s here", param->name,
                     dims_text(has, array->dims, array->rank),
                     dims_text(needs, param->dims, param->rank));
    }
    if (!has_layer(&a->donor, layer->name))
        snprintf(why, REASON, "not in the file");
}

/* kernel[pixels][channels][units] -> out[pixels][units] */
static void fold(float *out, const pd_array *array)
{
    size_t pixels = (size_t)array->dims[0] * (size_t)array->dims[1];
    size_t channels = (size_t)array->dims[2], units = (size_t)array->dims[3];
    for (size_t p = 0; p < pixels; p++)
        for (size_t k = 0; k < units; k++) {
            double sum = 0;
            for (size_t c = 0; c < channels; c++)
                sum += (double)array->data[(p * channels + c) * units + k];
            out[p * units + k] = (float)sum;
        }
}

static void take(adoption *a, const pd_layer *layer)
{
    for (int i = 0; i < layer->param_count; i++) {
        const pd_param *param = &layer->params[i];
        const pd_array *array = find(a, layer, param);
        if (same_shape(array, param))
            memcpy(param->value, array->data, pd_param_size(param) * sizeof *param->value);
        else
            fold(param->value, array);
        a->taken += pd_param_size(param);
    }
}

/* --- The table: a line for layers in a row with the same outcome --- */

typedef struct table {
    const char *first, *last; /* layers of the current line */
    int layers;               /* 0: no line */
    char outcome[REASON + 16];
} table;

static void end_line(table *t)
{
    char names[160];
    if (t->layers > 1)
        snprintf(names, sizeof names, "%s ... %s (%d layers)", t->first, t->last, t->layers);
    else
        snprintf(names, sizeof names, "%s", t->first);
    if (t->layers > 0)
        pd_log_info("  %-48s %s", names, t->outcome);
    t->layers = 0;
}

static void add_row(table *t, const char *layer, const char *outcome)
{
    if (t->layers > 0 && strcmp(t->outcome, outcome) != 0)
        end_line(t);
    if (t->layers++ == 0)
        t->first = layer;
    t->last = layer;
    snprintf(t->outcome, sizeof t->outcome, "%s", outcome);
}

/* Rows for layers of the file that the network does not have. */
static void list_unused(table *t, const adoption *a)
{
    const pd_array *arrays = a->donor.arrays;
    for (int i = 0; i < a->donor.count; i++)
        if ((i == 0 || strcmp(arrays[i].layer, arrays[i - 1].layer) != 0) &&
            pd_network_find_layer(a->network, arrays[i].layer) == NULL)
            add_row(t, arrays[i].layer, "not used: the network has no such layer");
    end_line(t);
}

/* Fails unless all layers that the file has fit: those of model.from do, at the right size. */
static pd_status check_base(const adoption *a)
{
    char why[REASON];
    for (int i = 0; i < pd_network_layer_count(a->network); i++) {
        const pd_layer *layer = pd_network_layer(a->network, i);
        judge(why, a, layer);
        if (layer->param_count > 0 && why[0] != '\0' && has_layer(&a->donor, layer->name))
            return pd_fail("%s: layer '%s': %s at data.size = %d: set it to the size of the "
                           "model's images",
                           a->path, layer->name, why, a->input->size);
    }
    return PD_OK;
}

/* Takes what fits, and logs it. */
static void take_all(adoption *a)
{
    char why[REASON], outcome[REASON + 16];
    table t = {.layers = 0};
    for (int i = 0; i < pd_network_layer_count(a->network); i++) {
        const pd_layer *layer = pd_network_layer(a->network, i);
        if (layer->param_count == 0)
            continue;
        judge(why, a, layer);
        snprintf(outcome, sizeof outcome, why[0] == '\0' ? "taken" : "left out: %s", why);
        add_row(&t, layer->name, outcome);
        for (int j = 0; j < layer->param_count; j++)
            a->all += pd_param_size(&layer->params[j]);
        if (why[0] == '\0')
            take(a, layer);
    }
    end_line(&t);
    list_unused(&t, a);
}

/* --- Scaling --- */

/* The scaling of the file's images: what the file says, or model.scaling. */
static pd_status choose_scaling(adoption *a)
{
    pd_donor *donor = &a->donor;
    const char *given = a->job->base.scaling;
    if (donor->scaled && !donor->assumed && given[0] != '\0')
        return pd_fail("%s: the file says how its images are scaled: omit model.scaling", a->path);
    if (!donor->scaled && given[0] == '\0')
        return pd_fail("%s: does not say how its images are scaled: set model.scaling to 0..1, "
                       "0..255, tf, caffe, torch or MEAN,DEVIATION as in its training",
                       a->path);
    if (donor->input.channels == 0)
        donor->input.channels = a->input->channels;
    if (given[0] == '\0')
        return PD_OK;
    donor->assumed = false;
    donor->input.scaling = PD_GREY_FIXED;
    return pd_scaling_parse(&donor->input, given);
}

static bool equal_planes(const pd_input *input)
{
    bool equal = true;
    for (int c = 1; c < input->channels && equal; c++)
        equal = input->means[c] == input->means[0] && input->deviations[c] == input->deviations[0];
    return equal;
}

/* Gives the network's input the scaling of the file's images. */
static pd_status set_scaling(adoption *a)
{
    pd_input *to = a->input;
    const pd_input *from = &a->donor.input;
    if (to->scaling == PD_GREY_IMAGE && from->scaling != PD_GREY_IMAGE)
        return pd_fail("%s: does not say that its images are scaled one by one, as a checkpoint "
                       "with data.scaling = image does: omit data.scaling = image",
                       a->path);
    pd_status status = choose_scaling(a);
    if (status != PD_OK)
        return status;
    if (to->channels < from->channels && !equal_planes(from))
        return pd_fail("%s: its images have %d planes that are scaled differently: set "
                       "data.channels = %d",
                       a->path, from->channels, from->channels);
    to->scaling = from->scaling;
    for (int c = 0; c < to->channels; c++) {
        int plane = c < from->channels ? c : 0;
        to->means[c] = from->means[plane];
        to->deviations[c] = from->deviations[plane];
    }
    return PD_OK;
}

/* Says how images are scaled from now on. */
static void log_scaling(const adoption *a)
{
    char scaling[160];
    pd_input_describe(scaling, sizeof scaling, a->input);
    pd_log_info("  images: %s%s", scaling,
                a->donor.assumed ? ", as keras.applications does for this model; if these weights "
                                   "are others, set model.scaling"
                                 : "");
}

/* --- All ranks --- */

static pd_status adopt(adoption *a)
{
    pd_status status = PD_OK;
    const pd_exchange_model like = {.name = pd_setup_model_name(a->job),
                                    .network = a->network,
                                    .input = a->input,
                                    .activation = pd_tasks[a->job->task].activation};
    if (!pd_file_exists(a->path))
        return pd_fail("%s: cannot open: %s; it is the file of model.weights or model.from, and "
                       "the comment of a job says where to get its file",
                       a->path, strerror(errno));
    PD_TRY(pd_donor_read(&a->donor, a->path, &like));
    PD_TRY(a->job->base.file[0] != '\0' ? check_base(a) : set_scaling(a));
    pd_log_info("weights of %s, %s:", a->path, a->donor.what);
    take_all(a);
    if (a->taken == 0) {
        status = pd_fail("%s: none of its weights fit the network", a->path);
        goto cleanup;
    }
    log_scaling(a);
    if (a->taken < a->all / 2)
        pd_log_warn("%s: only %.0f %% of the network's weights come from it; the others are random",
                    a->path, 100 * (double)a->taken / (double)a->all);

cleanup:
    pd_donor_free(&a->donor);
    return status;
}

pd_status pd_pretrained_load(pd_network *network, pd_input *input, pd_comm *comm, const pd_job *job)
{
    pd_status status = PD_OK;
    size_t weights, state;
    const char *path = job->base.file[0] != '\0' ? job->base.file : job->weights;
    adoption a = {.job = job, .path = path, .network = network, .input = input};
    if (path[0] == '\0')
        return PD_OK;
    pd_comm_set_position(comm, "reading %.100s", path);
    PD_TRY(pd_comm_agree(comm, pd_comm_rank(comm) == 0 ? adopt(&a) : PD_OK));
    PD_TRY(pd_comm_broadcast(comm, input, sizeof *input, 0));
    float *values = pd_network_weights(network, &weights);
    PD_TRY(pd_comm_broadcast(comm, values, weights * sizeof *values, 0));
    values = pd_network_state(network, &state);
    status = pd_comm_broadcast(comm, values, state * sizeof *values, 0);

cleanup:
    return status;
}
