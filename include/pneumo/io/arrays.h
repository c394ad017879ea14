/* Named float arrays: the weights of a model and the state of its optimiser. */
#ifndef PNEUMO_IO_ARRAYS_H
#define PNEUMO_IO_ARRAYS_H

enum { PD_ARRAY_RANK_MAX = 4, PD_SLOTS_MAX = 4 };

typedef struct pd_array {
    const char *layer;  /* "block1_conv1" */
    const char *weight; /* "kernel" */
    int rank;           /* 1 to PD_ARRAY_RANK_MAX */
    int dims[PD_ARRAY_RANK_MAX];
    float *data;
} pd_array;

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

/* The array of that layer and weight name among arrays[count], or NULL. */
const pd_array *pd_array_find(const pd_array *arrays, int count, const char *layer,
                              const char *weight);

#endif
