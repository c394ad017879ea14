/* Normalisation over the columns of [lanes][rows][c], lane by lane: the numeric part of batch
 * normalisation (Ioffe and Szegedy, arXiv:1502.03167). Rows are samples times pixels.
 *
 * A lane is cut into blocks of a fixed number of rows; one thread sums each block in float, and the
 * blocks are added in double in order. So the bits depend only on the shape. */
#ifndef PNEUMO_KERNELS_NORM_H
#define PNEUMO_KERNELS_NORM_H

#include "pneumo/kernels/precision.h"

#include <stdbool.h>
#include <stddef.h>

/* y = (x - mean) * scale + beta, then ReLU if asked. pd_norm_sums reads only the sizes and the
 * precision. All arrays are borrowed. */
typedef struct pd_norm {
    int lanes;
    size_t rows; /* per lane */
    int c;
    bool relu;
    const float *mean;      /* [lanes][c] */
    const float *scale;     /* [lanes][c]: gamma / deviation */
    const float *beta;      /* [c] */
    pd_precision precision; /* of x, y and their gradients */
} pd_norm;

/* Floats of workspace for pd_norm_sums and pd_norm_backward_sums. */
size_t pd_norm_workspace(int lanes, size_t rows, int c);

/* x [lanes][rows][c] -> sums [lanes][2][c]: sum of x, sum of x * x. Elements are summed relative to
 * their block's first row, so a mean that is large relative to the deviation costs no digits. */
void pd_norm_sums(const pd_norm *norm, const void *x, float *workspace, double *sums, int threads);

/* x -> y, both [lanes][rows][c]. */
void pd_norm_forward(const pd_norm *norm, const void *x, void *y, int threads);

/* dy -> sums [lanes][2][c]: sum of dz, sum of dz * (x - mean), where dz is dy where the ReLU
 * passes x (recomputed from x) and 0 elsewhere. */
void pd_norm_backward_sums(const pd_norm *norm, const void *x, const void *dy, float *workspace,
                           double *sums, int threads);

/* dx = scale * (dz - dz_mean - (x - mean) * slope); dz_mean and slope are [lanes][c]. dx may be dy.
 */
void pd_norm_backward(const pd_norm *norm, const void *x, const void *dy, const float *dz_mean,
                      const float *slope, void *dx, int threads);

#endif
