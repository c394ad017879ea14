/* A network from Keras' description of it: the attribute model_config of HDF5 files, config.json of
 * `.keras`, or model.to_json(). Sequential and functional models, also nested ones.
 *
 * Scaling of the image (Rescaling, Normalization) and repeating it for several channels become the
 * input; layers that do nothing at inference (augmentation, noise) are left out; the activation of
 * the output is not part of the network, whose outputs are logits. What cannot be built is an error
 * that names layer and class. */
#ifndef PNEUMO_EXCHANGE_KERAS_MODEL_H
#define PNEUMO_EXCHANGE_KERAS_MODEL_H

#include "pneumo/exchange/keras_file.h"
#include "pneumo/io/input.h"
#include "pneumo/nn/network.h"

enum { PD_KERAS_WEIGHTS_MAX = 4 };

/* A layer with weights. */
typedef struct pd_keras_leaf {
    char *layer;                              /* of the network */
    char *name;                               /* Keras' */
    char *path;                               /* of its arrays in the layout of Keras 3 */
    bool trainable;                           /* not frozen */
    int count;                                /* arrays, in Keras' order */
    const char *params[PD_KERAS_WEIGHTS_MAX]; /* the network's names of them */
} pd_keras_leaf;

/* A layer of the outermost model: one leaf, or all leaves of a nested model. */
typedef struct pd_keras_entry {
    char *name;
    int first, count; /* leaves */
    bool nested;
} pd_keras_entry;

typedef struct pd_keras_model {
    pd_network *network;    /* not planned */
    pd_input input;         /* size and channels; scaling PD_GREY_FIXED, of numbers if `scaled` */
    bool resize;            /* in: input.size replaces the size that the description gives */
    bool scaled;            /* the description scales the image */
    const char *activation; /* of the output: "sigmoid", "softmax" or "linear" */

    /* Which arrays of a file belong to which layer. */
    int leaf_count, entry_count;
    pd_keras_leaf *leaves;
    pd_keras_entry *entries;
} pd_keras_model;

/* Builds the model that the JSON `config` describes; messages begin with `origin`. A model that
 * takes images of any size gets size out->input.size, if that is not 0; with out->resize any model
 * does. `weights` are read where a Normalization layer keeps its numbers there; may be NULL.
 * Release with pd_keras_model_free, also after a failure. */
pd_status pd_keras_model_read(pd_keras_model *out, const char *origin, const char *config,
                              pd_keras_file *weights);
void pd_keras_model_free(pd_keras_model *model);

/* Fails if the network, whose shapes are known (pd_network_measure), has more weights than the file
 * or outputs of more than PD_KERAS_OUTPUT_MAX numbers: a few words in a file can ask for any amount
 * of memory. */
enum { PD_KERAS_OUTPUT_MAX = 1 << 27 };
pd_status pd_keras_model_check(const pd_keras_model *model, const pd_keras_file *file);

/* Copies the file's weights into the planned network. Arrays that are missing, too many or of
 * another shape are an error that names them. */
pd_status pd_keras_model_load(pd_keras_model *model, pd_keras_file *file);

#endif
