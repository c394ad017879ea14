#include "freeze.h"

#include "groups.h"

#include "pneumo/base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char base[] = "base";

static bool has_weights(const pd_network *network, int index)
{
    return pd_network_layer(network, index)->param_count > 0;
}

/* The last layer with weights before layer `end`; -1: there is none. */
static int last_with_weights(const pd_network *network, int end)
{
    int i = end - 1;
    while (i >= 0 && !has_weights(network, i))
        i--;
    return i;
}

/* Whether `name` begins with `text` as a whole word: up to a separator, or between a letter and a
 * digit. */
static bool begins_with(const char *name, const char *text)
{
    size_t length = strlen(text);
    if (strncmp(name, text, length) != 0)
        return false;
    unsigned char before = (unsigned char)text[length - 1], after = (unsigned char)name[length];
    return !isalnum(after) || !isalnum(before) || (isdigit(before) == 0) != (isdigit(after) == 0);
}

/* The layer of that name, or the last one whose name begins so; -1: there is none. */
static int find_layer(const pd_network *network, const char *upto)
{
    const pd_layer *layer = pd_network_find_layer(network, upto);
    if (layer != NULL)
        return layer->index;
    int last = pd_network_layer_count(network) - 1;
    while (last >= 0 && !begins_with(pd_network_layer(network, last)->name, upto))
        last--;
    return last;
}

/* Finds the names that may have been meant by an unknown one. */
typedef struct candidates {
    const char *upto;
    char nearest[PD_BLOCK_NAME]; /* the most similar name; "" if none is similar */
    int distance;                /* of that */
    char before[PD_BLOCK_NAME];  /* the name listed last */
    char list[512];
} candidates;

static void compare(candidates *found, const char *name)
{
    int distance = pd_text_distance(found->upto, name);
    if (distance >= found->distance)
        return;
    found->distance = distance;
    snprintf(found->nearest, sizeof found->nearest, "%s", name);
}

/* Adds a name to the list, "..." if it is full. */
static void list(candidates *found, const char *name)
{
    static const char more[] = ", ...";
    size_t used = strlen(found->list), left = sizeof found->list - used;
    if (strcmp(name, found->before) == 0)
        return;
    snprintf(found->before, sizeof found->before, "%s", name);
    if (strlen(name) + 2 * sizeof more <= left)
        snprintf(found->list + used, left, ", %s", name);
    else if (used < sizeof more || strcmp(found->list + used - (sizeof more - 1), more) != 0)
        snprintf(found->list + used, left, "%s", more);
}

/* Lists the blocks, and the layers with weights outside blocks, below the head. */
static pd_status fail_unknown(const pd_network *network, const char *upto, int head)
{
    candidates found = {.upto = upto, .distance = 4 /* names that differ more are not similar */};
    char block[PD_BLOCK_NAME];
    compare(&found, base);
    for (int i = 0; i < head; i++) {
        const char *layer = pd_network_layer(network, i)->name;
        bool in_block = pd_groups_block(block, layer);
        if (in_block)
            compare(&found, block);
        compare(&found, layer);
        if (has_weights(network, i))
            list(&found, in_block ? block : layer);
    }
    if (found.nearest[0] != '\0')
        return pd_fail("cannot freeze up to '%s': the network has no such layer or block; did you "
                       "mean '%s'?",
                       upto, found.nearest);
    return pd_fail("cannot freeze up to '%s': the network has no such layer or block; it has "
                   "base%s",
                   upto, found.list);
}

static void count_frozen(pd_frozen *out, const pd_network *network, int layers)
{
    out->layers = layers;
    for (int i = 0; i < layers; i++) {
        const pd_layer *layer = pd_network_layer(network, i);
        out->with_weights += layer->param_count > 0;
        for (int j = 0; j < layer->param_count; j++)
            *(layer->params[j].trainable ? &out->weights : &out->state) +=
                pd_param_size(&layer->params[j]);
    }
}

pd_status pd_freeze_resolve(pd_frozen *out, const pd_network *network, const char *upto)
{
    int count = pd_network_layer_count(network), head = pd_network_head(network);
    *out = (pd_frozen){0};
    for (int i = 0; i < count; i++)
        out->all_with_weights += has_weights(network, i);
    if (upto == NULL || upto[0] == '\0')
        return PD_OK;
    int last = strcmp(upto, base) == 0 ? head - 1 : find_layer(network, upto);
    if (last < 0 && strcmp(upto, base) != 0)
        return fail_unknown(network, upto, head);
    last = last_with_weights(network, last + 1);
    if (last < 0)
        return pd_fail("cannot freeze up to '%s': the network has no weights there", upto);
    if (last == last_with_weights(network, count))
        return pd_fail("cannot freeze up to '%s': that leaves no weights to train; 'base' freezes "
                       "all layers but '%s'",
                       upto, pd_network_layer(network, head)->name);
    count_frozen(out, network, last + 1);
    return PD_OK;
}
