/* The layer interface.
 *
 * A layer maps one or two inputs to one output. Activations are float32, [samples][h][w][c]; the
 * samples of a rank are grouped by lane: samples = lanes * lane_samples, lane by lane.
 *
 * A layer knows neither MPI, nor the model, nor the clock. What it needs from above comes in
 * pd_exec. It allocates nothing after planning: the network hands it the buffers that its plan
 * asked for. */
#ifndef PNEUMO_NN_LAYER_H
#define PNEUMO_NN_LAYER_H

#include "pneumo/base/status.h"

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

/* How weights start: He et al. arXiv:1502.01852; Glorot and Bengio, AISTATS 2010. Normal variants
 * are plain (not truncated) normals; uniform variants have the same variance. */
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

/* Over what batch normalisation takes its statistics. */
typedef enum pd_norm_scope { PD_NORM_BATCH = 0, PD_NORM_LANE = 1 } pd_norm_scope;

/* What a model says of a layer. A layer reads the fields that concern it. */
typedef struct pd_layer_spec {
    int units;              /* dense: units; conv, separable: output channels K */
    int kernel_h, kernel_w; /* conv, separable, pooling: window */
    int stride;             /* the same; 0 means the window for pooling, else 1 */
    pd_padding padding;     /* the same: as in Keras and TensorFlow */
    bool relu;           /* conv, separable, dense, maxpool, batchnorm, add: ReLU on the output */
    bool relu_first;     /* separable: ReLU on the input */
    bool relu_seen_to;   /* set by the network: a reader's backward applies that ReLU's gradient */
    bool input_relu;     /* conv, set by the network: backward applies that of its input's ReLU */
    bool no_bias;        /* conv, separable, dense */
    float rate;          /* dropout: share of elements set to 0 */
    float momentum;      /* batchnorm: of the moving statistics; 0 means 0.99 */
    float epsilon;       /* batchnorm: 0 means 1e-3 */
    pd_norm_scope scope; /* batchnorm */
    pd_init init;        /* conv, separable, dense: kernels */
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
    int fan_in, fan_out;
    float *value; /* set by the network after planning; owned by it */
} pd_param;

enum { PD_LAYER_INPUTS = 2, PD_LAYER_PARAMS = 4 };

/* The sizes for which buffers are planned: upper bounds of what pd_exec will ask for. */
typedef struct pd_plan {
    int lanes;        /* for a network, held by this rank; for a layer, of its largest pass */
    int lane_samples; /* samples per lane and step */
    int total_lanes;  /* over all ranks */
    int threads;      /* OpenMP threads */
} pd_plan;

/* Sums, for all lanes of all ranks, parts[lane][count] of the lanes held here into total[count], in
 * the fixed lane tree. Collective. parts may be overwritten. */
typedef pd_status (*pd_lane_sum_function)(void *context, double *parts, size_t count,
                                          double *total);

typedef struct pd_exec {
    bool training;        /* dropout and batch statistics on; backward will follow */
    int lanes;            /* lanes of this pass; 1 when not training */
    int lane_samples;     /* samples per lane (any number up to the plan's lanes * lane_samples
                             when not training) */
    int total_lanes;      /* over all ranks */
    int64_t first_sample; /* position in the global batch of the first sample of this pass */
    uint64_t seed;
    uint32_t step; /* counts optimisation steps over the whole run, from 0 */
    int threads;
    float *workspace;              /* as many floats as the layer's plan asked for */
    pd_lane_sum_function lane_sum; /* set when training */
    void *lane_sum_context;
} pd_exec;

/* The samples held here. */
static inline int pd_exec_samples(const pd_exec *exec)
{
    return exec->lanes * exec->lane_samples;
}

/* The floats that the samples held here have together, each of that shape. */
static inline size_t pd_exec_floats(const pd_exec *exec, pd_shape shape)
{
    return (size_t)pd_exec_samples(exec) * pd_shape_size(shape);
}

typedef struct pd_layer pd_layer;

typedef struct pd_layer_type {
    const char *name; /* "conv", "dense", ... */
    int inputs;       /* 1 or 2 */

    /* Checks spec and in[]; sets out, params, saved_bytes, workspace_floats, flops, keeps_input
     * and keeps_output for at most plan->lanes * plan->lane_samples samples. Errors name the
     * layer. */
    pd_status (*plan)(pd_layer *layer, const pd_plan *plan);

    /* x[i] -> y. May write `saved` (NULL: no backward will follow), which backward gets back
     * unchanged, and when training the non-trainable params. */
    pd_status (*forward)(pd_layer *layer, const pd_exec *exec, const float *const *x, float *y,
                         void *saved);

    /* dy -> dx[i] (overwritten, not added to; NULL where not wanted) and, per lane held here, the
     * gradient of the trainable params in their order, gradient[lane * trainable + j], overwritten.
     * dy may be used as scratch. x[i] is NULL unless keeps_input, y unless keeps_output.
     *
     * Layers other than convolutions may be asked for dx when not training: `gradient` is NULL. */
    pd_status (*backward)(pd_layer *layer, const pd_exec *exec, const float *const *x,
                          const float *y, float *dy, float *const *dx, float *gradient,
                          void *saved);
} pd_layer_type;

struct pd_layer {
    const pd_layer_type *type;
    char *name; /* owned by the network */
    int index;  /* position in the network: the layer's number for random streams */
    pd_layer_spec spec;
    pd_shape in[PD_LAYER_INPUTS];
    pd_shape out;
    int param_count;
    pd_param params[PD_LAYER_PARAMS];
    size_t saved_bytes;      /* kept from forward to backward */
    size_t workspace_floats; /* scratch for one call */
    double flops; /* of the matrix products that define the layer, forward for one sample, with a
                     multiply-add as two; each gradient takes as many; 0 for other kinds */
    bool keeps_input, keeps_output;
    bool meets_lanes; /* its training needs all lanes at once: they cannot go in several passes */
};

static inline size_t pd_param_size(const pd_param *param)
{
    size_t size = 1;
    for (int i = 0; i < param->rank; i++)
        size *= (size_t)param->dims[i];
    return size;
}

/* Number of trainable floats of a layer: the length of one lane's gradient. */
size_t pd_layer_trainable(const pd_layer *layer);

/* Appends a param to layer->params during planning and returns it, zeroed but for the arguments.
 * dims has `rank` entries. */
pd_param *pd_layer_add_param(pd_layer *layer, const char *name, int rank, const int *dims,
                             bool trainable, pd_init init);

/* The registry: the type of that name, or NULL. Types: conv, dense, maxpool, avgpool, globalpool,
 * batchnorm, dropout, relu, flatten, add, separable. */
const pd_layer_type *pd_layer_type_find(const char *name);

#endif
