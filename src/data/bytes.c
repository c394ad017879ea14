#include "bytes.h"

#include "pneumo/base/memory.h"

#include <stdlib.h>
#include <string.h>

pd_status pd_bytes_append(pd_bytes *to, const void *bytes, size_t size)
{
    pd_status status = pd_grow(&to->bytes, &to->capacity, to->size + size, 1);
    if (status != PD_OK)
        return status;
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
