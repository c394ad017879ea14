/* pd_arrays as content of a checkpoint file. */
#ifndef PNEUMO_IO_ARRAYS_INTERNAL_H
#define PNEUMO_IO_ARRAYS_INTERNAL_H

#include "pneumo/io/arrays.h"

#include "hdf5.h"

/* Writes /model_weights in Keras' layout (keras.h), and /optimizer: a group per slot, with the
 * slot's arrays at <layer>/<weight>:0. */
pd_status pd_arrays_put(const pd_hdf5 *file, const pd_arrays *arrays);

/* Reads both into zeroed *arrays, also in part after a failure; release with pd_arrays_free. Fails
 * if they take more than *budget bytes, from which it subtracts what they take. */
pd_status pd_arrays_get(const pd_hdf5 *file, pd_arrays *arrays, int64_t *budget);

/* Frees what pd_arrays_get allocated. */
void pd_arrays_free(pd_arrays *arrays);

#endif
