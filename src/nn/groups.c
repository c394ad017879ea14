#include "groups.h"

#include "pneumo/nn/network.h"

#include <ctype.h>
#include <string.h>

/* The length of a block's name at the start of `text`: 0 if there is none. */
static size_t block_length(const char *text)
{
    static const char word[] = "block";
    size_t length = sizeof word - 1;
    if (strncmp(text, word, length) != 0)
        return 0;
    length += text[length] == '_';
    size_t digits = strspn(text + length, "0123456789");
    if (digits == 0)
        return 0;
    length += digits;
    length += islower((unsigned char)text[length]) != 0;
    return isalnum((unsigned char)text[length]) ? 0 : length;
}

bool pd_groups_block(char block[PD_BLOCK_NAME], const char *layer)
{
    block[0] = '\0';
    for (const char *at = layer; *at != '\0'; at++) {
        size_t length = at == layer || !isalnum((unsigned char)at[-1]) ? block_length(at) : 0;
        length += (size_t)(at - layer) * (length > 0);
        if (length == 0)
            continue;
        if (length >= PD_BLOCK_NAME)
            return false;
        memcpy(block, layer, length);
        block[length] = '\0';
        return true;
    }
    return false;
}

/* The block of layer `index`, or else of the first layer above it that has one; "" if none has. */
static void find_block(char block[PD_BLOCK_NAME], const pd_network *network, int index)
{
    block[0] = '\0';
    for (int i = index; i < pd_network_layer_count(network); i++)
        if (pd_groups_block(block, pd_network_layer(network, i)->name))
            return;
}

/* Groups are contiguous: they are numbered upwards first, then from the head down. */
void pd_network_groups(const pd_network *network, int *groups)
{
    int count = pd_network_layer_count(network), last = -1;
    char block[PD_BLOCK_NAME], before[PD_BLOCK_NAME] = "";
    for (int i = 0; i < count; i++) {
        const pd_layer *layer = pd_network_layer(network, i);
        groups[i] = -1;
        if (layer->param_count == 0)
            continue;
        find_block(block, network, i);
        bool same = block[0] != '\0' ? strcmp(block, before) == 0 : layer->type->normalises;
        if (last < 0 || !same)
            last++;
        groups[i] = last;
        memcpy(before, block, sizeof before);
    }
    for (int i = 0; i < count; i++)
        if (groups[i] >= 0)
            groups[i] = last - groups[i];
}

int pd_network_head(const pd_network *network)
{
    int count = pd_network_layer_count(network), groups[count], head = count - 1;
    pd_network_groups(network, groups);
    for (int i = count - 1; i >= 0; i--)
        if (groups[i] == 0)
            head = i;
    return head;
}
