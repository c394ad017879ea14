#ifndef PNEUMO_NN_BATCHNORM_H
#define PNEUMO_NN_BATCHNORM_H

#include "pneumo/nn/layer.h"

/* Batch normalisation over the last axis (Ioffe and Szegedy, arXiv:1502.03167), as in Keras:
 * y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance; spec.relu:
 * then ReLU. Params: gamma, beta; moving_mean, moving_variance, which a training forward moves to
 * momentum * moving + (1 - momentum) * batch and which give the statistics when not training.
 *
 * spec.scope PD_NORM_BATCH: mean and variance are those of all lanes of all ranks, and dx is the
 * gradient through them: one lane sum of 2c numbers in forward, one in backward. PD_NORM_LANE: each
 * lane has its own, and the moving statistics follow the mean over all lanes of the lanes' means
 * and variances: one lane sum in forward, none in backward.
 *
 * The gradient of gamma and beta is each lane's own share. Keeps its input; not its output, for the
 * ReLU's mask is computed anew from the input. Saves mean and inverse deviation per lane held. */
extern const pd_layer_type pd_layer_batchnorm;

#endif
