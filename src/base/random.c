#include "pneumo/base/random.h"

#include <math.h>

void pd_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

pd_random pd_random_stream(uint64_t seed, pd_purpose purpose, uint32_t major, uint64_t minor)
{
    return (pd_random){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, (uint32_t)purpose << 24 | (major & 0xFFFFFFu), (uint32_t)minor,
                    (uint32_t)(minor >> 32)},
        .used = 4,
    };
}

uint32_t pd_random_bits(pd_random *random)
{
    if (random->used == 4) {
        pd_philox(random->block, random->counter, random->key);
        random->counter[0]++;
        random->used = 0;
    }
    return random->block[random->used++];
}

float pd_random_uniform(pd_random *random)
{
    return (float)(pd_random_bits(random) >> 8) * 0x1p-24f;
}

float pd_random_between(pd_random *random, float low, float high)
{
    float value = low + (high - low) * pd_random_uniform(random);
    return value < high ? value : low; /* rounding may reach high */
}

float pd_random_normal(pd_random *random)
{
    double radius = sqrt(-2.0 * log(1.0 - (double)pd_random_uniform(random)));
    double angle = 6.283185307179586 * (double)pd_random_uniform(random);
    return (float)(radius * cos(angle));
}

uint32_t pd_random_below(pd_random *random, uint32_t bound)
{
    if (bound < 2)
        return 0;
    uint64_t product = (uint64_t)pd_random_bits(random) * bound;
    if ((uint32_t)product < bound) {
        uint32_t threshold = -bound % bound;
        while ((uint32_t)product < threshold)
            product = (uint64_t)pd_random_bits(random) * bound;
    }
    return (uint32_t)(product >> 32);
}

void pd_random_shuffle(pd_random *random, int64_t *items, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = pd_random_below(random, (uint32_t)i);
        int64_t item = items[i - 1];
        items[i - 1] = items[j];
        items[j] = item;
    }
}
