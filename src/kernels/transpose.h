/* Transposition of small blocks in vector registers. */
#ifndef PNEUMO_KERNELS_TRANSPOSE_H
#define PNEUMO_KERNELS_TRANSPOSE_H

#include "vector.h"

/* Transposes a square of PD_VECTOR_WIDTH rows and columns; rows are `stride` floats apart in `from`
 * and `to_stride` in `to`. Swaps the off-diagonal quarters of squares that grow from 2 x 2 to the
 * whole. */
PD_INLINE void pd_transpose_square(const float *from, size_t stride, float *to, size_t to_stride)
{
    enum { WIDTH = PD_VECTOR_WIDTH };
    pd_vector rows[WIDTH];
    for (size_t i = 0; i < WIDTH; i++)
        rows[i] = *(const pd_vector *)(from + i * stride);
#pragma GCC unroll 4
    for (int half = 1; half < WIDTH; half *= 2) {
        pd_vector_mask upper = {0}, lower = {0};
#pragma GCC unroll 16
        for (int j = 0; j < WIDTH; j++) {
            upper[j] = j & half ? WIDTH + j - half : j;
            lower[j] = j & half ? WIDTH + j : j + half;
        }
#pragma GCC unroll 16
        for (int i = 0; i < WIDTH; i++) {
            if (i & half)
                continue;
            pd_vector above = rows[i], below = rows[i + half];
            rows[i] = pd_vector_shuffle(above, below, upper);
            rows[i + half] = pd_vector_shuffle(above, below, lower);
        }
    }
    for (size_t i = 0; i < WIDTH; i++)
        *(pd_vector *)(to + i * to_stride) = rows[i];
}

/* The same for from[rows][columns], both at most PD_VECTOR_WIDTH: writes `columns` rows of
 * PD_VECTOR_WIDTH floats, filled up with zeros. */
static inline void pd_transpose(const float *from, size_t stride, int rows, int columns, float *to,
                                size_t to_stride)
{
    if (rows == PD_VECTOR_WIDTH && columns == PD_VECTOR_WIDTH) {
        pd_transpose_square(from, stride, to, to_stride);
        return;
    }
    for (int j = 0; j < columns; j++) {
        for (int i = 0; i < PD_VECTOR_WIDTH; i++)
            to[(size_t)j * to_stride + i] = i < rows ? from[(size_t)i * stride + j] : 0;
    }
}

#endif
