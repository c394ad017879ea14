/* Lanes: the fixed slices of the train fold, and the order in which a lane's samples are taken. */
#ifndef PNEUMO_DATA_LANES_H
#define PNEUMO_DATA_LANES_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PD_CLASSES_MAX = 3 };

typedef struct pd_lanes pd_lanes;

typedef enum pd_balance {
    PD_BALANCE_NONE = 0,
    PD_BALANCE_OVERSAMPLE = 1, /* the classes take turns, so every batch holds equal shares */
    PD_BALANCE_WEIGHTS = 2,    /* loss weights inverse to the class counts, mean 1 */
    PD_BALANCE_SHAPE = 3 /* as OVERSAMPLE, with the samples of a class drawn by their weights */
} pd_balance;

/* How batches are drawn from the train fold. */
typedef struct pd_sampling {
    int lanes;
    int batch;        /* images of one step over all lanes; a multiple of `lanes` */
    int epoch_images; /* images of one epoch over all lanes; 0: as many as there are samples */
    pd_balance balance;
} pd_sampling;

/* Whether the classes take turns, so that every batch holds equal shares of them. */
bool pd_balance_takes_turns(pd_balance balance);

/* The samples of the train fold. */
typedef struct pd_lane_samples {
    size_t count;
    int classes;
    const int64_t *ids;
    const int32_t *labels; /* class of each, in [0, classes) */
    const double *weights; /* expected draws of each, in proportion, above 0; NULL: all equal */
} pd_lane_samples;

/* One element of a batch. */
typedef struct pd_pick {
    int64_t id;      /* sample id */
    uint32_t repeat; /* differs between uses in an epoch; without weights, how often the sample was
                        already used */
} pd_pick;

/* Divides the samples into lanes with equal shares of each class (they differ by at most one
 * sample): a pure function of the arguments, which are copied. Fails if a lane would have no sample
 * (if the classes take turns: none of a class). The caller owns *out. */
pd_status pd_lanes_create(pd_lanes **out, const pd_sampling *sampling, uint64_t seed,
                          const pd_lane_samples *samples);
void pd_lanes_destroy(pd_lanes **lanes);

/* All samples of lane `lane`: *ids is owned by `lanes`; returns their number. */
size_t pd_lanes_samples(const pd_lanes *lanes, int lane, const int64_t **ids);

/* Steps of an epoch: its images divided by the batch, rounded up. */
int64_t pd_lanes_epoch_steps(const pd_lanes *lanes);

/* Writes the batch / lanes picks of `lane` in step `step` of `epoch`. Each lane follows its own
 * permutation of that epoch and starts another one where it ends, so that every step is full. With
 * weights a permutation holds a sample as often as its weight over the mean weight, rounded down or
 * up at random: systematic sampling (Madow, Annals of Mathematical Statistics 20, 333-354, 1949).
 */
pd_status pd_lanes_batch(pd_lanes *lanes, uint32_t epoch, int64_t step, int lane, pd_pick *picks);

#endif
