/* Bytes that grow, for messages between ranks. */
#ifndef PNEUMO_DATA_BYTES_H
#define PNEUMO_DATA_BYTES_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct pd_bytes {
    unsigned char *bytes; /* [size]; released with pd_bytes_free */
    size_t size, capacity;
} pd_bytes;

/* Appends bytes[size]. Fails when memory runs out. */
pd_status pd_bytes_append(pd_bytes *to, const void *bytes, size_t size);
void pd_bytes_free(pd_bytes *bytes);

/* What is left to read of bytes, which are borrowed. */
typedef struct pd_bytes_reader {
    const unsigned char *at, *end;
} pd_bytes_reader;

pd_bytes_reader pd_bytes_read(const pd_bytes *bytes);

/* Returns the address of the next `size` bytes, which need not be aligned, and moves on; NULL if
 * there are fewer. */
const void *pd_bytes_skip(pd_bytes_reader *from, size_t size);

/* Copies the next `size` bytes to `out` and moves on; false if there are fewer. */
bool pd_bytes_take(pd_bytes_reader *from, void *out, size_t size);

#endif
