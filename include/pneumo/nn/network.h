/* A network: a graph of layers in topological order, its weights, and the buffers of a training
 * step.
 *
 * Built by adding layers. Errors while building are reported by pd_network_plan, so that a model
 * reads as a plain list of layers. After planning, forward and backward allocate nothing. */
#ifndef PNEUMO_NN_NETWORK_H
#define PNEUMO_NN_NETWORK_H

#include "pneumo/nn/layer.h"

typedef struct pd_network pd_network;

/* An empty network that takes samples of shape `input`. The caller owns *out. */
pd_status pd_network_create(pd_network **out, pd_shape input);
void pd_network_destroy(pd_network **network);

/* The node number of the input, which the first layers read. */
enum { PD_NETWORK_INPUT = 0 };

/* Adds a layer that reads node `input` (and `other` in pd_network_add2) and returns its node
 * number. The last node added is the output. `name` is copied; names are unique. */
int pd_network_add(pd_network *network, const char *type, const char *name, int input,
                   pd_layer_spec spec);
int pd_network_add2(pd_network *network, const char *type, const char *name, int input, int other,
                    pd_layer_spec spec);

/* Freezes the layers up to `upto`, in the order in which they were added, when the network is
 * planned for training. `upto` is "base" (all below the head, pd_network_head), the name of a
 * layer, or the beginning of names, up to a separator or the boundary between letters and digits:
 * "block3" stands for the last layer whose name begins with it. "" freezes nothing. Layers without
 * weights behind the last frozen layer with weights are not frozen.
 *
 * Frozen layers run as in inference: weights and moving statistics are constants, dropout is off.
 * Backward ends at the lowest layer that is trained; frozen weights have no gradient, and the
 * buffers of frozen layers are reused. An unknown name is an error of planning that lists names.
 * Before planning. */
pd_status pd_network_freeze(pd_network *network, const char *upto);

/* What is frozen: the first layers, and the first floats of weights and state. */
typedef struct pd_frozen {
    int layers;            /* frozen ones */
    int with_weights;      /* of these */
    int all_with_weights;  /* layers of the network with weights */
    size_t weights, state; /* floats */
} pd_frozen;

/* After planning. All but all_with_weights are 0 for inference. */
pd_frozen pd_network_frozen(const pd_network *network);

/* Ends the network at node `node`, which becomes the output: layers that it does not depend on are
 * removed, and the others keep their order. Before planning. */
pd_status pd_network_cut(pd_network *network, int node);

/* The same layers as they were built, to be stored and recomputed in the same way; not planned and
 * without weights. The caller owns *out. */
pd_status pd_network_copy(pd_network **out, const pd_network *network);

/* Sets how activations and their gradients are stored, PD_FLOAT32 unless called. With PD_BF16 the
 * output of the last layer, weights, gradients of weights and statistics remain floats; layers that
 * do not take bfloat16 work on copies in floats. Before planning. */
void pd_network_set_precision(pd_network *network, pd_precision precision);

/* Whether training computes outputs of batch normalisation again for backward, which takes less
 * memory and more time. The bits are the same. */
typedef enum pd_recompute {
    PD_RECOMPUTE_AUTO = 0, /* if activations take more than 128 MiB */
    PD_RECOMPUTE_NO,
    PD_RECOMPUTE_YES,
    PD_RECOMPUTES
} pd_recompute;

/* "auto", "no", "yes". */
extern const char *const pd_recompute_names[PD_RECOMPUTES];

/* PD_RECOMPUTE_AUTO unless called. Before planning. */
void pd_network_set_recompute(pd_network *network, pd_recompute recompute);

/* Sets the scope and the momentum of batch normalisation (pd_layer_spec). Before planning. */
void pd_network_set_norm(pd_network *network, pd_norm_scope scope, float momentum);

/* The first layer of the head, after planning. The head is the last layer with weights and the
 * normalisation that follows it. */
int pd_network_head(const pd_network *network);

/* Sets groups[layers] to the number of the group of each layer with weights, counted from the head,
 * which is group 0, down; -1 for layers without weights. After planning.
 *
 * A group is a block of layers, by their names: "block", a number and perhaps a letter, up to a
 * separator, as in block3_conv1. Layers outside blocks with a block above them, such as the
 * convolutions of shortcuts, belong to that block. Each other layer is a group of its own, with the
 * normalisation that follows it. */
void pd_network_groups(const pd_network *network, int *groups);

/* Fixes shapes, weights and buffers. `first_lane` is the first lane held here. With `training`
 * false, only the buffers for inference and pd_network_activation are made. Chooses the passes;
 * they do not change the bits. Reports the first error of building. */
pd_status pd_network_plan(pd_network *network, const pd_plan *plan, int first_lane, bool training);

/* The bytes that pd_network_plan would allocate for training, without the gradient. Allocates none
 * of them: afterwards only layers, shapes and the number of weights may be queried. */
pd_status pd_network_measure(pd_network *network, const pd_plan *plan, int first_lane,
                             size_t *bytes);

/* A training step runs pd_network_forward and pd_network_backward for each pass in turn: all lanes
 * held here, or a few of them, where that saves much memory and costs no speed. */
int pd_network_pass_count(const pd_network *network);

/* The lanes of a pass; *first_lane counts from lane 0 of the whole batch. */
void pd_network_pass(const pd_network *network, int pass, int *first_lane, int *lanes);

/* Draws the weights: a pure function of the seed and the tensors' positions. After planning. */
void pd_network_initialise(pd_network *network, uint64_t seed);

/* Runs exec->lanes * exec->lane_samples samples of x, in training those of one pass; *y is the
 * network's output buffer, valid until the next forward. exec->workspace is ignored. In inference
 * each thread takes samples of its own through all layers if there are enough. */
pd_status pd_network_forward(pd_network *network, const pd_exec *exec, const float *x,
                             const float **y);

/* Called in the last pass when the elements [offset, offset + count) of the gradient are final in
 * every subtree vector. Offsets decrease from call to call; the ranges are adjacent and cover the
 * whole gradient. */
typedef pd_status (*pd_gradient_ready)(void *context, size_t offset, size_t count);

/* Follows a training forward of pass `pass` on the same x. dy [samples][outputs] is the gradient of
 * the loss, and serves as scratch, too. `ready` may be NULL. */
pd_status pd_network_backward(pd_network *network, const pd_exec *exec, int pass, const float *x,
                              float *dy, pd_gradient_ready ready, void *context);

/* Of a network planned for inference: the index of its last convolution, or of the batch
 * normalisation or ReLU that alone reads it. -1 if it has no convolution or was planned for
 * training. */
int pd_network_last_convolution(const pd_network *network);

/* For heat maps. Follows an inference forward of one sample, with exec->keeps, on the same x.
 * *activation is the output of layer
 * pd_network_last_convolution, after its ReLU; *gradient is the gradient of the sum of dy * output
 * with respect to it, without dropout. Both are [samples][h][w][c], owned by the network, and valid
 * until the next forward. dy [samples][outputs] serves as scratch, too. Fails if
 * pd_network_last_convolution is -1. */
pd_status pd_network_activation(pd_network *network, const pd_exec *exec, const float *x, float *dy,
                                const float **activation, const float **gradient);

/* Trainable weights as one vector of `*count` floats, in layer order; and state (moving statistics)
 * likewise. Owned by the network. */
float *pd_network_weights(pd_network *network, size_t *count);
float *pd_network_state(pd_network *network, size_t *count);

/* Floats of a gradient: of all weights that are not frozen. Element i belongs to weight
 * pd_network_frozen().weights + i. */
size_t pd_network_gradient_count(const pd_network *network);

/* Sets where backward puts the gradient: one vector [pd_network_gradient_count] for each maximal
 * subtree of the lanes held here, one after another; borrowed. Between planning for training and
 * the first backward. */
void pd_network_use_gradient(pd_network *network, float *vectors);

/* The layers, for checkpoints and tables; layer 0 is the first one added. */
int pd_network_layer_count(const pd_network *network);
const pd_layer *pd_network_layer(const pd_network *network, int index);

/* The layer with that name, whose `index` is its number; NULL if there is none. Owned by the
 * network and valid until a layer is added or removed. */
const pd_layer *pd_network_find_layer(const pd_network *network, const char *name);

/* The node that layer `index` reads as its input number `which`: PD_NETWORK_INPUT, or 1 + the index
 * of another layer. */
int pd_network_layer_input(const pd_network *network, int index, int which);

/* One tensor of the network, in layer order: trainable ones lie at weights[offset], others at
 * state[offset]. */
typedef struct pd_tensor {
    const pd_layer *layer;
    const pd_param *param;
    size_t offset, size;
} pd_tensor;

int pd_network_tensor_count(const pd_network *network);
const pd_tensor *pd_network_tensor(const pd_network *network, int index);

pd_shape pd_network_input(const pd_network *network);
pd_shape pd_network_output(const pd_network *network);

/* With `on`, every forward and backward checks for values that are not finite, which costs time.
 * Serves to run a failed step again and find the layer at fault. */
void pd_network_check_finite(pd_network *network, bool on);

/* The index of the first layer whose output had a value that is not finite since
 * pd_network_check_finite was turned on; else of the last layer whose weight gradient had one, and
 * *in_gradient is true; -1 if there is none. Checks the samples of this rank only. */
int pd_network_not_finite(const pd_network *network, bool *in_gradient);

/* Seconds in a layer's calls. */
typedef struct pd_layer_times {
    double forward;
    double backward; /* includes summing the gradients of a node with several readers */
    double fold;     /* of its weight gradients over the lanes held here */
} pd_layer_times;

/* Every training forward and backward from now on adds its layers' times to times[layers]
 * (borrowed). NULL, the initial value, turns this off. */
void pd_network_profile(pd_network *network, pd_layer_times *times);

/* Floating point operations of layer `index` for one sample, as pd_layer.flops: forward, and as
 * many for each gradient that backward computes. */
void pd_network_flops(const pd_network *network, int index, double *forward, double *backward);

/* The least bytes that layer `index` reads and writes in a training step of so many samples and
 * lanes: inputs, outputs, what backward reads again, gradients, and weights, once each. */
void pd_network_bytes(const pd_network *network, int index, double samples, double lanes,
                      double *forward, double *backward);

#endif
