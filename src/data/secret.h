/* Hashes with a secret, so that what is hashed cannot be found by trying all that it may be. */
#ifndef PNEUMO_DATA_SECRET_H
#define PNEUMO_DATA_SECRET_H

#include "pneumo/io/site.h"

#include <stddef.h>

/* The first 128 bits of HMAC-SHA256 (RFC 2104) of bytes[size]. */
pd_identity pd_secret_hash(const pd_identity *secret, const void *bytes, size_t size);

#endif
