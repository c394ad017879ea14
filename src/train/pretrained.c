#include "pretrained.h"

#include "pneumo/base/log.h"
#include "pneumo/exchange/donor.h"

#include <stdio.h>
#include <string.h>

enum { REASON = 160, DIMS = 48 };

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

/* Writes why the layer cannot take its weights from the file; nothing if it can. */
static void judge(char why[REASON], const pd_donor *donor, const pd_layer *layer)
{
    char has[DIMS], needs[DIMS];
    int found = 0;
    why[0] = '\0';
    for (int i = 0; i < layer->param_count; i++) {
        const pd_param *param = &layer->params[i];
        const pd_array *array =
            pd_array_find(donor->arrays, donor->count, layer->name, param->name);
        found += array != NULL;
        if (array == NULL)
            snprintf(why, REASON, "the file has no '%s' of it", param->name);
        else if (!same_shape(array, param) && why[0] == '\0')
            snprintf(why, REASON, "'%s' is %s in the file, but %s here", param->name,
                     dims_text(has, array->dims, array->rank),
                     dims_text(needs, param->dims, param->rank));
    }
    if (found == 0)
        snprintf(why, REASON, "not in the file");
}

static void take(const pd_donor *donor, const pd_layer *layer)
{
    for (int i = 0; i < layer->param_count; i++) {
        const pd_param *param = &layer->params[i];
        const pd_array *array =
            pd_array_find(donor->arrays, donor->count, layer->name, param->name);
        memcpy(param->value, array->data, pd_param_size(param) * sizeof *param->value);
    }
}

/* --- The table: a line for layers in a row with the same outcome --- */

typedef struct table {
    const char *first, *last; /* layers of the current line; NULL: none */
    int layers;
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

static bool has_layer(const pd_network *network, const char *name)
{
    for (int i = 0; i < pd_network_layer_count(network); i++)
        if (strcmp(pd_network_layer(network, i)->name, name) == 0)
            return true;
    return false;
}

/* Rows for layers of the file that the network does not have. */
static void list_unused(table *t, const pd_donor *donor, const pd_network *network)
{
    for (int i = 0; i < donor->count; i++)
        if ((i == 0 || strcmp(donor->arrays[i].layer, donor->arrays[i - 1].layer) != 0) &&
            !has_layer(network, donor->arrays[i].layer))
            add_row(t, donor->arrays[i].layer, "not used: the network has no such layer");
    end_line(t);
}

/* Takes what fits, and logs it. Returns the number of layers. */
static int take_all(pd_network *network, const pd_donor *donor)
{
    char why[REASON], outcome[REASON + 16];
    int taken = 0;
    table t = {.layers = 0};
    for (int i = 0; i < pd_network_layer_count(network); i++) {
        const pd_layer *layer = pd_network_layer(network, i);
        if (layer->param_count == 0)
            continue;
        judge(why, donor, layer);
        snprintf(outcome, sizeof outcome, why[0] == '\0' ? "taken" : "left out: %s", why);
        add_row(&t, layer->name, outcome);
        if (why[0] != '\0')
            continue;
        take(donor, layer);
        taken++;
    }
    end_line(&t);
    list_unused(&t, donor, network);
    return taken;
}

/* --- All ranks --- */

/* On rank 0. */
static pd_status read_file(pd_network *network, const pd_input *input, const char *path)
{
    pd_status status = PD_OK;
    pd_donor donor;
    PD_TRY(pd_donor_read(&donor, path, input->size));
    pd_log_info("weights of %s:", path);
    if (take_all(network, &donor) == 0)
        status = pd_fail("%s: none of its weights fit the network", path);

cleanup:
    pd_donor_free(&donor);
    return status;
}

pd_status pd_pretrained_load(pd_network *network, const pd_input *input, pd_comm *comm,
                             const pd_job *job)
{
    pd_status status = PD_OK;
    size_t weights, state;
    if (job->base.file[0] == '\0')
        return PD_OK;
    if (pd_comm_rank(comm) == 0)
        status = read_file(network, input, job->base.file);
    PD_TRY(pd_comm_agree(comm, status));
    float *values = pd_network_weights(network, &weights);
    PD_TRY(pd_comm_broadcast(comm, values, weights * sizeof *values, 0));
    values = pd_network_state(network, &state);
    status = pd_comm_broadcast(comm, values, state * sizeof *values, 0);

cleanup:
    return status;
}
