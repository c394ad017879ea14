/* Copying the weights of Keras' files into a network. */
#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/exchange/keras_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct loader {
    const pd_keras_model *model;
    pd_keras_file *file;
    const char *path; /* of the file */
} loader;

/* --- One array --- */

static const pd_param *find_param(const pd_network *network, const pd_keras_leaf *leaf,
                                  const char *name)
{
    const pd_layer *layer = pd_network_find_layer(network, leaf->layer);
    for (int i = 0; layer != NULL && i < layer->param_count; i++)
        if (strcmp(layer->params[i].name, name) == 0)
            return &layer->params[i];
    return NULL;
}

enum { DIMS_TEXT = 64 };

/* Writes "3 x 3 x 64". */
static const char *dims_text(char text[DIMS_TEXT], const int *dims, int rank)
{
    int used = 0;
    for (int i = 0; i < rank && used < DIMS_TEXT; i++)
        used +=
            snprintf(text + used, (size_t)(DIMS_TEXT - used), "%s%d", i > 0 ? " x " : "", dims[i]);
    return text;
}

static pd_status store(const loader *l, const pd_keras_leaf *leaf, int index, const pd_array *array)
{
    char has[DIMS_TEXT], needs[DIMS_TEXT];
    const char *name = leaf->params[index];
    if (leaf->layer == NULL) /* a Normalization, which the network's input has taken over */
        return PD_OK;
    const pd_param *param = find_param(l->model->network, leaf, name);
    if (param == NULL)
        return pd_fail("%s: layer '%s' has no weights '%s'", l->path, leaf->name, name);
    bool same = array->rank == param->rank;
    for (int i = 0; same && i < param->rank; i++)
        same = array->dims[i] == param->dims[i];
    if (!same)
        return pd_fail("%s: layer '%s': '%s' is %s in the file, but %s in the network", l->path,
                       leaf->name, name, dims_text(has, array->dims, array->rank),
                       dims_text(needs, param->dims, param->rank));
    memcpy(param->value, array->data, pd_param_size(param) * sizeof *param->value);
    return PD_OK;
}

/* --- Layout of Keras 3 --- */

static pd_status load_path(const loader *l, const pd_keras_leaf *leaf, int index)
{
    pd_status status = PD_OK;
    pd_array array = {0};
    char *path = NULL;
    PD_TRY(pd_format(&path, "%s/%d", leaf->path, index));
    bool expected = index < leaf->count, there = pd_keras_file_has_array(l->file, path);
    if (expected != there)
        status = pd_fail("%s: layer '%s': the file has %s array '%s'", l->path, leaf->name,
                         expected ? "no" : "one more", path);
    else if (expected) {
        PD_TRY(pd_keras_file_get_array(&array, l->file, path));
        status = store(l, leaf, index, &array);
    }

cleanup:
    free(array.data);
    free(path);
    return status;
}

static pd_status load_paths(const loader *l)
{
    for (int i = 0; i < l->model->leaf_count; i++) {
        const pd_keras_leaf *leaf = &l->model->leaves[i];
        for (int j = 0; j <= leaf->count && leaf->layer != NULL; j++) {
            pd_status status = load_path(l, leaf, j);
            if (status != PD_OK)
                return status;
        }
    }
    return PD_OK;
}

/* --- Layout of Keras 1 and 2 --- */

/* Where an array goes. */
typedef struct place {
    const pd_keras_leaf *leaf;
    int index;
} place;

/* Whether the array's scope, the part of its name before the last '/', ends in the leaf's name. */
static bool in_scope(const pd_array *array, const pd_keras_leaf *leaf)
{
    const char *slash = strrchr(array->weight, '/');
    size_t length = strlen(leaf->name), scope = slash == NULL ? 0 : (size_t)(slash - array->weight);
    if (scope < length || memcmp(slash - length, leaf->name, length) != 0)
        return false;
    return scope == length || array->weight[scope - length - 1] == '/';
}

/* Finds places for the arrays of a nested model by their scopes; false if they do not match. */
static bool place_by_scope(place *places, const pd_keras_leaf *leaves, int leaf_count,
                           const pd_array *arrays, int count)
{
    int placed = 0;
    for (int i = 0; i < leaf_count; i++) {
        int index = 0;
        for (int j = 0; j < count; j++)
            if (in_scope(&arrays[j], &leaves[i])) {
                if (places[j].leaf != NULL || index == leaves[i].count)
                    return false;
                places[j] = (place){&leaves[i], index++};
                placed++;
            }
        if (index != leaves[i].count)
            return false;
    }
    return placed == count;
}

/* Whether Keras counts the array among those that training changes. */
static bool is_trained(const pd_keras_leaf *leaf, int index)
{
    return leaf->layer != NULL && leaf->trainable &&
           strncmp(leaf->params[index], "moving_", 7) != 0;
}

/* Places in Keras' order: first all arrays that training changes, then all others. */
static int place_in_order(place *places, const pd_keras_leaf *leaves, int leaf_count, int count)
{
    int used = 0;
    for (int trained = 1; trained >= 0; trained--)
        for (int i = 0; i < leaf_count; i++)
            for (int j = 0; j < leaves[i].count; j++)
                if (is_trained(&leaves[i], j) == (trained == 1) && used++ < count)
                    places[used - 1] = (place){&leaves[i], j};
    return used;
}

static pd_status load_arrays(const loader *l, const pd_keras_entry *entry, const pd_array *arrays,
                             int count)
{
    pd_status status = PD_OK;
    const pd_keras_leaf *leaves = &l->model->leaves[entry->first];
    place *places = NULL;
    int needed = 0;
    for (int i = 0; i < entry->count; i++)
        needed += leaves[i].count;
    if (needed != count)
        return pd_fail("%s: layer '%s': the file has %d array%s, but the network needs %d", l->path,
                       entry->name, count, pd_text_plural(count), needed);
    PD_TRY(pd_alloc(&places, (size_t)count, sizeof *places));
    if (!entry->nested || !place_by_scope(places, leaves, entry->count, arrays, count))
        place_in_order(places, leaves, entry->count, count);
    for (int i = 0; i < count; i++)
        PD_TRY(store(l, places[i].leaf, places[i].index, &arrays[i]));

cleanup:
    free(places);
    return status;
}

static pd_status load_entry(const loader *l, const pd_keras_entry *entry, const char *group)
{
    pd_array *arrays = NULL;
    int count = 0;
    pd_status status = pd_keras_file_get_group(&arrays, &count, l->file, group);
    if (status == PD_OK)
        status = load_arrays(l, entry, arrays, count);
    pd_array_free_all(arrays, count);
    return status;
}

/* Keeps the groups that have arrays, in their order. */
static pd_status filled_groups(char **groups, int *count, const pd_keras_file *file)
{
    int kept = 0;
    for (int i = 0; i < *count; i++) {
        int found;
        pd_status status = pd_keras_file_count(&found, file, groups[i]);
        if (status != PD_OK)
            return status;
        if (found > 0)
            groups[kept++] = groups[i];
    }
    *count = kept;
    return PD_OK;
}

static bool contains(char *const *groups, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(groups[i], name) == 0)
            return true;
    return false;
}

/* By the layers' names if the file has them all, else in the order of the layers, as Keras does. */
static pd_status load_groups(const loader *l)
{
    pd_status status = PD_OK;
    char **groups = NULL;
    int count = 0;
    bool by_name = true;
    PD_TRY(pd_keras_file_groups(&groups, &count, l->file));
    for (int i = 0; i < l->model->entry_count; i++)
        by_name = by_name && contains(groups, count, l->model->entries[i].name);
    if (!by_name) {
        PD_TRY(filled_groups(groups, &count, l->file));
        if (count != l->model->entry_count) {
            status = pd_fail("%s: the file has weights of %d layers, but the network needs %d",
                             l->path, count, l->model->entry_count);
            goto cleanup;
        }
    }
    for (int i = 0; i < l->model->entry_count; i++)
        PD_TRY(
            load_entry(l, &l->model->entries[i], by_name ? l->model->entries[i].name : groups[i]));

cleanup:
    free(groups);
    return status;
}

pd_status pd_keras_model_check(const pd_keras_model *model, const pd_keras_file *file)
{
    const char *path = pd_keras_file_path(file);
    size_t left = pd_keras_file_numbers(file);
    for (int i = 0; i < pd_network_layer_count(model->network); i++) {
        const pd_layer *layer = pd_network_layer(model->network, i);
        size_t weights = 0;
        for (int j = 0; j < layer->param_count; j++)
            weights += pd_param_size(&layer->params[j]);
        if (weights > left)
            return pd_fail("%s: layer '%s': the network has more weights than the file", path,
                           layer->name);
        if (pd_shape_size(layer->out) > PD_KERAS_OUTPUT_MAX)
            return pd_fail("%s: layer '%s': its output of %d x %d x %d is too large", path,
                           layer->name, layer->out.h, layer->out.w, layer->out.c);
        left -= weights;
    }
    return PD_OK;
}

pd_status pd_keras_model_load(pd_keras_model *model, pd_keras_file *file)
{
    const loader l = {.model = model, .file = file, .path = pd_keras_file_path(file)};
    if (!pd_keras_file_has_weights(file))
        return pd_fail("%s: holds no weights", l.path);
    return pd_keras_file_has_paths(file) ? load_paths(&l) : load_groups(&l);
}
