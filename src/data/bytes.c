#include "bytes.h"

#include "pneumo/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST = 4096 };

pd_status pd_bytes_append(pd_bytes *to, const void *bytes, size_t size)
{
    if (size > to->capacity - to->size) {
        unsigned char *larger;
        size_t capacity = 2 * to->capacity > to->size + size ? 2 * to->capacity : to->size + size;
        capacity = capacity < LEAST ? LEAST : capacity;
        pd_status status = pd_alloc(&larger, capacity, 1);
        if (status != PD_OK)
            return status;
        if (to->size > 0)
            memcpy(larger, to->bytes, to->size);
        free(to->bytes);
        to->bytes = larger;
        to->capacity = capacity;
    }
    if (size > 0)
        memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
    return PD_OK;
}

void pd_bytes_free(pd_bytes *bytes)
{
    free(bytes->bytes);
    *bytes = (pd_bytes){0};
}

pd_bytes_reader pd_bytes_read(const pd_bytes *bytes)
{
    return (pd_bytes_reader){.at = bytes->bytes, .end = bytes->bytes + bytes->size};
}

const void *pd_bytes_skip(pd_bytes_reader *from, size_t size)
{
    const unsigned char *at = from->at;
    if (at == NULL || size > (size_t)(from->end - at))
        return NULL;
    from->at += size;
    return at;
}

bool pd_bytes_take(pd_bytes_reader *from, void *out, size_t size)
{
    const void *at = pd_bytes_skip(from, size);
    if (at != NULL)
        memcpy(out, at, size);
    return at != NULL;
}
