#include "pneumo/data/identity.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

pd_identity pd_identity_of_bytes(const void *bytes, size_t size)
{
    pd_identity identity;
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, size));
    _Static_assert(sizeof canonical.digest == sizeof identity.bytes, "128 bits");
    memcpy(identity.bytes, canonical.digest, sizeof identity.bytes);
    return identity;
}

pd_identity pd_identity_of(const uint8_t *pixels, int height, int width)
{
    return pd_identity_of_bytes(pixels, (size_t)height * (size_t)width);
}

int pd_identity_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(pd_identity));
}

void pd_identity_digest(char text[33], const pd_identity *identities, size_t count)
{
    pd_identity digest = pd_identity_of_bytes(identities, count * sizeof *identities);
    for (size_t i = 0; i < sizeof digest.bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", digest.bytes[i]);
}
