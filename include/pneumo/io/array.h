/* A named float array, such as the kernel of a layer. */
#ifndef PNEUMO_IO_ARRAY_H
#define PNEUMO_IO_ARRAY_H

enum { PD_ARRAY_RANK_MAX = 4 };

typedef struct pd_array {
    const char *layer;  /* "block1_conv1" */
    const char *weight; /* "kernel" */
    int rank;           /* 1 to PD_ARRAY_RANK_MAX */
    int dims[PD_ARRAY_RANK_MAX];
    float *data;
} pd_array;

/* The array of that layer and weight name among arrays[count], or NULL. */
const pd_array *pd_array_find(const pd_array *arrays, int count, const char *layer,
                              const char *weight);

/* Frees arrays[count] that own their names and data, and the block itself. */
void pd_array_free_all(pd_array *arrays, int count);

#endif
