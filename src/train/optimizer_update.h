/* What an update rule (optimizer_rules.c) gets to update a block of weights. */
#ifndef PNEUMO_TRAIN_OPTIMIZER_UPDATE_H
#define PNEUMO_TRAIN_OPTIMIZER_UPDATE_H

#include <stdbool.h>
#include <stdint.h>

struct pd_optimizer_spec;

/* One block of n weights w with gradients g. */
typedef struct pd_optimizer_update {
    const struct pd_optimizer_spec *spec;
    int n;
    float *w;
    const float *g;
    float *momentum, *mean, *variance; /* the block's part of each slot; NULL without that slot */
    double rate;                       /* the learning rate */
    int64_t step;                      /* since these weights are trained */
    bool decays;                       /* weight decay applies */
} pd_optimizer_update;

#endif
