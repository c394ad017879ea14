/* Weights as Keras 3 stores them in HDF5 (.weights.h5, and model.weights.h5 of a .keras file): the
 * arrays of a layer at layers/<group>/vars/0, 1, ...; keras/src/saving/saving_lib.py. */
#ifndef PNEUMO_IO_KERAS_WEIGHTS_H
#define PNEUMO_IO_KERAS_WEIGHTS_H

#include "pneumo/base/status.h"
#include "pneumo/io/array.h"

#include <stddef.h>

/* A layer's arrays, in Keras' order. */
typedef struct pd_keras_vars {
    const char *group; /* the class in snake case, numbered from the second layer of the class on:
                          "conv2d_1" */
    const char *layer; /* name */
    int count;
    const pd_array *arrays;
} pd_keras_vars;

/* Makes the file in memory: *bytes [*size], to be released with free(). Messages name `path`. The
 * same arrays give the same bytes. */
pd_status pd_keras_weights_make(void **bytes, size_t *size, const char *path,
                                const pd_keras_vars *layers, int count);

#endif
