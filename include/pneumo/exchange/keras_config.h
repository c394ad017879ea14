/* A network as the JSON in which Keras describes a functional model (the attribute model_config of
 * its HDF5 files).
 *
 * The model's input is the grey image, 0 to 255, [size][size][1], as it is after resizing: the
 * first layers scale it and repeat it for each channel of the network. Its output is the
 * probabilities. */
#ifndef PNEUMO_EXCHANGE_KERAS_CONFIG_H
#define PNEUMO_EXCHANGE_KERAS_CONFIG_H

#include "pneumo/exchange/model.h"

/* Stores the JSON, which Keras 2.4 and later and Keras 3 read, at *json; free(). A layer type that
 * Keras has no class for is an error that names the layer. */
pd_status pd_keras_config_write(char **json, const pd_exchange_model *model);

/* Stores at *layers (free()) the `*count` layers that have weights, as indices of
 * pd_network_layer, in the order of Keras' model.layers, in which Keras reads their weights. It
 * differs from the network's order where the network has branches. */
pd_status pd_keras_config_order(int **layers, int *count, const pd_exchange_model *model);

#endif
