/* The layer interface.
 *
 * A layer maps one or two inputs to one output. Activations are [samples][h][w][c], of the layer's
 * precision; the samples of a rank are grouped by lane: samples = lanes * lane_samples, lane by
 * lane.
 *
 * A layer uses neither MPI, nor the model, nor the clock: pd_exec holds what it needs from its
 * caller. It allocates nothing after planning: the network provides the buffers that its plan asks
 * for. */
#ifndef PNEUMO_NN_LAYER_H
#define PNEUMO_NN_LAYER_H

#include "pneumo/base/crew.h"
#include "pneumo/base/status.h"
#include "pneumo/kernels/precision.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The shape of one sample. A vector of n features is {1, 1, n}. */
typedef struct pd_shape {
    int h, w, c;
} pd_shape;

static inline size_t pd_shape_size(pd_shape shape)
{
    return (size_t)shape.h * (size_t)shape.w * (size_t)shape.c;
}

/* How weights are initialised: He et al., arXiv:1502.01852; Glorot and Bengio, AISTATS 2010. Normal
 * variants are not truncated; uniform variants have the same variance. */
typedef enum pd_init {
    PD_INIT_DEFAULT = 0, /* He normal before a ReLU, else Glorot uniform */
    PD_INIT_HE_NORMAL,
    PD_INIT_HE_UNIFORM,
    PD_INIT_GLOROT_NORMAL,
    PD_INIT_GLOROT_UNIFORM,
    PD_INIT_ZEROS,
    PD_INIT_ONES
} pd_init;

typedef enum pd_padding { PD_SAME = 0, PD_VALID = 1 } pd_padding;

/* The samples over which batch normalisation takes its statistics. */
typedef enum pd_norm_scope { PD_NORM_BATCH = 0, PD_NORM_LANE = 1 } pd_norm_scope;

/* What a model specifies of a layer. A layer reads the fields that concern it. */
typedef struct pd_layer_spec {
    int units;              /* dense: units; conv, separable: output channels K */
    int kernel_h, kernel_w; /* conv, depthwise, separable, pooling: window */
    int stride;             /* the same; 0 means the window for pooling, else 1 */
    pd_padding padding;     /* the same: as in Keras and TensorFlow */
    bool relu;           /* conv, depthwise, separable, dense, maxpool, batchnorm, add: ReLU on the
                            output */
    bool relu_first;     /* separable: ReLU on the input */
    bool no_bias;        /* conv, depthwise, separable, dense */
    float rate;          /* dropout: fraction of elements set to 0 */
    float momentum;      /* batchnorm: of the moving statistics; 0 means 0.99 */
    float epsilon;       /* batchnorm: 0 means 1e-3 */
    float slope;         /* rectifier: for negative inputs */
    float limit;         /* rectifier: the largest output; 0 means none */
    float alpha;         /* elu: outputs tend to -alpha for negative inputs */
    int pad[4];          /* zeropad: rows above and below, columns left and right */
    bool keepdims;       /* globalmax, globalpool: the output is an image of 1 x 1, not a vector */
    pd_norm_scope scope; /* batchnorm */
    pd_init init;        /* conv, depthwise, separable, dense: kernels */
} pd_layer_spec;

/* One array of weights or of state. */
typedef struct pd_param {
    const char *name; /* Keras' name: kernel, depthwise_kernel, pointwise_kernel, bias, gamma, beta,
                         moving_mean, moving_variance */
    int rank;         /* 1 to 4 */
    int dims[4];      /* kernel of conv: kh, kw, c, k; of dense: inputs, units */
    bool trainable;   /* false: state that forward updates (moving statistics) */
    bool decays;      /* weight decay, L1 and L2 apply (kernels) */
    pd_init init;
    double fan_in, fan_out; /* inputs of an output, and outputs of an input */
    float *value;           /* set by the network after planning; owned by it */
} pd_param;

enum { PD_LAYER_INPUTS = 2, PD_LAYER_PARAMS = 4 };

/* The sizes for which buffers are planned: upper bounds of those in pd_exec. */
typedef struct pd_plan {
    int lanes;        /* for a network, held by this rank; for a layer, of its largest pass */
    int lane_samples; /* samples per lane and step */
    int total_lanes;  /* over all ranks */
    int threads;      /* OpenMP threads */
} pd_plan;

/* Sums parts[lane][count] of the lanes held here, over all lanes of all ranks, into total[count],
 * in the fixed lane tree. Collective. May overwrite parts. */
typedef pd_status (*pd_lane_sum_function)(void *context, double *parts, size_t count,
                                          double *total);

typedef struct pd_exec {
    bool training;        /* dropout and batch statistics on; backward follows */
    bool keeps;           /* when not training: pd_network_activation follows */
    int lanes;            /* lanes of this pass; 1 when not training */
    int lane_samples;     /* samples per lane: up to the plan's; of a network planned for
                             inference, up to the plan's lanes * lane_samples */
    int total_lanes;      /* over all ranks */
    int64_t first_sample; /* position in the global batch of the first sample of this pass */
    uint64_t seed;
    uint32_t step; /* optimisation steps since the start of the run, from 0 */
    int threads;
    pd_crew *crew; /* of a network in inference: its threads take the samples; NULL: OpenMP's do */
    const float *prepared;         /* forward: what prepare of the layer's type has made */
    float *workspace;              /* of the size that the layer's plan asks for this call */
    pd_lane_sum_function lane_sum; /* set when training */
    void *lane_sum_context;
} pd_exec;

/* Samples of this pass. */
static inline int pd_exec_samples(const pd_exec *exec)
{
    return exec->lanes * exec->lane_samples;
}

/* Elements of all samples of this pass, each of that shape. */
static inline size_t pd_exec_elements(const pd_exec *exec, pd_shape shape)
{
    return (size_t)pd_exec_samples(exec) * pd_shape_size(shape);
}

typedef struct pd_layer pd_layer;

/* The arrays of one backward call. */
typedef struct pd_backward {
    const void *x[PD_LAYER_INPUTS]; /* NULL unless keeps_input */
    const void *y;                  /* NULL unless keeps_output */
    void *dy;                       /* serves as scratch, too */
    void *dx[PD_LAYER_INPUTS];      /* out, overwritten; NULL if not needed */
    float *gradient; /* out, overwritten: of the trainable params in their order, for each lane of
                        this pass: gradient[lane * trainable + j]. NULL when not training */
    void *saved;     /* as forward left it */
} pd_backward;

/* A row of the table of layer types (src/nn/registry.h). */
typedef struct pd_layer_type {
    const char *name; /* "conv", "dense", ... */
    int inputs;       /* 1 or 2 */

    /* Checks spec and in[]; sets out, params, saved_bytes, prepared_floats, workspace_floats,
     * backward_floats, flops, lane_sums, keeps_input and keeps_output for at most plan->lanes *
     * plan->lane_samples samples. Errors name the layer. */
    pd_status (*plan)(pd_layer *layer, const pd_plan *plan);

    /* Makes what forward needs of the params alone, such as a transformed kernel: prepared[
     * prepared_floats]. The network calls it before forward; when not training, once for several
     * forwards. NULL: nothing. */
    void (*prepare)(const pd_layer *layer, int threads, float *prepared);

    /* x[i] -> y. May write `saved` (NULL if no backward follows), which backward gets back
     * unchanged, and when training the non-trainable params. */
    pd_status (*forward)(pd_layer *layer, const pd_exec *exec, const void *const *x, void *y,
                         void *saved);

    /* dy -> dx and gradient. Convolutions are only called when training, other layers also in
     * inference, for heat maps. */
    pd_status (*backward)(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays);

    /* Computes y of the latest training forward again, from the same x and what that saved. Changes
     * no state. NULL: not possible, or as slow as forward; then the network keeps y as long as
     * backward of a reader needs it. */
    pd_status (*recompute)(const pd_layer *layer, const pd_exec *exec, const void *const *x,
                           void *y, const void *saved);

    /* The output is a feature map: pd_network_last_convolution may name this layer. */
    bool convolves;
    /* The output is the input's feature map normalised or rectified: pd_network_last_convolution
     * names this layer if it is the only reader of the last convolution. */
    bool extends_convolution;

    bool takes_bf16;       /* can have the precision PD_BF16; else the network converts */
    bool fully_connected;  /* every output depends on every input */
    bool makes_vector;     /* the output has no height and width, unless spec.keepdims */
    bool only_in_training; /* in inference the output is the input */
    /* Its weights rescale the output of the layer before it, whose group they join. */
    bool normalises;

    /* What fusing may do (src/nn/fuse.h). */
    bool can_move_relu;      /* spec.relu may be left to the only reader, if commutes_with_relu */
    bool commutes_with_relu; /* layer(relu(x)) = relu(layer(x)), for which spec.relu asks */
    bool can_defer_relu;     /* supports relu_deferred */
    bool can_mask_dx;        /* supports masks_dx */
} pd_layer_type;

struct pd_layer {
    const pd_layer_type *type;
    char *name; /* owned by the network */
    int index;  /* position in the network: the layer's number for random streams */
    pd_layer_spec spec;

    /* Set by fusing: */
    bool relu_moved;    /* spec.relu was handed to or taken from a neighbour: it is no longer as
                           built (pd_layer_built_relu) */
    bool relu_deferred; /* the reader's backward applies the gradient of this layer's ReLU */
    bool masks_dx;      /* backward applies the gradient of the ReLU of the layer that it reads */

    /* Set by planning, from here to the end. The network sets these two: */
    pd_precision precision; /* of x, y, dy and dx */
    bool frozen;            /* runs as in inference, and not backward */

    /* The layer's plan and the network set these: */
    pd_shape in[PD_LAYER_INPUTS];
    pd_shape out;
    int param_count;
    pd_param params[PD_LAYER_PARAMS];
    size_t saved_bytes;      /* kept from forward to backward */
    size_t prepared_floats;  /* what prepare makes */
    size_t workspace_floats; /* scratch for one forward or recompute */
    size_t backward_floats;  /* scratch for one backward */
    double flops;  /* of the matrix products that define the layer, forward for one sample, with a
                      multiply-add as two; each gradient takes as many; 0 for other types */
    int lane_sums; /* of vectors over all lanes, in one training step. If not 0, the lanes of a rank
                      go through the layer in one pass */
    int lane_sum_numbers; /* doubles in each of these vectors */
    bool keeps_input, keeps_output;
};

/* Whether the layer has a ReLU on its output in the network as it was built. */
static inline bool pd_layer_built_relu(const pd_layer *layer)
{
    return layer->spec.relu != layer->relu_moved;
}

static inline size_t pd_param_size(const pd_param *param)
{
    size_t size = 1;
    for (int i = 0; i < param->rank; i++)
        size *= (size_t)param->dims[i];
    return size;
}

/* Number of floats of a layer that are trained, 0 if it is frozen: the length of one lane's
 * gradient. */
size_t pd_layer_trainable(const pd_layer *layer);

/* Appends a param to layer->params during planning and returns it, zeroed but for the arguments.
 * dims has `rank` entries. */
pd_param *pd_layer_add_param(pd_layer *layer, const char *name, int rank, const int *dims,
                             bool trainable, pd_init init);

#endif
