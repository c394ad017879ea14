/* Memory that is zeroed, aligned for vector loads, and reported when it runs out. */
#ifndef PNEUMO_BASE_MEMORY_H
#define PNEUMO_BASE_MEMORY_H

#include "pneumo/base/status.h"

#include <stddef.h>

/* Stores at *(void **)out a zeroed block of count * size bytes, aligned to 64 bytes; release it
 * with free(). A block of zero bytes is a valid pointer. Fails with the size on overflow or when
 * memory runs out; *out is then NULL. `out` is the address of any object pointer. */
pd_status pd_alloc(void *out, size_t count, size_t size);

/* Stores at *out a copy of `text`, to be released with free(). */
pd_status pd_strdup(char **out, const char *text);

/* Stores at *out a formatted string, to be released with free(). */
pd_status pd_format(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
