#include "pneumo/base/memory.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Blocks of at least LARGE bytes begin on a huge page. */
enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20, LARGE = 2 * HUGE_PAGE };

/* Bytes that an array has room for when it gets its first items. */
enum { FIRST_ROOM = 4096 };

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

pd_status pd_alloc(void *out, size_t count, size_t size)
{
    void *block = NULL;
    memcpy(out, &block, sizeof block);
    if (size != 0 && count > (SIZE_MAX - ALIGNMENT) / size)
        return pd_fail_system("out of memory: %zu items of %zu bytes exceed the address space",
                              count, size);
    size_t bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes == 0)
        bytes = ALIGNMENT;
    /* aligned_alloc requires a multiple of the alignment. */
    bool large = bytes >= LARGE && bytes <= SIZE_MAX - HUGE_PAGE;
    block = large ? aligned_alloc(HUGE_PAGE, (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE)
                  : aligned_alloc(ALIGNMENT, bytes);
    if (block == NULL && bytes < 1 << 20)
        return pd_fail_system("out of memory: cannot get %zu bytes", bytes);
    if (block == NULL)
        return pd_fail_system("out of memory: cannot get %.1f MiB", (double)bytes / 1048576.0);
    /* Kernels read many rows at the same time, each on another page: huge pages avoid TLB misses. A
     * failure only costs speed. */
    if (large)
        madvise(block, bytes, MADV_HUGEPAGE);
    memset(block, 0, bytes);
    memcpy(out, &block, sizeof block);
    return PD_OK;
}

pd_status pd_grow(void *array, size_t *capacity, size_t count, size_t size)
{
    void *old, *block;
    if (count <= *capacity)
        return PD_OK;
    /* Doubling does not overflow: no block in memory takes more than half of the address space. */
    size_t room = larger(count, larger(2 * *capacity, FIRST_ROOM / size));
    pd_status status = pd_alloc(&block, room, size);
    if (status != PD_OK)
        return status;
    memcpy(&old, array, sizeof old);
    if (*capacity > 0)
        memcpy(block, old, *capacity * size);
    free(old);
    memcpy(array, &block, sizeof block);
    *capacity = room;
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
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    *out = length < 0 ? NULL : malloc((size_t)length + 1);
    if (*out == NULL)
        return pd_fail_system("out of memory: cannot format a string");
    va_start(arguments, format);
    vsnprintf(*out, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return PD_OK;
}
