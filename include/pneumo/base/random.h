/* Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011).
 *
 * A stream is a pure function of (seed, purpose, major, minor): for example major = epoch and
 * minor = sample id. Numbers never depend on the rank, the thread or the order of other calls. */
#ifndef PNEUMO_BASE_RANDOM_H
#define PNEUMO_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* The purpose of a stream. Results depend on these values, so they never change. */
typedef enum pd_purpose {
    PD_PURPOSE_INIT = 1,      /* weights: major = tensor number */
    PD_PURPOSE_LANES = 2,     /* cutting the train fold into lanes */
    PD_PURPOSE_ORDER = 3,     /* order of samples: major = epoch, minor = lane and stream */
    PD_PURPOSE_AUGMENT = 4,   /* augmentation: major = epoch, minor = sample and repeat */
    PD_PURPOSE_DROPOUT = 5,   /* dropout: major = step, minor = layer and position in the batch */
    PD_PURPOSE_FOLDS = 6,     /* folds by patient */
    PD_PURPOSE_PHANTOM = 7,   /* synthetic radiographs: major = patient, minor = image */
    PD_PURPOSE_BOOTSTRAP = 8, /* resampling for confidence intervals */
    PD_PURPOSE_TEST = 9,      /* data for tests and benchmarks */
    PD_PURPOSE_NOISE = 10,    /* noise added to an image */
    PD_PURPOSE_CHANGE = 11,   /* acquisition changes: major = change, minor = sample */
    PD_PURPOSE_SUBSET = 12,   /* part of a large fold: for the stress test; for training
                                 major = 16 + class, minor = patient */
    PD_PURPOSE_MIXUP = 13,    /* mixup: major = lane, minor = step of the run */
    PD_PURPOSE_CALIBRATE = 14 /* calibration: major 0 selects images, 1 assigns them to parts */
} pd_purpose;

typedef struct pd_random {
    uint32_t key[2];
    uint32_t counter[4]; /* counter[0] counts blocks of four numbers */
    uint32_t block[4];
    unsigned used; /* numbers already taken from `block` */
} pd_random;

/* One Philox4x32-10 block: out[4] from counter[4] and key[2]. */
void pd_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* The stream of (seed, purpose, major, minor). Uses 8 bits of purpose, 24 bits of major, and all 64
 * bits of minor and seed. */
pd_random pd_random_stream(uint64_t seed, pd_purpose purpose, uint32_t major, uint64_t minor);

uint32_t pd_random_bits(pd_random *random);                        /* 32 random bits */
float pd_random_uniform(pd_random *random);                        /* [0, 1), 24 bits */
float pd_random_between(pd_random *random, float low, float high); /* [low, high); low <= high */
float pd_random_normal(pd_random *random);                   /* standard normal (Box-Muller) */
uint32_t pd_random_below(pd_random *random, uint32_t bound); /* [0, bound), unbiased (Lemire) */

/* Fisher-Yates shuffle of `items`. */
void pd_random_shuffle(pd_random *random, int64_t *items, size_t count);

#endif
