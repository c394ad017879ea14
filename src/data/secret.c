#include "secret.h"

#include <openssl/hmac.h>
#include <string.h>

pd_identity pd_secret_hash(const pd_identity *secret, const void *bytes, size_t size)
{
    pd_identity out;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    HMAC(EVP_sha256(), secret->bytes, sizeof secret->bytes, bytes, size, digest, &length);
    memcpy(out.bytes, digest, sizeof out.bytes);
    return out;
}
