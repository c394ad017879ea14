/* Building a network from Keras' layers, one after the other. */
#ifndef PNEUMO_EXCHANGE_KERAS_BUILDER_H
#define PNEUMO_EXCHANGE_KERAS_BUILDER_H

#include "pneumo/exchange/keras_model.h"

#include <cjson/cJSON.h>
#include <stddef.h>

/* What one layer hands to the next. */
typedef struct pd_keras_value {
    bool image;   /* the model's input, or that scaled; no node of the network */
    int channels; /* of an image */
    double scale[PD_INPUT_CHANNELS], offset[PD_INPUT_CHANNELS]; /* image: grey * scale + offset */
    int node;                                                   /* of the network */
    bool vector;                                                /* has no height and width */
    const char *pending;   /* "sigmoid", "softmax": an activation that is still to come; or NULL */
    const char *activated; /* the layer that the activation is part of */
} pd_keras_value;

typedef struct pd_keras_builder {
    pd_keras_model *model;
    const char *origin;     /* for messages */
    pd_keras_file *weights; /* or NULL */
    pd_status status;       /* of the first failure */
    bool settled;           /* the network's input is fixed */
    size_t leaf_capacity, entry_capacity;

    /* The layer that is being built. */
    const char *name, *class_name;
    const cJSON *config;
    const char *path; /* of its arrays in the layout of Keras 3 */
    bool frozen;      /* it or a model around it */
} pd_keras_builder;

/* Records "<origin>: layer '<name>' (<class>): <text>" unless there was a failure before. */
void pd_keras_refuse(pd_keras_builder *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- The layer's config. A key that is missing or null gives `missing`. Of two names, the second
 * is that of Keras 1; it may be NULL. --- */

const cJSON *pd_keras_key(const pd_keras_builder *b, const char *name, const char *old);
double pd_keras_number(pd_keras_builder *b, const char *name, const char *old, double missing);
int pd_keras_integer(pd_keras_builder *b, const char *name, const char *old, int missing);
bool pd_keras_flag(pd_keras_builder *b, const char *name, const char *old, bool missing);
const char *pd_keras_text(pd_keras_builder *b, const char *name, const char *old,
                          const char *missing);
/* Two integers: a list of two, or a number for both. `name` is for messages. */
void pd_keras_to_pair(pd_keras_builder *b, const char *name, const cJSON *item, int out[2]);
void pd_keras_pair(pd_keras_builder *b, const char *name, const char *old, int missing, int out[2]);

/* --- The network --- */

/* The node of a value: fixes the network's input if it is the image, and appends an activation that
 * is pending. */
int pd_keras_node(pd_keras_builder *b, const pd_keras_value *value);

/* Appends a layer that reads values[count], count 1 or 2, as the layer that is being built, with
 * `suffix` behind its name. */
int pd_keras_add(pd_keras_builder *b, const char *type, const char *suffix,
                 const pd_keras_value *values, int count, pd_layer_spec spec);

/* Says that the network's layer `node` has the arrays params[count] in Keras' files. */
void pd_keras_add_leaf(pd_keras_builder *b, int node, const char *const *params, int count);

/* Builds the current layer from its inputs (keras_layers.c). */
void pd_keras_build_layer(pd_keras_builder *b, const pd_keras_value *inputs, int count,
                          pd_keras_value *out);

#endif
