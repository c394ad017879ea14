/* Work ahead: threads make the items of the next block while the caller uses the one before. */
#ifndef PNEUMO_EVALUATE_AHEAD_H
#define PNEUMO_EVALUATE_AHEAD_H

#include "pneumo/base/status.h"

#include <stdint.h>

typedef struct pd_ahead pd_ahead;

/* Blocks in memory at a time: the items of block b go to place b % PD_AHEAD_PLACES. */
enum { PD_AHEAD_PLACES = 2 };

typedef struct pd_ahead_options {
    int threads;
    int64_t blocks;
    void *context;
    /* Items of a block, which may be 0. */
    int (*count)(void *context, int64_t block);
    /* Makes an item. Called by all threads at the same time, each item once. */
    void (*make)(void *context, int64_t block, int item);
} pd_ahead_options;

/* Starts with block 0, on threads beside OpenMP's that may run on the same cores. Release *out with
 * pd_ahead_stop. */
pd_status pd_ahead_start(pd_ahead **out, const pd_ahead_options *options);

/* Waits for the next block, at first block 0. The place of the block before is filled again. */
void pd_ahead_next(pd_ahead *ahead);

/* Waits only for the items that are being made. */
void pd_ahead_stop(pd_ahead **ahead);

#endif
