/* The weights of a model and the state of its optimiser. */
#ifndef PNEUMO_IO_ARRAYS_H
#define PNEUMO_IO_ARRAYS_H

#include "pneumo/io/array.h"

enum { PD_SLOTS_MAX = 5 };

/* One optimiser slot, such as "momentum", with its arrays in the order of the weights. When the
 * weights are the moving average, the slot "live" holds the weights being trained. */
typedef struct pd_slot {
    const char *name;
    int count;
    pd_array *arrays;
} pd_slot;

typedef struct pd_arrays {
    int layer_count; /* layers that have weights, in network order */
    const char **layers;
    int weight_count;
    pd_array *weights;
    int slot_count;
    pd_slot slots[PD_SLOTS_MAX];
} pd_arrays;

#endif
