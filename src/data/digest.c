#include "digest.h"

#include "pneumo/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct pd_digest {
    XXH3_state_t *state;
};

/* Adds a number in little-endian order, so that the digest is the same on every machine. */
static void add_number(pd_digest *digest, uint64_t number)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> (8 * i));
    XXH3_128bits_update(digest->state, bytes, sizeof bytes);
}

static void add_text(pd_digest *digest, const char *text)
{
    XXH3_128bits_update(digest->state, text, strlen(text) + 1);
}

pd_status pd_digest_create(pd_digest **out, const pd_dataset_info *info)
{
    pd_status status;
    pd_digest *digest = NULL;

    *out = NULL;
    PD_TRY(pd_alloc(&digest, 1, sizeof *digest));
    digest->state = XXH3_createState();
    if (digest->state == NULL) {
        status = pd_fail("out of memory for the digest of a data set");
        goto cleanup;
    }
    XXH3_128bits_reset(digest->state);
    add_number(digest, (uint64_t)info->count);
    add_number(digest, (uint64_t)info->height);
    add_number(digest, (uint64_t)info->width);
    add_number(digest, info->seed);
    add_number(digest, (uint64_t)info->duplicates);
    add_text(digest, info->fold_policy);
    add_text(digest, info->grouping);
    *out = digest;
    digest = NULL;

cleanup:
    pd_digest_destroy(&digest);
    return status;
}

void pd_digest_destroy(pd_digest **digest)
{
    if (*digest == NULL)
        return;
    XXH3_freeState((*digest)->state);
    free(*digest);
    *digest = NULL;
}

void pd_digest_add(pd_digest *digest, const pd_sample *sample, const uint8_t *pixels, size_t size)
{
    add_number(digest, (uint64_t)sample->label);
    add_number(digest, (uint64_t)sample->cause);
    add_number(digest, (uint64_t)sample->fold);
    add_number(digest, (uint64_t)sample->patient);
    add_number(digest, sample->height);
    add_number(digest, sample->width);
    add_text(digest, sample->name);
    XXH3_128bits_update(digest->state, pixels, size);
}

void pd_digest_write(char text[33], const pd_digest *digest)
{
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(digest->state));
    for (size_t i = 0; i < sizeof bytes.digest; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes.digest[i]);
}
