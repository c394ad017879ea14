/* Lanes: the fixed slices of the train fold, and the order in which a lane's samples are taken. */
#ifndef PNEUMO_DATA_LANES_H
#define PNEUMO_DATA_LANES_H

#include "pneumo/base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { PD_CLASSES_MAX = 3 };

typedef struct pd_lanes pd_lanes;

typedef enum pd_balance {
    PD_BALANCE_NONE = 0,
    PD_BALANCE_OVERSAMPLE = 1, /* the classes take turns, so every batch holds equal shares */
    PD_BALANCE_WEIGHTS = 2     /* loss weights inverse to the class counts, mean 1 */
} pd_balance;

/* How batches are drawn from the train fold. */
typedef struct pd_sampling {
    int lanes;
    int batch;        /* images of one step over all lanes; a multiple of `lanes` */
    int epoch_images; /* images of one epoch over all lanes; 0: as many as there are samples */
    pd_balance balance;
} pd_sampling;

/* One element of a batch. */
typedef struct pd_pick {
    int64_t id;      /* sample id */
    uint32_t repeat; /* how often it was already used in this epoch */
} pd_pick;

/* Divides ids[count], of class labels[i] each in [0, classes), into lanes with equal shares of each
 * class (they differ by at most one sample): a pure function of the arguments. Fails if a lane
 * would have no sample (with PD_BALANCE_OVERSAMPLE: none of a class). The caller owns *out. */
pd_status pd_lanes_create(pd_lanes **out, const pd_sampling *sampling, uint64_t seed, int classes,
                          const int64_t *ids, const int32_t *labels, size_t count);
void pd_lanes_destroy(pd_lanes **lanes);

/* All samples of lane `lane`: *ids is owned by `lanes`; returns their number. */
size_t pd_lanes_samples(const pd_lanes *lanes, int lane, const int64_t **ids);

/* Steps of an epoch: its images divided by the batch, rounded up. */
int64_t pd_lanes_epoch_steps(const pd_lanes *lanes);

/* Writes the batch / lanes picks of `lane` in step `step` of `epoch`. Each lane follows its own
 * permutation of that epoch and starts another one where it ends, so that every step is full. */
pd_status pd_lanes_batch(pd_lanes *lanes, uint32_t epoch, int64_t step, int lane, pd_pick *picks);

#endif
