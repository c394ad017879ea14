/* The product of pneumo's register tiles for factors in bfloat16, where the processor multiplies
 * pairs (pd_precision_has_dot).
 *
 * A step takes two elements of each factor, a pair: two neighbouring rows of the right factor, and
 * of the left factor what they are multiplied with. A pair is as large as a float, so arrays of
 * pairs have the types, layouts and panels of tile.h, with half as many steps. */
#ifndef PNEUMO_KERNELS_PAIRS_H
#define PNEUMO_KERNELS_PAIRS_H

#include "tile.h"

/* As pd_tile_multiply; of the walk, only the last loop may have more than one step. Every sum is
 * one chain in the order of the steps, as there, but what is rounded within a step is the
 * processor's choice. */
void pd_pairs_multiply(int rows, int vectors, const float *a, ptrdiff_t row_step,
                       const pd_tile_walk *walk, const float *packed, float *out);

/* out[j] = the sum of both elements of packed[t][j] over the steps t: a product with ones. */
void pd_pairs_sum(int steps, int vectors, const float *packed, float *out);

/* As pd_tile_pack_kernel with one tap, rounded to pairs. c is even. */
void pd_pairs_pack_kernel(int c, int k, const float *kernel, bool turned, float *packed,
                          int threads);

/* source[steps][columns], whose rows are `stride` elements apart -> pairs [steps / 2, rounded up]
 * [width]. Columns beyond, and the second
 * element of an odd last step, are zeros. */
void pd_pairs_pack(int steps, const pd_bf16 *source, size_t stride, int columns, int width,
                   float *packed);

#endif
