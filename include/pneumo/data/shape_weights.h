/* Weights of sampling under which shape and size of the images do not tell the classes apart. */
#ifndef PNEUMO_DATA_SHAPE_WEIGHTS_H
#define PNEUMO_DATA_SHAPE_WEIGHTS_H

#include "pneumo/data/shape.h"

/* An image is drawn at most about this many times as often as without weights, and at least at the
 * inverse: few images must not stand for a whole class. */
#define PD_SHAPE_WEIGHT_MOST  6.0
#define PD_SHAPE_WEIGHT_LEAST 0.25

typedef struct pd_shape_balance {
    bool applies; /* false: a shape is unknown, or all are the same; weights and AUCs are not set */
    /* How well each measure separates normal from pneumonia, from 0.5 to 1, unweighted and weighted
     */
    double before[PD_SHAPE_MEASURES], after[PD_SHAPE_MEASURES];
} pd_shape_balance;

/* Sets weights[count], mean 1 in each class, for samples[ids[i]] of class classes[i], each in
 * [0, class_count) and with at least one sample. Aspect and area are cut into 5 and 4 bins at the
 * quantiles of the classes' mean distribution. Within a class, the weight of a bin is its share in
 * the mean distribution over its share in the class, clipped to the limits above: importance
 * weighting of a covariate (Shimodaira, J. Statistical Planning and Inference 90, 227-244, 2000).
 * A pure function of its arguments. Fails when memory runs out. */
pd_status pd_shape_weights_set(double *weights, pd_shape_balance *balance, const pd_sample *samples,
                               const int64_t *ids, const int32_t *classes, size_t count,
                               int class_count);

#endif
