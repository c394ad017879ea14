#include "groups.h"

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
