#include "pneumo/base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

pd_status pd_alloc(void *out, size_t count, size_t size)
{
    void *block = NULL;
    memcpy(out, &block, sizeof block);
    if (size != 0 && count > (SIZE_MAX - ALIGNMENT) / size)
        return pd_fail("out of memory: %zu items of %zu bytes are more than can be addressed",
                       count, size);
    size_t bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes == 0)
        bytes = ALIGNMENT;
    block = aligned_alloc(ALIGNMENT, bytes);
    if (block == NULL)
        return pd_fail("out of memory: cannot get %.1f MiB", (double)bytes / 1048576.0);
    memset(block, 0, bytes);
    memcpy(out, &block, sizeof block);
    return PD_OK;
}

pd_status pd_strdup(char **out, const char *text)
{
    return pd_format(out, "%s", text);
}

pd_status pd_format(char **out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(out, format, arguments);
    va_end(arguments);
    if (length < 0) {
        *out = NULL;
        return pd_fail("out of memory: cannot format a text");
    }
    return PD_OK;
}
