/* Numbers that a test and the script of its golden values compute in the same way. */
#ifndef PNEUMO_TESTS_GOLDEN_HASHED_H
#define PNEUMO_TESTS_GOLDEN_HASHED_H

#include <stddef.h>
#include <stdint.h>

/* out[count] in [-1, 1), as hashed() in make_networks.py. */
static inline void hashed(float *out, size_t count, uint32_t stream)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t h = (uint32_t)i * 2654435761u + stream * 40503u;
        h ^= h >> 15;
        h *= 2246822519u;
        h ^= h >> 13;
        out[i] = (float)((double)(h >> 8) / 8388608.0 - 1.0);
    }
}

#endif
