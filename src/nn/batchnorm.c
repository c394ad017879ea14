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

enum { GAMMA, BETA, MOVING_MEAN, MOVING_VARIANCE };

/* The layer's cut of the workspace, for `lanes` lanes. */
typedef struct scratch {
    double *parts;          /* [lanes][2][c] */
    double *total;          /* [2][c] */
    float *mean;            /* [c]; when not training */
    float *scale;           /* [lanes][c] */
    float *dz_mean, *slope; /* [lanes][c] */
    float *sums;            /* of the kernels */
} scratch;

static size_t lane_rows(const pd_layer *layer, int lane_samples)
{
    return (size_t)lane_samples * (size_t)layer->in[0].h * (size_t)layer->in[0].w;
}

/* Stores the cut at *cut, which may be NULL, and returns the floats needed. */
static size_t workspace_cut(scratch *cut, float *workspace, size_t lanes, size_t c)
{
    const size_t per_double = sizeof(double) / sizeof(float);
    size_t total = lanes * 2 * c * per_double;
    size_t mean = total + 2 * c * per_double;
    size_t scale = mean + c;
    size_t dz_mean = scale + lanes * c;
    size_t slope = dz_mean + lanes * c;
    size_t sums = slope + lanes * c;
    if (cut != NULL)
        *cut = (scratch){(double *)workspace, (double *)(workspace + total), workspace + mean,
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
        workspace_cut(NULL, NULL, (size_t)plan->lanes, (size_t)c) +
        pd_norm_workspace(plan->lanes, lane_rows(layer, plan->lane_samples), c);
    return PD_OK;
}

/* Moves the moving statistics towards a mean and a variance. */
static void move_statistics(pd_layer *layer, size_t j, double mean, double variance)
{
    double momentum = layer->spec.momentum;
    float *moving_mean = &layer->params[MOVING_MEAN].value[j];
    float *moving_variance = &layer->params[MOVING_VARIANCE].value[j];
    *moving_mean = (float)(momentum * *moving_mean + (1 - momentum) * mean);
    *moving_variance = (float)(momentum * *moving_variance + (1 - momentum) * variance);
}

/* sums [2][c] of x and x * x over `count` rows -> mean and variance, in place. */
static void sums_to_moments(double *sums, size_t c, double count)
{
    for (size_t j = 0; j < c; j++) {
        double mean = sums[j] / count;
        double variance = sums[c + j] / count - mean * mean;
        sums[j] = mean;
        sums[c + j] = variance > 0 || isnan(variance) ? variance : 0;
    }
}

/* Computes mean and inverse deviation [lanes][c] of every lane and moves the moving statistics. */
static pd_status batch_statistics(pd_layer *layer, const pd_exec *exec, const float *x,
                                  const scratch *cut, float *mean, float *inverse)
{
    const size_t c = (size_t)layer->in[0].c;
    const size_t rows = lane_rows(layer, exec->lane_samples);
    const bool per_lane = layer->spec.scope == PD_NORM_LANE;
    const double epsilon = layer->spec.epsilon;
    pd_norm norm = {.lanes = exec->lanes, .rows = rows, .c = (int)c};
    pd_norm_sums(&norm, x, cut->sums, cut->parts, exec->threads);

    if (per_lane) {
        for (int lane = 0; lane < exec->lanes; lane++) {
            double *moments = cut->parts + (size_t)lane * 2 * c;
            sums_to_moments(moments, c, (double)rows);
            for (size_t j = 0; j < c; j++) {
                mean[(size_t)lane * c + j] = (float)moments[j];
                inverse[(size_t)lane * c + j] = (float)(1 / sqrt(moments[c + j] + epsilon));
            }
        }
    }
    pd_status status = exec->lane_sum(exec->lane_sum_context, cut->parts, 2 * c, cut->total);
    if (status != PD_OK)
        return status;
    if (per_lane) {
        for (size_t j = 0; j < 2 * c; j++)
            cut->total[j] /= exec->total_lanes;
    } else {
        sums_to_moments(cut->total, c, (double)rows * exec->total_lanes);
        for (int lane = 0; lane < exec->lanes; lane++) {
            for (size_t j = 0; j < c; j++) {
                mean[(size_t)lane * c + j] = (float)cut->total[j];
                inverse[(size_t)lane * c + j] = (float)(1 / sqrt(cut->total[c + j] + epsilon));
            }
        }
    }
    for (size_t j = 0; j < c; j++)
        move_statistics(layer, j, cut->total[j], cut->total[c + j]);
    return PD_OK;
}

static pd_status batchnorm_forward(pd_layer *layer, const pd_exec *exec, const float *const *x,
                                   float *y, void *saved)
{
    /* Without training the lanes do not matter: all rows are one. */
    const size_t c = (size_t)layer->in[0].c, lanes = exec->training ? (size_t)exec->lanes : 1;
    const size_t all_rows = lane_rows(layer, exec->lane_samples) * (size_t)exec->lanes;
    const float *gamma = layer->params[GAMMA].value;
    scratch cut;
    workspace_cut(&cut, exec->workspace, lanes, c);
    float *mean = cut.mean;
    if (exec->training) {
        mean = saved;
        float *inverse = mean + lanes * c;
        pd_status status = batch_statistics(layer, exec, x[0], &cut, mean, inverse);
        if (status != PD_OK)
            return status;
        for (size_t i = 0; i < lanes * c; i++)
            cut.scale[i] = gamma[i % c] * inverse[i];
    } else {
        for (size_t j = 0; j < c; j++) {
            double variance = layer->params[MOVING_VARIANCE].value[j];
            mean[j] = layer->params[MOVING_MEAN].value[j];
            cut.scale[j] = (float)(gamma[j] / sqrt(variance + layer->spec.epsilon));
        }
    }
    pd_norm norm = {.lanes = (int)lanes,
                    .rows = all_rows / lanes,
                    .c = (int)c,
                    .relu = layer->spec.relu,
                    .mean = mean,
                    .scale = cut.scale,
                    .beta = layer->params[BETA].value};
    pd_norm_forward(&norm, x[0], y, exec->threads);
    return PD_OK;
}

static pd_status batchnorm_backward(pd_layer *layer, const pd_exec *exec, const pd_backward *arrays)
{
    if (!exec->training)
        return pd_fail("a batch normalisation that does not follow a convolution has no gradient "
                       "in inference");
    const size_t c = (size_t)layer->in[0].c, lanes = (size_t)exec->lanes;
    const size_t rows = lane_rows(layer, exec->lane_samples);
    const float *gamma = layer->params[GAMMA].value;
    const float *mean = arrays->saved, *inverse = mean + lanes * c;
    scratch cut;
    workspace_cut(&cut, exec->workspace, lanes, c);
    for (size_t i = 0; i < lanes * c; i++)
        cut.scale[i] = gamma[i % c] * inverse[i];
    pd_norm norm = {.lanes = exec->lanes,
                    .rows = rows,
                    .c = (int)c,
                    .relu = layer->spec.relu,
                    .mean = mean,
                    .scale = cut.scale,
                    .beta = layer->params[BETA].value};
    pd_norm_backward_sums(&norm, arrays->x[0], arrays->dy, cut.sums, cut.parts, exec->threads);

    for (size_t lane = 0; lane < lanes; lane++) {
        const double *sums = cut.parts + lane * 2 * c;
        float *dgamma = arrays->gradient + lane * 2 * c, *dbeta = dgamma + c;
        for (size_t j = 0; j < c; j++) {
            dgamma[j] = (float)(sums[c + j] * inverse[lane * c + j]);
            dbeta[j] = (float)sums[j];
        }
    }
    if (arrays->dx[0] == NULL)
        return PD_OK;

    /* The gradient through mean and variance: dx = scale * (dz - mean of dz - xhat * mean of
     * (dz * xhat)), with xhat = (x - mean) * inverse; equation by equation in arXiv:1502.03167. */
    const bool per_lane = layer->spec.scope == PD_NORM_LANE;
    double count = (double)rows * (per_lane ? 1 : exec->total_lanes);
    if (!per_lane) {
        pd_status status = exec->lane_sum(exec->lane_sum_context, cut.parts, 2 * c, cut.total);
        if (status != PD_OK)
            return status;
    }
    for (size_t lane = 0; lane < lanes; lane++) {
        const double *sums = per_lane ? cut.parts + lane * 2 * c : cut.total;
        for (size_t j = 0; j < c; j++) {
            size_t i = lane * c + j;
            cut.dz_mean[i] = (float)(sums[j] / count);
            cut.slope[i] = (float)(sums[c + j] / count * inverse[i] * inverse[i]);
        }
    }
    pd_norm_backward(&norm, arrays->x[0], arrays->dy, cut.dz_mean, cut.slope, arrays->dx[0],
                     exec->threads);
    return PD_OK;
}

const pd_layer_type pd_layer_batchnorm = {.name = "batchnorm",
                                          .inputs = 1,
                                          .plan = batchnorm_plan,
                                          .forward = batchnorm_forward,
                                          .backward = batchnorm_backward,
                                          .extends_convolution = true};
