/* The model files that Keras writes: HDF5 of Keras 1, 2 and 3 with or without the network, `.keras`
 * and `.weights.h5` of Keras 2 and 3, and the network alone as JSON (model.to_json()).
 *
 * Weights lie in one of two layouts. Keras 1 and 2, and `.h5` of Keras 3: a group per layer of the
 * model, in the order of model.layers, with the names of its arrays (pd_keras_file_groups).
 * Keras 3, and these two of Keras 2 with other names: a path per layer (keras_model.h). */
#ifndef PNEUMO_EXCHANGE_KERAS_FILE_H
#define PNEUMO_EXCHANGE_KERAS_FILE_H

#include "pneumo/base/status.h"
#include "pneumo/io/array.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct pd_keras_file pd_keras_file;

/* Opens a file. What is not a model, such as a Git LFS pointer, is named. The caller owns *out. */
pd_status pd_keras_file_open(pd_keras_file **out, const char *path);

/* Whether the file begins as an HDF5 file does. */
bool pd_keras_file_is_hdf5(const char *path);

/* NULL-safe; nulls the handle. */
void pd_keras_file_close(pd_keras_file **file);

const char *pd_keras_file_path(const pd_keras_file *file);

/* The network as JSON; NULL if the file holds weights only. Owned by the file. */
const char *pd_keras_file_config(const pd_keras_file *file);

bool pd_keras_file_has_weights(const pd_keras_file *file);

/* The most numbers that the file's weights can be. */
size_t pd_keras_file_numbers(const pd_keras_file *file);

/* Whether the weights are in the layout of Keras 3. */
bool pd_keras_file_has_paths(const pd_keras_file *file);

/* Layout of Keras 1 and 2: the names of the groups. *out is one block; free(). */
pd_status pd_keras_file_groups(char ***out, int *count, const pd_keras_file *file);

/* The number of arrays in a group; 0 if it does not exist. */
pd_status pd_keras_file_count(int *count, const pd_keras_file *file, const char *group);

/* Reads the arrays of a group in their order: `weight` is the full name, such as
 * "conv2d_1_1/kernel:0", and `layer` the group. *count is 0 if the group does not exist. The caller
 * frees them with pd_array_free_all, also after a failure. */
pd_status pd_keras_file_get_group(pd_array **arrays, int *count, pd_keras_file *file,
                                  const char *group);

/* Layout of Keras 3: whether there is an array at that path, and its content (out->data: free()).
 * Paths are those of Keras 3 also for files of Keras 2. */
bool pd_keras_file_has_array(const pd_keras_file *file, const char *path);
pd_status pd_keras_file_get_array(pd_array *out, pd_keras_file *file, const char *path);

/* The name of the layer whose arrays are at that path: *out is NULL if the file does not say, as
 * before Keras 3.8; free(). */
pd_status pd_keras_file_get_name(char **out, const pd_keras_file *file, const char *path);

#endif
