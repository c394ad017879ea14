#include "keras_builder.h"

#include "pneumo/base/memory.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pd_keras_refuse(pd_keras_builder *b, const char *format, ...)
{
    char text[256];
    va_list arguments;
    if (b->status != PD_OK)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    b->status = pd_fail("%s: layer '%s' (%s): %s", b->origin, b->name, b->class_name, text);
}

/* --- The layer's config --- */

const cJSON *pd_keras_key(const pd_keras_builder *b, const char *name, const char *old)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(b->config, name);
    if ((found == NULL || cJSON_IsNull(found)) && old != NULL)
        found = cJSON_GetObjectItemCaseSensitive(b->config, old);
    return cJSON_IsNull(found) ? NULL : found;
}

double pd_keras_number(pd_keras_builder *b, const char *name, const char *old, double missing)
{
    const cJSON *found = pd_keras_key(b, name, old);
    if (found == NULL)
        return missing;
    if (!cJSON_IsNumber(found) || !isfinite(found->valuedouble)) {
        pd_keras_refuse(b, "'%s' is not a number", name);
        return missing;
    }
    return found->valuedouble;
}

/* An integer from JSON; refused if it is none, or out of range. */
static int to_integer(pd_keras_builder *b, const char *name, const cJSON *item)
{
    if (cJSON_IsNumber(item) && fabs(item->valuedouble) <= INT_MAX &&
        item->valuedouble == floor(item->valuedouble))
        return (int)item->valuedouble;
    pd_keras_refuse(b, "'%s' is not an integer", name);
    return 0;
}

int pd_keras_integer(pd_keras_builder *b, const char *name, const char *old, int missing)
{
    const cJSON *found = pd_keras_key(b, name, old);
    return found == NULL ? missing : to_integer(b, name, found);
}

bool pd_keras_flag(pd_keras_builder *b, const char *name, const char *old, bool missing)
{
    const cJSON *found = pd_keras_key(b, name, old);
    if (found != NULL && !cJSON_IsBool(found))
        pd_keras_refuse(b, "'%s' is neither true nor false", name);
    return found == NULL ? missing : cJSON_IsTrue(found);
}

const char *pd_keras_text(pd_keras_builder *b, const char *name, const char *old,
                          const char *missing)
{
    const cJSON *found = pd_keras_key(b, name, old);
    /* Keras 3 can store a function as an object. */
    if (cJSON_IsObject(found))
        found = cJSON_GetObjectItemCaseSensitive(found, "config");
    if (found == NULL)
        return missing;
    if (!cJSON_IsString(found)) {
        pd_keras_refuse(b, "'%s' is not text", name);
        return missing;
    }
    return found->valuestring;
}

void pd_keras_to_pair(pd_keras_builder *b, const char *name, const cJSON *item, int out[2])
{
    bool list = cJSON_IsArray(item) && cJSON_GetArraySize(item) == 2;
    for (int i = 0; i < 2; i++)
        out[i] = to_integer(b, name, list ? cJSON_GetArrayItem(item, i) : item);
}

void pd_keras_pair(pd_keras_builder *b, const char *name, const char *old, int missing, int out[2])
{
    const cJSON *found = pd_keras_key(b, name, old);
    out[0] = out[1] = missing;
    if (found != NULL)
        pd_keras_to_pair(b, name, found, out);
}

/* --- The network's input --- */

static void store_scaling(pd_keras_builder *b, const pd_keras_value *image)
{
    pd_input *input = &b->model->input;
    input->channels = image->channels;
    for (int c = 0; c < image->channels; c++) {
        if (image->scale[c] == 0) {
            pd_keras_refuse(b, "the image is scaled by 0");
            return;
        }
        input->means[c] = (float)(-image->offset[c] / image->scale[c]);
        input->deviations[c] = (float)(1 / image->scale[c]);
    }
}

/* Whether the network's input is this image, scaled in the same way. */
static bool same_image(const pd_keras_builder *b, const pd_keras_value *image)
{
    const pd_input *input = &b->model->input;
    bool same = input->channels == image->channels;
    for (int c = 0; same && c < image->channels; c++)
        same = input->means[c] == (float)(-image->offset[c] / image->scale[c]) &&
               input->deviations[c] == (float)(1 / image->scale[c]);
    return same;
}

static void settle(pd_keras_builder *b, const pd_keras_value *image)
{
    pd_keras_model *model = b->model;
    if (b->status != PD_OK)
        return;
    if (b->settled) {
        if (!same_image(b, image))
            pd_keras_refuse(b, "reads the image with another scaling than other layers");
        return;
    }
    store_scaling(b, image);
    if (b->status == PD_OK)
        b->status =
            pd_network_create(&model->network, (pd_shape){model->input.size, model->input.size,
                                                          model->input.channels});
    b->settled = true;
}

/* --- Layers --- */

/* Stores at *out (free()) a name that no layer has and that can be part of a path. */
static void make_name(pd_keras_builder *b, char **out, const char *name, const char *suffix)
{
    char number[16] = "";
    for (int i = 1;; i++) {
        b->status = pd_format(out, "%s%s%s", name, suffix, number);
        if (b->status != PD_OK)
            return;
        for (char *at = *out; *at != '\0'; at++)
            if (*at == '/')
                *at = '_';
        if (pd_network_find_layer(b->model->network, *out) == NULL)
            return;
        free(*out);
        *out = NULL;
        snprintf(number, sizeof number, "_%d", i);
    }
}

static int add_named(pd_keras_builder *b, const char *type, const char *name, const char *suffix,
                     const int nodes[2], int count, pd_layer_spec spec)
{
    char *unique = NULL;
    int node = PD_NETWORK_INPUT;
    if (b->status == PD_OK)
        make_name(b, &unique, name, suffix);
    if (b->status == PD_OK)
        node = count == 1
                   ? pd_network_add(b->model->network, type, unique, nodes[0], spec)
                   : pd_network_add2(b->model->network, type, unique, nodes[0], nodes[1], spec);
    free(unique);
    return node;
}

int pd_keras_node(pd_keras_builder *b, const pd_keras_value *value)
{
    if (value->image) {
        settle(b, value);
        return PD_NETWORK_INPUT;
    }
    if (value->pending == NULL)
        return value->node;
    if (strcmp(value->pending, "sigmoid") != 0) {
        pd_keras_refuse(b, "reads a %s, which is supported at the output only ('%s')",
                        value->pending, value->activated);
        return value->node;
    }
    return add_named(b, "sigmoid", value->activated, "_sigmoid", (int[]){value->node, 0}, 1,
                     (pd_layer_spec){0});
}

int pd_keras_add(pd_keras_builder *b, const char *type, const char *suffix,
                 const pd_keras_value *values, int count, pd_layer_spec spec)
{
    int nodes[2] = {0, 0};
    for (int i = 0; i < count; i++)
        nodes[i] = pd_keras_node(b, &values[i]);
    return add_named(b, type, b->name, suffix, nodes, count, spec);
}

void pd_keras_add_leaf(pd_keras_builder *b, int node, const char *const *params, int count)
{
    pd_status status = PD_OK;
    pd_keras_model *model = b->model;
    if (b->status != PD_OK)
        return;
    PD_TRY(pd_grow(&model->leaves, &b->leaf_capacity, (size_t)model->leaf_count + 1,
                   sizeof *model->leaves));
    pd_keras_leaf *leaf = &model->leaves[model->leaf_count++];
    *leaf = (pd_keras_leaf){.trainable = !b->frozen && pd_keras_flag(b, "trainable", NULL, true),
                            .count = count};
    memcpy(leaf->params, params, (size_t)count * sizeof *params);
    if (node > 0)
        PD_TRY(pd_strdup(&leaf->layer, pd_network_layer(model->network, node - 1)->name));
    PD_TRY(pd_strdup(&leaf->name, b->name));
    PD_TRY(pd_strdup(&leaf->path, b->path));

cleanup:
    if (status != PD_OK)
        b->status = status;
}
