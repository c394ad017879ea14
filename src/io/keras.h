/* The layout in which Keras stores weights in HDF5.
 *
 * A model's group has the attribute layer_names, in topological order, and a group per layer. A
 * layer's group has the attribute weight_names; each array is at <layer>/<weight name>, for example
 * block1_conv1/block1_conv1/kernel:0. A weight name is <scope>/<weight>:0. The scope is usually the
 * layer's name, but Keras 2.2 writes conv2d_1/conv2d_1_1/kernel:0, a nested model has the scopes of
 * its inner layers, Keras 3 omits ":0", and Keras 1 has no scope. Source:
 * keras/src/legacy/saving/legacy_h5_format.py. */
#ifndef PNEUMO_IO_KERAS_H
#define PNEUMO_IO_KERAS_H

#include "pneumo/io/array.h"

#include "hdf5.h"

/* Fails if `name` cannot be the name of a layer or weight: it becomes part of a path. */
pd_status pd_keras_check_name(const pd_hdf5 *file, const char *name);

/* Writes the attributes of / that make the file a Keras model: model_config, with the JSON
 * `config`, keras_version and backend. The text has fixed width: above 64 KiB HDF5 puts it into
 * dense storage, where Keras finds it in the same way. */
pd_status pd_keras_put_config(const pd_hdf5 *file, const char *config);

/* Stores the attribute model_config of the object with path `object` at *config (free()); NULL if
 * there is none. */
pd_status pd_keras_get_config(const pd_hdf5 *file, const char *object, char **config);

/* Creates the group `name` in / and writes layers[layer_count] and their weights into it. The scope
 * of every weight is its layer. */
pd_status pd_keras_put_model(const pd_hdf5 *file, const char *name, const char *const *layers,
                             int layer_count, const pd_array *weights, int weight_count);

/* Writes arrays[count] below `group` as <layer>/<weight>:0, and the attribute weight_names. With
 * `layer`, writes only the arrays of that layer. */
pd_status pd_keras_put_weights(const pd_hdf5 *file, hid_t group, const pd_array *arrays, int count,
                               const char *layer);

/* The path of the model's group: "" if / has layer_names (model.save_weights), else
 * "/model_weights" (model.save). Static. */
const char *pd_keras_root(const pd_hdf5 *file);

/* Reads layer_names of the model's group `root`. *out is one block; release it with free(). */
pd_status pd_keras_get_layers(const pd_hdf5 *file, const char *root, char ***out, int *count);

/* Reads the arrays of weight_names in the group with path `group` and appends them to
 * (*arrays)[*count], also in part after a failure: free them with pd_array_free_all. An array's
 * `layer` is the scope of its name ("" if it has none) and its `weight` the rest without ":0".
 * Takes the arrays' bytes from *budget and fails when it is spent. */
pd_status pd_keras_get_weights(const pd_hdf5 *file, const char *group, pd_array **arrays,
                               int *count, int64_t *budget);

#endif
