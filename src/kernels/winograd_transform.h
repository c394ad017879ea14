/* The transforms of Winograd's minimal filtering F(4 x 4, 3 x 3), on vectors of channels. */
#ifndef PNEUMO_KERNELS_WINOGRAD_TRANSFORM_H
#define PNEUMO_KERNELS_WINOGRAD_TRANSFORM_H

#include "vector.h"

/* A tile has OUTPUT x OUTPUT outputs, sees INPUT x INPUT inputs, and has as many positions. */
enum { KERNEL = 3, OUTPUT = 4, INPUT = OUTPUT + KERNEL - 1, POSITIONS = INPUT * INPUT };

/* --- One line. ---
 *
 * Interpolation at 0, a, -a, b, -b and infinity, with a = 3/4 and b = 3/2. The usual 1 and 2 give
 * three times the error; these are as accurate as the square roots of 1/2 and 2, and exact in
 * binary. Points of both signs share their even and odd parts. Below, each line of Lavin and Gray's
 * matrices B, G and A belongs to one point. */

static const float A1 = 0.75f, A2 = 0.5625f, A3 = 0.421875f;
static const float B1 = 1.5f, B2 = 2.25f, B3 = 3.375f;
static const float SUM = 2.8125f;       /* a^2 + b^2 */
static const float PRODUCT = 1.265625f; /* a^2 b^2 */

/* 1 over the product of a point's differences from the other finite points, for 0, a and b. */
static const float WEIGHT_0 = 1 / 1.265625f, WEIGHT_A = 1 / -1.8984375f, WEIGHT_B = 1 / 7.59375f;

/* A transform of one line, a row or a column: 6 inputs, 4 outputs or 3 taps to 6 positions, or
 * back.
 */
typedef void pd_winograd_line(const pd_vector *in, pd_vector *out);

PD_INLINE void pd_winograd_line_input(const pd_vector *in, pd_vector *out)
{
    pd_vector even_a = in[4] - B2 * in[2], odd_a = A1 * (in[3] - B2 * in[1]);
    pd_vector even_b = in[4] - A2 * in[2], odd_b = B1 * (in[3] - A2 * in[1]);
    out[0] = in[4] - SUM * in[2] + PRODUCT * in[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = in[5] - SUM * in[3] + PRODUCT * in[1];
}

PD_INLINE void pd_winograd_line_output(const pd_vector *in, pd_vector *out)
{
    pd_vector even_a = in[1] + in[2], odd_a = in[1] - in[2];
    pd_vector even_b = in[3] + in[4], odd_b = in[3] - in[4];
    out[0] = in[0] + even_a + even_b;
    out[1] = A1 * odd_a + B1 * odd_b;
    out[2] = A2 * even_a + B2 * even_b;
    out[3] = A3 * odd_a + B3 * odd_b + in[5];
}

/* The transpose of pd_winograd_line_output. */
PD_INLINE void pd_winograd_line_output_gradient(const pd_vector *in, pd_vector *out)
{
    pd_vector even_a = in[0] + A2 * in[2], odd_a = A1 * (in[1] + A2 * in[3]);
    pd_vector even_b = in[0] + B2 * in[2], odd_b = B1 * (in[1] + B2 * in[3]);
    out[0] = in[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = in[3];
}

PD_INLINE void pd_winograd_line_kernel(const pd_vector *in, pd_vector *out)
{
    pd_vector even_a = WEIGHT_A * (in[0] + A2 * in[2]), odd_a = WEIGHT_A * A1 * in[1];
    pd_vector even_b = WEIGHT_B * (in[0] + B2 * in[2]), odd_b = WEIGHT_B * B1 * in[1];
    out[0] = WEIGHT_0 * in[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = in[2];
}

/* The transpose of pd_winograd_line_kernel. */
PD_INLINE void pd_winograd_line_kernel_gradient(const pd_vector *in, pd_vector *out)
{
    pd_vector even_a = WEIGHT_A * (in[1] + in[2]), odd_a = WEIGHT_A * (in[1] - in[2]);
    pd_vector even_b = WEIGHT_B * (in[3] + in[4]), odd_b = WEIGHT_B * (in[3] - in[4]);
    out[0] = WEIGHT_0 * in[0] + even_a + even_b;
    out[1] = A1 * odd_a + B1 * odd_b;
    out[2] = A2 * even_a + B2 * even_b + in[5];
}

/* --- A square. --- */

/* Pixels in memory, a vector of channels each: pixel (i, j) is at first + i * row + j * column. */
typedef struct pd_winograd_patch {
    const float *first;
    ptrdiff_t row, column;
} pd_winograd_patch;

/* Transforms the columns and rows of a square patch of `from` x `from` to one of `to` x `to`, whose
 * pixel (i, j) is stored at target + (i * to + j) * step. */
PD_INLINE void pd_winograd_transform(pd_winograd_line *line, const int from, const int to,
                                     pd_winograd_patch patch, float *target, size_t step)
{
    pd_vector half[INPUT][INPUT], in[INPUT], out[INPUT];
#pragma GCC unroll 6
    for (int j = 0; j < from; j++) {
#pragma GCC unroll 6
        for (int i = 0; i < from; i++)
            in[i] = *(const pd_vector *)(patch.first + i * patch.row + j * patch.column);
        line(in, out);
#pragma GCC unroll 6
        for (int i = 0; i < to; i++)
            half[i][j] = out[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < to; i++) {
        line(half[i], out);
#pragma GCC unroll 6
        for (int j = 0; j < to; j++)
            *(pd_vector *)(target + ((size_t)i * (size_t)to + (size_t)j) * step) = out[j];
    }
}

#endif
