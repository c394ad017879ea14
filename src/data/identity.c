#include "pneumo/data/identity.h"

#include "pneumo/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
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

pd_status pd_identities_read(pd_identity *out, const pd_dataset *dataset, int64_t first,
                             int64_t count)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    uint8_t *image = NULL;
    PD_TRY(pd_alloc(&image, (size_t)info->height, (size_t)info->width));
    for (int64_t i = 0; i < count; i++) {
        int64_t id = first + i;
        PD_TRY(pd_dataset_read(dataset, &id, 1, image));
        out[i] = pd_identity_of(image, info->height, info->width);
    }
cleanup:
    free(image);
    return status;
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
