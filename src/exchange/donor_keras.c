/* Keras files that hold weights only: which of their arrays belong to which of our layers. */
#include "donor_internal.h"

#include "pneumo/base/memory.h"
#include "pneumo/exchange/keras_config.h"
#include "pneumo/exchange/keras_model.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Names --- */

/* The layers of a class in ImageNet's file for Xception, which Keras 1 numbered from 1 in the order
 * in which the network was built: a shortcut before its block. */
typedef struct numbered {
    const char *class_name;
    int count;
    const char *const *layers;
} numbered;

static const char *const convolutions[] = {"block1_conv1", "block1_conv2", "conv2d",
                                           "conv2d_1",     "conv2d_2",     "conv2d_3"};

static const char *const separables[] = {
    "block2_sepconv1",  "block2_sepconv2",  "block3_sepconv1",  "block3_sepconv2",
    "block4_sepconv1",  "block4_sepconv2",  "block5_sepconv1",  "block5_sepconv2",
    "block5_sepconv3",  "block6_sepconv1",  "block6_sepconv2",  "block6_sepconv3",
    "block7_sepconv1",  "block7_sepconv2",  "block7_sepconv3",  "block8_sepconv1",
    "block8_sepconv2",  "block8_sepconv3",  "block9_sepconv1",  "block9_sepconv2",
    "block9_sepconv3",  "block10_sepconv1", "block10_sepconv2", "block10_sepconv3",
    "block11_sepconv1", "block11_sepconv2", "block11_sepconv3", "block12_sepconv1",
    "block12_sepconv2", "block12_sepconv3", "block13_sepconv1", "block13_sepconv2",
    "block14_sepconv1", "block14_sepconv2"};

/* The shortcuts' are 3, 6, 9 and 36. */
static const char *const norms[] = {
    "block1_conv1_bn",     "block1_conv2_bn",     "batch_normalization",
    "block2_sepconv1_bn",  "block2_sepconv2_bn",  "batch_normalization_1",
    "block3_sepconv1_bn",  "block3_sepconv2_bn",  "batch_normalization_2",
    "block4_sepconv1_bn",  "block4_sepconv2_bn",  "block5_sepconv1_bn",
    "block5_sepconv2_bn",  "block5_sepconv3_bn",  "block6_sepconv1_bn",
    "block6_sepconv2_bn",  "block6_sepconv3_bn",  "block7_sepconv1_bn",
    "block7_sepconv2_bn",  "block7_sepconv3_bn",  "block8_sepconv1_bn",
    "block8_sepconv2_bn",  "block8_sepconv3_bn",  "block9_sepconv1_bn",
    "block9_sepconv2_bn",  "block9_sepconv3_bn",  "block10_sepconv1_bn",
    "block10_sepconv2_bn", "block10_sepconv3_bn", "block11_sepconv1_bn",
    "block11_sepconv2_bn", "block11_sepconv3_bn", "block12_sepconv1_bn",
    "block12_sepconv2_bn", "block12_sepconv3_bn", "batch_normalization_3",
    "block13_sepconv1_bn", "block13_sepconv2_bn", "block14_sepconv1_bn",
    "block14_sepconv2_bn"};

#define NUMBERED(name, table)                                                                      \
    {                                                                                              \
        name, sizeof(table) / sizeof *(table), table                                               \
    }
static const numbered xception[] = {NUMBERED("convolution2d_", convolutions),
                                    NUMBERED("separableconvolution2d_", separables),
                                    NUMBERED("batchnormalization_", norms)};

/* The number behind `prefix`; 0: the name is another. */
static int number_behind(const char *name, const char *prefix)
{
    char *end;
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) != 0 || !isdigit((unsigned char)name[length]))
        return 0;
    long number = strtol(name + length, &end, 10);
    return *end == '\0' && number < 10000 ? (int)number : 0;
}

/* Our name of a group of Keras 1's Xception; of others its own. */
static const char *name_of(const char *group)
{
    for (size_t i = 0; i < sizeof xception / sizeof *xception; i++) {
        int number = number_behind(group, xception[i].class_name);
        if (number >= 1 && number <= xception[i].count)
            return xception[i].layers[number - 1];
    }
    return group;
}

/* The length of the name without "_<number>", and the number; 0 without one. */
static size_t split_name(const char *name, int *number)
{
    size_t length = strlen(name), end = length;
    while (end > 0 && isdigit((unsigned char)name[end - 1]))
        end--;
    bool found = end < length && end > 1 && name[end - 1] == '_' && length - end < 9;
    *number = found ? atoi(name + end) : 0;
    return found ? end - 1 : length;
}

/* --- Groups of arrays --- */

static pd_status add_group(pd_donor *out, pd_keras_file *file, const char *group)
{
    pd_status status = PD_OK;
    pd_array *arrays = NULL;
    int count = 0;
    PD_TRY(pd_keras_file_get_group(&arrays, &count, file, group));
    for (int i = 0; i < count; i++)
        PD_TRY(pd_donor_add(out, name_of(group), arrays[i].weight, &arrays[i]));

cleanup:
    pd_array_free_all(arrays, count);
    return status;
}

/* If the file has as many arrays of a layer as the network, they are its params in Keras' order,
 * whatever version of Keras has named them. */
static pd_status name_params(pd_donor *donor, const pd_network *network)
{
    pd_status status = PD_OK;
    for (int i = 0, count; i < donor->count; i += count) {
        pd_array *first = &donor->arrays[i];
        const pd_layer *layer = pd_network_find_layer(network, first->layer);
        for (count = 1; i + count < donor->count; count++)
            if (strcmp(first[count].layer, first->layer) != 0)
                break;
        for (int j = 0; layer != NULL && count == layer->param_count && j < count; j++) {
            char *name;
            PD_TRY(pd_strdup(&name, layer->params[j].name));
            free((void *)first[j].weight);
            first[j].weight = name;
        }
    }

cleanup:
    return status;
}

static pd_status add_groups(pd_donor *out, pd_keras_file *file, const pd_network *network)
{
    pd_status status = PD_OK;
    char **groups = NULL;
    int count = 0;
    PD_TRY(pd_keras_file_groups(&groups, &count, file));
    for (int i = 0; i < count; i++)
        PD_TRY(add_group(out, file, groups[i]));
    PD_TRY(pd_donor_renumber(out, network));
    status = name_params(out, network);

cleanup:
    free(groups);
    return status;
}

/* --- Paths --- */

/* Whether a file that has a layer of that name there (NULL: unknown) means this one. */
static bool is_named(const pd_keras_leaf *leaf, const char *name)
{
    int number;
    size_t length = split_name(leaf->name, &number);
    return name == NULL || strcmp(name, leaf->name) == 0 ||
           (split_name(name, &number) == length && memcmp(name, leaf->name, length) == 0);
}

/* Adds the arrays at a layer's path, counted from 0, unless they are another layer's. */
static pd_status add_path(pd_donor *out, pd_keras_file *file, const pd_keras_leaf *leaf)
{
    pd_status status = PD_OK;
    pd_array array = {0};
    char *path = NULL, *name = NULL;
    PD_TRY(pd_keras_file_get_name(&name, file, leaf->path));
    if (!is_named(leaf, name))
        goto cleanup;
    for (int i = 0; i < leaf->count; i++) {
        free(path);
        PD_TRY(pd_format(&path, "%s/%d", leaf->path, i));
        if (!pd_keras_file_has_array(file, path))
            break;
        PD_TRY(pd_keras_file_get_array(&array, file, path));
        PD_TRY(pd_donor_add(out, leaf->layer, leaf->params[i], &array));
    }

cleanup:
    free(array.data);
    free(name);
    free(path);
    return status;
}

/* Where Keras keeps the arrays follows from the whole network, and the head comes last: the paths
 * of the base are those that it has in the network that is to start. */
static pd_status add_paths(pd_donor *out, pd_keras_file *file, const pd_exchange_model *like)
{
    pd_status status = PD_OK;
    char *config = NULL;
    pd_keras_model model = {.network = NULL};
    /* The scaling has no arrays, and that of data.scaling = image cannot be read again. */
    pd_exchange_model plain = *like;
    pd_input input = *like->input;
    input.scaling = PD_GREY_FIXED;
    for (int c = 0; c < PD_INPUT_CHANNELS; c++)
        input.deviations[c] = 1;
    plain.input = &input;
    PD_TRY(pd_keras_config_write(&config, &plain));
    PD_TRY(pd_keras_model_read(&model, pd_keras_file_path(file), config, NULL));
    for (int i = 0; i < model.leaf_count; i++)
        if (model.leaves[i].layer != NULL)
            PD_TRY(add_path(out, file, &model.leaves[i]));

cleanup:
    pd_keras_model_free(&model);
    free(config);
    return status;
}

pd_status pd_donor_read_weights(pd_donor *out, pd_keras_file *file, const pd_exchange_model *like)
{
    bool paths = pd_keras_file_has_paths(file);
    snprintf(out->what, sizeof out->what, "Keras weights without a network");
    return paths ? add_paths(out, file, like) : add_groups(out, file, like->network);
}

/* --- Numbers --- */

/* A list of layers whose names differ in their numbers only. */
typedef struct series {
    const char *stem; /* [length] */
    size_t length;
    int count;
    const char **names; /* by number */
} series;

static int by_number(const void *a, const void *b)
{
    int x, y;
    split_name(*(const char *const *)a, &x);
    split_name(*(const char *const *)b, &y);
    return (x > y) - (x < y);
}

static bool belongs(const series *s, const char *name)
{
    int number;
    return split_name(name, &number) == s->length && memcmp(name, s->stem, s->length) == 0;
}

/* Fills s->names, room for all layers of both, with those of the donor. */
static void list_donor(series *s, const pd_donor *donor)
{
    s->count = 0;
    for (int i = 0; i < donor->count; i++) {
        const char *name = donor->arrays[i].layer;
        if (belongs(s, name) && (s->count == 0 || strcmp(s->names[s->count - 1], name) != 0))
            s->names[s->count++] = name;
    }
    qsort(s->names, (size_t)s->count, sizeof *s->names, by_number);
}

static void list_network(series *s, const pd_network *network)
{
    s->count = 0;
    for (int i = 0; i < pd_network_layer_count(network); i++) {
        const pd_layer *layer = pd_network_layer(network, i);
        if (layer->param_count > 0 && belongs(s, layer->name))
            s->names[s->count++] = layer->name;
    }
    qsort(s->names, (size_t)s->count, sizeof *s->names, by_number);
}

static bool same_names(const series *a, const series *b)
{
    for (int i = 0; i < a->count; i++)
        if (strcmp(a->names[i], b->names[i]) != 0)
            return false;
    return true;
}

/* Gives the donor's arrays the names of the network's layers, kept in new_names[donor->count]. */
static void rename_series(const pd_donor *donor, const series *from, const series *to,
                          const char **new_names)
{
    for (int i = 0; i < donor->count; i++)
        for (int j = 0; j < from->count; j++)
            if (strcmp(donor->arrays[i].layer, from->names[j]) == 0)
                new_names[i] = to->names[j];
}

static pd_status rename_array(pd_donor *donor, pd_array *array, const char *name)
{
    char *copy;
    if (!donor->owns) {
        array->layer = name; /* of the network, which outlives the donor */
        return PD_OK;
    }
    pd_status status = pd_strdup(&copy, name);
    if (status == PD_OK) {
        free((void *)array->layer);
        array->layer = copy;
    }
    return status;
}

static pd_status renumber_series(pd_donor *donor, const pd_network *network, series *from,
                                 series *to)
{
    pd_status status = PD_OK;
    const char **new_names = NULL;
    list_donor(from, donor);
    list_network(to, network);
    if (from->count != to->count || same_names(from, to))
        return PD_OK;
    PD_TRY(pd_alloc(&new_names, (size_t)donor->count, sizeof *new_names));
    rename_series(donor, from, to, new_names);
    for (int i = 0; i < donor->count; i++)
        if (new_names[i] != NULL)
            PD_TRY(rename_array(donor, &donor->arrays[i], new_names[i]));

cleanup:
    free(new_names);
    return status;
}

pd_status pd_donor_renumber(pd_donor *donor, const pd_network *network)
{
    pd_status status = PD_OK;
    series from = {0}, to = {0};
    int layers = pd_network_layer_count(network), number;
    PD_TRY(pd_alloc(&from.names, (size_t)donor->count, sizeof *from.names));
    PD_TRY(pd_alloc(&to.names, (size_t)layers, sizeof *to.names));
    for (int i = 0; i < layers; i++) {
        const pd_layer *layer = pd_network_layer(network, i);
        size_t length = split_name(layer->name, &number);
        if (number == 0 || layer->param_count == 0)
            continue;
        from.stem = to.stem = layer->name;
        from.length = to.length = length;
        PD_TRY(renumber_series(donor, network, &from, &to));
    }

cleanup:
    free(from.names);
    free(to.names);
    return status;
}
