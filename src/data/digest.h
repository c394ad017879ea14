/* The content digest of a data set: XXH3-128 over everything but the program's version. */
#ifndef PNEUMO_DATA_DIGEST_H
#define PNEUMO_DATA_DIGEST_H

#include "pneumo/io/dataset.h"

typedef struct pd_digest pd_digest;

/* Starts a digest with the description of a data set. Fails when memory runs out. The caller owns
 * *out. */
pd_status pd_digest_create(pd_digest **out, const pd_dataset_info *info);
void pd_digest_destroy(pd_digest **digest);

/* Adds a sample and its pixels [size]. */
void pd_digest_add(pd_digest *digest, const pd_sample *sample, const uint8_t *pixels, size_t size);

/* Writes the 32 hexadecimal digits. */
void pd_digest_write(char text[33], const pd_digest *digest);

#endif
