/* How outputs are computed from inputs by Winograd convolution: forward, and backward to the input,
 * which is a convolution of dy with the kernel turned by 180 degrees and its channels exchanged. */
#ifndef PNEUMO_KERNELS_WINOGRAD_PLAN_H
#define PNEUMO_KERNELS_WINOGRAD_PLAN_H

#include "pneumo/kernels/conv_shape.h"

#include "winograd_images.h"

/* A convolution of [h][w][c] that gives [out_h][out_w][k], and how it is cut into blocks. */
typedef struct pd_winograd_plan {
    int h, w, c;
    int pad_top, pad_left;
    int out_h, out_w, k;
    int samples, threads;
    pd_precision precision; /* of both sides of the convolution */
    pd_winograd_grid grid;
    int64_t tiles; /* of all samples */
    int block;     /* tiles that are computed together */
    bool shared;   /* threads work on the same block, else each on its own */
} pd_winograd_plan;

pd_winograd_plan pd_winograd_plan_forward(const pd_conv_shape *shape);
pd_winograd_plan pd_winograd_plan_input(const pd_conv_shape *shape);

/* Floats from one position to the next: of the transformed kernel, and of a block's transformed
 * inputs and outputs. */
size_t pd_winograd_plan_kernel_step(const pd_winograd_plan *plan);
size_t pd_winograd_plan_input_step(const pd_winograd_plan *plan);
size_t pd_winograd_plan_output_step(const pd_winograd_plan *plan);

/* In floats: the transformed kernel; a block's inputs and outputs; and the workspace, which is the
 * padded bias, then each block that is computed at the same time. */
size_t pd_winograd_plan_kernel_size(const pd_winograd_plan *plan);
size_t pd_winograd_plan_block_size(const pd_winograd_plan *plan);
size_t pd_winograd_plan_workspace(const pd_winograd_plan *plan);

#endif
