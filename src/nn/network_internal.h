/* The inside of a network, for the files that plan, fuse, initialise and run it; and a function
 * that only tests call. */
#ifndef PNEUMO_NN_NETWORK_INTERNAL_H
#define PNEUMO_NN_NETWORK_INTERNAL_H

#include "arena.h"
#include "passes.h"
#include "pneumo/nn/network.h"

/* Node i + 1 is the output of layer i; node 0 is the input. */
typedef struct pd_node {
    pd_layer layer;
    pd_precision precision; /* of the output and its gradient, which may differ from the layer's */
    int input[PD_LAYER_INPUTS];
    int consumers;
    size_t first_weight; /* offset of the layer's trainable floats in the weights */
    size_t trainable;    /* floats; 0 if the layer is frozen */
    bool backward;       /* the layer runs backward */
    bool has_gradient;   /* the gradient of its output is computed */
    /* Buffers of the arena: the output, its gradient, what the layer saves, a second gradient for a
     * node that several layers read, what prepare makes, the workspaces of forward and backward,
     * and the floats of a layer whose arrays are stored in bfloat16. */
    int output, gradient, saved, second, prepared, workspace, backward_workspace, floats,
        backward_floats;
    float *shared; /* of a slice: what prepare makes for all slices; NULL: `prepared` holds it */
    void *y;       /* where the output is now */
    void *dy;
    /* The layer before whose backward the output is computed again, into buffer `again`; 0: the
     * output is kept. */
    int recomputed_for, again, again_workspace;
} pd_node;

/* See network_slices.h. */
typedef struct pd_slices {
    int count;             /* of slices that can run at the same time; 0: there are none */
    pd_network **networks; /* [count] */
    int samples;           /* largest number in a forward */
    int each;              /* largest number in a slice */
    size_t shared;         /* floats of what all layers prepare for all slices */
    float *y;              /* [samples][outputs] */
} pd_slices;

/* In network_slices.c. */
void pd_slices_destroy(pd_slices *slices);

struct pd_network {
    pd_shape input;
    int count;
    size_t capacity;
    pd_node *nodes;  /* nodes[i] is layer i */
    char error[256]; /* the first error of building, or empty */

    pd_precision precision;
    /* Buffers of the arena, if that is bfloat16: the input; activation and gradient of
     * pd_network_activation as floats. */
    int rounded_input, shown[2];

    char *freeze; /* what to freeze; NULL: nothing */
    pd_frozen frozen;

    bool planned;
    bool is_slice; /* of another network, which has the weights and the memory of the arena */
    bool is_given_prepared; /* a slice whose nodes have `shared` */
    pd_slices slices;
    pd_recompute recompute;
    bool recomputes;      /* what planning made of it */
    int last_convolution; /* see pd_network_last_convolution */
    pd_plan plan;
    int subtree_count;
    pd_subtree subtrees[PD_SUBTREES_MAX];
    pd_passes passes;

    int tensor_count;
    pd_tensor *tensors;
    size_t weight_count, state_count;
    float *weights, *state;
    size_t gradient_count; /* weights that are not frozen */
    float *gradient;       /* [subtrees][gradient_count], borrowed */
    float *pending;        /* [passes.depth][gradient_count]: sums that later pieces complete */
    float *lane_gradients; /* [lanes of a pass][largest layer]: before they are folded */
    pd_arena *arena;

    bool checks_finite;
    int bad_output, bad_gradient;

    pd_layer_times *times; /* [layers], borrowed; NULL: times are not measured */
};

/* The layer whose output layer `index` reads as its first input; NULL: the input of the network. */
static inline pd_node *pd_network_source(const pd_network *network, int index)
{
    int input = network->nodes[index].input[0];
    return input == PD_NETWORK_INPUT ? NULL : &network->nodes[input - 1];
}

/* Plans a slice: for inference only, without weights and memory. pd_network_place_slice gives it
 * those of the network whose copy it is, at `offset` of its arena. */
pd_status pd_network_plan_slice(pd_network *slice, const pd_plan *plan);
pd_status pd_network_place_slice(pd_network *slice, const pd_network *network, size_t offset);

/* As pd_network_plan for training, with at most `pass_lanes` lanes in a pass unless a layer needs
 * all lanes at once. */
pd_status pd_network_plan_passes(pd_network *network, const pd_plan *plan, int first_lane,
                                 int pass_lanes);

#endif
