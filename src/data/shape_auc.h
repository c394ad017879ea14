/* The AUC of a measure of the images' shapes. */
#ifndef PNEUMO_DATA_SHAPE_AUC_H
#define PNEUMO_DATA_SHAPE_AUC_H

#include "pneumo/io/dataset.h"

/* An image with a measure's value; `weight` is how often it counts. */
typedef struct pd_measured {
    double value, weight;
    pd_label label;
} pd_measured;

/* Sorts items[count] by value and returns the probability that a pneumonia image has the higher
 * value than a normal one, ties counted half: the Mann-Whitney estimate. Exact if all weights are
 * 1, since all sums are then whole numbers. NaN without images of either class. */
double pd_shape_auc(pd_measured *items, size_t count);

#endif
