/* Identities of images: hashes that recognise an image without its name. */
#ifndef PNEUMO_DATA_IDENTITY_H
#define PNEUMO_DATA_IDENTITY_H

#include "pneumo/io/dataset.h"
#include "pneumo/io/site.h"

#include <stddef.h>

/* The XXH3-128 hash of bytes, in canonical (big-endian) byte order. */
pd_identity pd_identity_of_bytes(const void *bytes, size_t size);

/* The identity of packed pixels [height][width]. The same image packed to another size has another
 * identity. */
pd_identity pd_identity_of(const uint8_t *pixels, int height, int width);

/* Reads samples first, first + 1, ... of a data set and stores their identities in out[count].
 * Errors are those of pd_dataset_read. */
pd_status pd_identities_read(pd_identity *out, const pd_dataset *dataset, int64_t first,
                             int64_t count);

/* Compares by bytes; for qsort and bsearch. */
int pd_identity_compare(const void *a, const void *b);

/* The 32 hexadecimal digits of XXH3-128 over `count` identities in their order. */
void pd_identity_digest(char text[33], const pd_identity *identities, size_t count);

#endif
