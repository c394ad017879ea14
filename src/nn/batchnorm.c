/* The layer "batchnorm": batch normalisation over the last axis (Ioffe and Szegedy,
 * arXiv:1502.03167), as in Keras: y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, with
 * the biased variance; with spec.relu, then ReLU. Params: gamma, beta; moving_mean,
 * moving_variance, which a training forward sets to momentum * moving + (1 - momentum) * batch and
 * which inference uses.
 *
 * spec.scope PD_NORM_BATCH: mean and variance are those of all lanes of all ranks, and dx is the
 * gradient through them: one lane sum of 2c numbers in forward, one in backward. PD_NORM_LANE: each
 * lane has its own, and the moving statistics follow the mean over all lanes of the lanes' means
 * and variances: one lane sum in forward, none in backward.
 *
 * The gradient of gamma and beta is that of each lane alone. Keeps its input, but not its output:
 * the mask of the ReLU is computed again from the input. Saves mean and inverse deviation of each
 * lane of the pass. */
#include "registry.h"

#include "pneumo/kernels/norm.h"

#include <math.h>
#include <string.h>

enum { GAMMA, BETA, MOVING_MEAN, MOVING_VARIANCE };

/* The arrays that share the workspace, for `lanes` lanes. */
typedef struct scratch {
    double *parts;          /* [lanes][2][c] */
    double *total;          /* [2][c] */
    float *mean;            /* [c]; in inference */
    float *scale;           /* [lanes][c] */
    float *dz_mean, *slope; /* [lanes][c] */
    float *sums;            /* workspace of the kernels */
} scratch;

static size_t lane_rows(const pd_layer *layer, int lane_samples)
{
    return (size_t)lane_samples * (size_t)layer->in[0].h * (size_t)layer->in[0].w;
}

/* Lays the arrays out in the workspace, at *out, which may be NULL. Returns the floats needed
 * before those of the kernels. */
static size_t lay_out(scratch *out, float *workspace, size_t lanes, size_t c)
{
    const size_t per_double = sizeof(double) / sizeof(float);
    size_t total = lanes * 2 * c * per_double;
    size_t mean = total + 2 * c * per_double;
    size_t scale = mean + c;
    size_t dz_mean = scale + lanes * c;
    size_t slope = dz_mean + lanes * c;
    size_t sums = slope + lanes * c;
    if (out != NULL)
        *out = (scratch){(double *)workspace, (double *)(workspace + total), workspace + mean,
                         workspace + scale,   workspace + dz_mean,           workspace + slope,
                         workspace + sums};
    return sums;
}

static pd_status batchnorm_plan(pd_layer *layer, const pd_plan *plan)
{
    pd_layer_spec *spec = &layer->spec;
    if (spec->momentum == 0)
        spec->momentum = 0.99f;
    if (spec->epsilon == 0)
        spec->epsilon = 1e-3f;
    if (!(spec->momentum > 0 && spec->momentum < 1))
        return pd_fail("layer '%s': momentum %g is not between 0 and 1", layer->name,
                       (double)spec->momentum);
    if (!(spec->epsilon > 0))
        return pd_fail("layer '%s': epsilon %g is not positive", layer->name,
                       (double)spec->epsilon);

    int c = layer->in[0].c;
    layer->out = layer->in[0];
    pd_layer_add_param(layer, "gamma", 1, &c, true, PD_INIT_ONES);
    pd_layer_add_param(layer, "beta", 1, &c, true, PD_INIT_ZEROS);
    pd_layer_add_param(layer, "moving_mean", 1, &c, false, PD_INIT_ZEROS);
    pd_layer_add_param(layer, "moving_variance", 1, &c, false, PD_INIT_ONES);
    layer->keeps_input = true;
    layer->lane_sums = spec->scope == PD_NORM_BATCH ? 2 : 1;
    layer->lane_sum_numbers = 2 * c;
    layer->saved_bytes = sizeof(float) * 2 * (size_t)plan->lanes * (size_t)c;
    layer->workspace_floats =
        lay_out(NULL, NULL, (size_t)plan->lanes, (size_t)c) +
        pd_norm_workspace(plan->lanes, lane_rows(layer, plan->lane_samples), c);
    layer->backward_floats = layer->workspace_floats;
    return PD_OK;
}

/* Updates the moving statistics of channel j with the batch's. */
static void update_moving(pd_layer *layer, size_t j, double mean, double variance)
{
    double momentum = layer->spec.momentum;
    float *moving_mean = &layer->params[MOVING_MEAN].value[j];
    float *moving_variance = &layer->params[MOVING_VARIANCE].value[j];
    *moving_mean = (float)(momentum * *moving_mean + (1 - momentum) * mean);
    *moving_variance = (float)(momentum * *moving_variance + (1 - momentum) * variance);
}

/* Sums [2][c] of x and of x * x over `count` rows -> mean and variance, in place. */
static void sums_to_moments(double *sums, size_t c, double count)
{
    for (size_t j = 0; j < c; j++) {
        double mean = sums[j] / count;
        double variance = sums[c + j] / count - mean * mean;
        sums[j] = mean;
        sums[c + j] = variance > 0 || isnan(variance) ? variance : 0;
    }
}

/* moments [2][c] of a lane -> its mean [c] and inverse deviation [c]. */
static void store_statistics(const double *moments, size_t c, double epsilon, float *mean,
                             float *inverse)
{
    for (size_t j = 0; j < c; j++) {
        mean[j] = (float)moments[j];
        inverse[j] = (float)(1 / sqrt(moments[c + j] + epsilon));
    }
}

/* Computes mean and inverse deviation [lanes][c] of every lane, and updates the moving statistics.
 * Collective. */
static pd_status batch_statistics(pd_layer *layer, const pd_exec *exec, const void *x,
                                  const scratch *arrays, float *mean, float *inverse)
{
    const size_t c = (size_t)layer->in[0].c, lanes = (size_t)exec->lanes;
    const size_t rows = lane_rows(layer, exec->lane_samples);
    const bool per_lane = layer->spec.scope == PD_NORM_LANE;
    const double epsilon = layer->spec.epsilon;
    double *total = arrays->total;
    pd_norm norm = {.lanes = exec->lanes, .rows = rows, .c = (int)c, .precision = layer->precision};
    pd_norm_sums(&norm, x, arrays->sums, arrays->parts, exec->threads);

    for (size_t lane = 0; per_lane && lane < lanes; lane++) {
        double *moments = arrays->parts + lane * 2 * c;
        sums_to_moments(moments, c, (double)rows);
        store_statistics(moments, c, epsilon, mean + lane * c, inverse + lane * c);
    }
    pd_status status = exec->lane_sum(exec->lane_sum_context, arrays->parts, 2 * c, total);
    if (status != PD_OK)
        return status;
    if (per_lane) {
        for (size_t j = 0; j < 2 * c; j++)
            total[j] /= exec->total_lanes;
    } else {
        sums_to_moments(total, c, (double)rows * exec->total_lanes);
        for (size_t lane = 0; lane < lanes; lane++)
            store_statistics(total, c, epsilon, mean + lane * c, inverse + lane * c);
    }
    for (size_t j = 0; j < c; j++)
        update_moving(layer, j, total[j], total[c + j]);
    return PD_OK;
}

/* Mean and scale [c] of inference, from the moving statistics. */
static void moving_scales(const pd_layer *layer, const scratch *arrays)
{
    const size_t c = (size_t)layer->in[0].c;
    for (size_t j = 0; j < c; j++) {
        double variance = layer->params[MOVING_VARIANCE].value[j];
        arrays->mean[j] = layer->params[MOVING_MEAN].value[j];
        arrays->scale[j] =
            (float)(layer->params[GAMMA].value[j] / sqrt(variance + layer->spec.epsilon));
    }
}

/* scale [lanes][c] = gamma * inverse. */
static void lane_scales(const pd_layer *layer, size_t lanes, const float *inverse, float *scale)
{
    const size_t c = (size_t)layer->in[0].c;
    const float *gamma = layer->params[GAMMA].value;
    for (size_t i = 0; i < lanes * c; i++)
        scale[i] = gamma[i % c] * inverse[i];
}

static pd_norm make_norm(const pd_layer *layer, size_t lanes, size_t rows, const float *mean,
                         const float *scale)
{
    return (pd_norm){.lanes = (int)lanes,
                     .rows = rows,
                     .c = layer->in[0].c,
                     .relu = layer->spec.relu,
                     .mean = mean,
                     .scale = scale,
                     .beta = layer->params[BETA].value,
                     .precision = layer->precision};
}

static pd_status batchnorm_forward(pd_layer *layer, const pd_exec *exec, const void *const *x,
                                   void *y, void *saved)
{
    /* In inference all rows are one lane. */
    const size_t c = (size_t)layer->in[0].c, lanes = exec->training ? (size_t)exec->lanes : 1;
    const size_t all_rows = lane_rows(layer, exec->lane_samples) * (size_t)exec->lanes;
    scratch arrays;
    lay_out(&arrays, exec->workspace, lanes, c);
    float *mean = arrays.mean;
    if (exec->training) {
        mean = saved;
        float *inverse = mean + lanes * c;
        pd_status status = batch_statistics(layer, exec, x[0], &arrays, mean, inverse);
        if (status != PD_OK)
            return status;
        lane_scales(layer, lanes, inverse, arrays.scale);
    } else {
        moving_scales(layer, &arrays);
    }
    pd_norm norm = make_norm(layer, lanes, all_rows / lanes, mean, arrays.scale);
    pd_norm_forward(&norm, x[0], y, exec->threads);
    return PD_OK;
}

static pd_status batchnorm_recompute(const pd_layer *layer, const pd_exec *exec,
                                     const void *const *x, void *y, const void *saved)
{
    const size_t c = (size_t)layer->in[0].c, lanes = (size_t)exec->lanes;
    const float *mean = saved, *inverse = mean + lanes * c;
    scratch arrays;
    lay_out(&arrays, exec->workspace, lanes, c);
    lane_scales(layer, lanes, inverse, arrays.scale);
    pd_norm norm =
        make_norm(layer, lanes, lane_rows(layer, exec->lane_samples), mean, arrays.scale);
    pd_norm_forward(&norm, x[0], y, exec->threads);
    return PD_OK;
}

/* Sums [lanes][2][c] of dz and of dz * (x - mean) -> dbeta and dgamma of each lane. */
static void store_gradient(const double *parts, size_t lanes, size_t c, const float *inverse,
                           float *gradient)
{
    for (size_t lane = 0; lane < lanes; lane++) {
        const double *sums = parts + lane * 2 * c;
        float *dgamma = gradient + lane * 2 * c, *dbeta = dgamma + c;
        for (size_t j = 0; j < c; j++) {
            dgamma[j] = (float)(sums[c + j] * inverse[lane * c + j]);
            dbeta[j] = (float)sums[j];
        }
    }
}

/* The gradient with constant statistics: dx = scale * dz. */
static pd_status inference_backward(const pd_layer *layer, const pd_exec *exec,
                                    const pd_backward *arrays)
{
    const size_t c = (size_t)layer->in[0].c;
    scratch own;
    if (arrays->dx[0] == NULL)
        return PD_OK;
    lay_out(&own, exec->workspace, 1, c);
    moving_scales(layer, &own);
    memset(own.dz_mean, 0, c * sizeof *own.dz_mean);
    memset(own.slope, 0, c * sizeof *own.slope);
    pd_norm norm =
        make_norm(layer, 1, lane_rows(layer, pd_exec_samples(exec)), own.mean, own.scale);
    pd_norm_backward(&norm, arrays->x[0], arrays->dy, own.dz_mean, own.slope, arrays->dx[0],
                     exec->threads);
    return PD_OK;
}

static pd_status batchnorm_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    if (!exec->training)
        return inference_backward(layer, exec, arrays);
    const size_t c = (size_t)layer->in[0].c, lanes = (size_t)exec->lanes;
    const size_t rows = lane_rows(layer, exec->lane_samples);
    const float *mean = arrays->saved, *inverse = mean + lanes * c;
    scratch own;
    lay_out(&own, exec->workspace, lanes, c);
    lane_scales(layer, lanes, inverse, own.scale);
    pd_norm norm = make_norm(layer, lanes, rows, mean, own.scale);
    pd_norm_backward_sums(&norm, arrays->x[0], arrays->dy, own.sums, own.parts, exec->threads);
    store_gradient(own.parts, lanes, c, inverse, arrays->gradient);
    if (arrays->dx[0] == NULL)
        return PD_OK;

    /* The gradient through mean and variance: dx = scale * (dz - mean of dz - xhat * mean of
     * (dz * xhat)), with xhat = (x - mean) * inverse; equation by equation in arXiv:1502.03167. */
    const bool per_lane = layer->spec.scope == PD_NORM_LANE;
    double count = (double)rows * (per_lane ? 1 : exec->total_lanes);
    if (!per_lane) {
        pd_status status = exec->lane_sum(exec->lane_sum_context, own.parts, 2 * c, own.total);
        if (status != PD_OK)
            return status;
    }
    for (size_t lane = 0; lane < lanes; lane++) {
        const double *sums = per_lane ? own.parts + lane * 2 * c : own.total;
        for (size_t j = 0; j < c; j++) {
            size_t i = lane * c + j;
            own.dz_mean[i] = (float)(sums[j] / count);
            own.slope[i] = (float)(sums[c + j] / count * inverse[i] * inverse[i]);
        }
    }
    pd_norm_backward(&norm, arrays->x[0], arrays->dy, own.dz_mean, own.slope, arrays->dx[0],
                     exec->threads);
    return PD_OK;
}

const pd_layer_type pd_layer_batchnorm = {.name = "batchnorm",
                                          .inputs = 1,
                                          .plan = batchnorm_plan,
                                          .forward = batchnorm_forward,
                                          .backward = batchnorm_backward,
                                          .recompute = batchnorm_recompute,
                                          .extends_convolution = true,
                                          .takes_bf16 = true,
                                          .normalises = true};
