/* Recognising an image that was seen before, without its name. */
#ifndef PNEUMO_DATA_IDENTITY_H
#define PNEUMO_DATA_IDENTITY_H

#include "pneumo/io/site.h"

#include <stddef.h>

/* The XXH3-128 hash of packed pixels [height][width], in canonical (big-endian) byte order. The
 * same image packed to another size has another identity. */
pd_identity pd_identity_of(const uint8_t *pixels, int height, int width);

/* By bytes, for qsort and bsearch. */
int pd_identity_compare(const void *a, const void *b);

/* The 32 hexadecimal digits of XXH3-128 over `count` identities in their order. */
void pd_identity_digest(char text[33], const pd_identity *identities, size_t count);

#endif
