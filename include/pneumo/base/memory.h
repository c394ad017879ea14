/* Allocation of zeroed memory that is aligned for vector loads; failures leave a message. */
#ifndef PNEUMO_BASE_MEMORY_H
#define PNEUMO_BASE_MEMORY_H

#include "pneumo/base/status.h"

#include <stddef.h>

/* Stores at *(void **)out the address of a zeroed block of count * size bytes, aligned to 64 bytes,
 * to be released with free(). The address is not NULL even if the size is 0. On overflow or if
 * memory is short, fails with a message that gives the size, and sets *out to NULL. `out` is the
 * address of any object pointer. */
pd_status pd_alloc(void *out, size_t count, size_t size);

/* Makes room for `count` items of `size` > 0 bytes in the array at *(void **)array, which has room
 * for *capacity items. If they do not fit, moves the array to a larger block as of pd_alloc, with
 * at least twice the room, and updates *capacity: the items are kept, addresses of items become
 * invalid, and further room is zeroed. Appending items one at a time so costs constant time per
 * item on average. An array is NULL with capacity 0 at first, and released with free(). On overflow
 * or if memory is short, fails with the messages of pd_alloc, and *array and *capacity stay as they
 * are. `array` is the address of any object pointer. */
pd_status pd_grow(void *array, size_t *capacity, size_t count, size_t size);

/* Stores a copy of `text` at *out, to be released with free(). */
pd_status pd_strdup(char **out, const char *text);

/* Stores a formatted string at *out, to be released with free(). */
pd_status pd_format(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
