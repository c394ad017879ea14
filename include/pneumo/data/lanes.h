/* Lanes: the fixed slices of the train fold, and the order in which a lane's samples are taken. */
#ifndef PNEUMO_DATA_LANES_H
#define PNEUMO_DATA_LANES_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PD_CLASSES_MAX = 3 };

typedef struct pd_lanes pd_lanes;

typedef struct pd_lanes_options {
    int lanes, lane_samples; /* lane_samples: of one lane in one step */
    int classes;             /* 2 or 3 */
    bool take_turns;         /* the classes take turns, so that every batch holds equal shares */
    int64_t epoch_images;    /* per epoch over all lanes; 0: as many as there are samples */
    uint64_t seed;
} pd_lanes_options;

/* One place of a batch. */
typedef struct pd_pick {
    int64_t id;      /* sample id */
    uint32_t repeat; /* times that it came before in this epoch */
} pd_pick;

/* Cuts ids[count], of class labels[i] each, into lanes with equal shares of each class (they differ
 * by at most one sample): a pure function of the options and the ids. An error if a lane would have
 * no sample (or, when classes take turns, none of a class). The caller owns *out. */
pd_status pd_lanes_create(pd_lanes **out, const pd_lanes_options *options, const int64_t *ids,
                          const int32_t *labels, size_t count);
void pd_lanes_destroy(pd_lanes **lanes);

/* All samples of lane `lane`: *ids is owned by `lanes`; returns their number. */
size_t pd_lanes_samples(const pd_lanes *lanes, int lane, const int64_t **ids);

/* Steps of an epoch: epoch_images over the batch, rounded up. */
int64_t pd_lanes_epoch_steps(const pd_lanes *lanes);

/* Writes the lane_samples picks of `lane` in step `step` of `epoch`. Each lane follows its own
 * permutation of that epoch and starts another one where it ends, so that every step is full. */
pd_status pd_lanes_batch(pd_lanes *lanes, uint32_t epoch, int64_t step, int lane, pd_pick *picks);

#endif
