#include "pneumo/kernels/tile.h"

#include <string.h>

const char *pd_tile_instructions(void)
{
#if defined(__AVX512F__)
    return "AVX-512";
#elif defined(__AVX2__) && defined(__FMA__)
    return "AVX2";
#else
    return "any processor";
#endif
}

int pd_tile_panel_vectors(int columns)
{
    /* Three where two would leave a single one, which reads as much for half the work. */
    int vectors = pd_tile_padded(columns) / PD_TILE_WIDTH;
    return vectors % 2 == 1 && vectors % 3 == 0 ? 3 : 2;
}

int pd_tile_max_rows(int vectors)
{
    return vectors < 3 ? PD_TILE_ROWS : PD_TILE_ROWS * 2 / 3;
}

/* Inlined with constant rows and vectors, so that `sum` becomes registers, and with one of row_step
 * and inner_step 1, which saves address arithmetic. */
static inline __attribute__((always_inline)) void
tile_multiply(const int rows, const int vectors, const float *a, ptrdiff_t row_step,
              const pd_tile_walk *walk, ptrdiff_t inner_step, const float *panel, float *out)
{
    pd_tile_vector sum[PD_TILE_ROWS][PD_TILE_VECTORS];
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            sum[r][v] = (pd_tile_vector){0};
    }
    const float *ahead = walk->ahead ? walk->ahead : panel;
    for (int i = 0; i < walk->count[0]; i++) {
        for (int j = 0; j < walk->count[1]; j++) {
            const float *left = a + i * walk->step[0] + j * walk->step[1];
            for (int l = 0; l < walk->count[2]; l++) {
                pd_tile_vector right[PD_TILE_VECTORS];
#pragma GCC unroll 3
                for (int v = 0; v < vectors; v++)
                    right[v] = ((const pd_tile_vector *)panel)[v];
                __builtin_prefetch(ahead, 0, 2);
                ahead += PD_TILE_WIDTH;
#pragma GCC unroll 14
                for (int r = 0; r < rows; r++) {
#pragma GCC unroll 3
                    for (int v = 0; v < vectors; v++)
                        sum[r][v] += left[r * row_step] * right[v];
                }
                left += inner_step;
                panel += vectors * PD_TILE_WIDTH;
            }
        }
    }
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            ((pd_tile_vector *)out)[r * vectors + v] = sum[r][v];
    }
}

#define TILE_CASE(rows, vectors)                                                                   \
    case (vectors)*16 + (rows):                                                                    \
        if (row_step == 1)                                                                         \
            tile_multiply(rows, vectors, a, 1, walk, walk->step[2], panel, out);                   \
        else                                                                                       \
            tile_multiply(rows, vectors, a, row_step, walk, 1, panel, out);                        \
        break;

#define TILE_CASES_4(vectors)                                                                      \
    TILE_CASE(1, vectors)                                                                          \
    TILE_CASE(2, vectors)                                                                          \
    TILE_CASE(3, vectors)                                                                          \
    TILE_CASE(4, vectors)
#define TILE_CASES_6(vectors)                                                                      \
    TILE_CASES_4(vectors)                                                                          \
    TILE_CASE(5, vectors)                                                                          \
    TILE_CASE(6, vectors)
#define TILE_CASES_9(vectors)                                                                      \
    TILE_CASES_6(vectors)                                                                          \
    TILE_CASE(7, vectors)                                                                          \
    TILE_CASE(8, vectors)                                                                          \
    TILE_CASE(9, vectors)
#define TILE_CASES_14(vectors)                                                                     \
    TILE_CASES_9(vectors)                                                                          \
    TILE_CASE(10, vectors)                                                                         \
    TILE_CASE(11, vectors)                                                                         \
    TILE_CASE(12, vectors)                                                                         \
    TILE_CASE(13, vectors)                                                                         \
    TILE_CASE(14, vectors)

void pd_tile_multiply(int rows, int vectors, const float *a, ptrdiff_t row_step,
                      const pd_tile_walk *walk, const float *panel, float *out)
{
    switch (vectors * 16 + rows) {
#if defined(__AVX512F__)
        TILE_CASES_14(1)
        TILE_CASES_14(2)
        TILE_CASES_9(3)
#elif defined(__AVX__)
        TILE_CASES_6(1)
        TILE_CASES_6(2)
        TILE_CASES_4(3)
#else
        TILE_CASES_4(1)
        TILE_CASES_4(2)
        TILE_CASES_4(3)
#endif
    }
}

void pd_tile_pack(int steps, int columns, int width, const float *source, size_t stride,
                  float *panel)
{
    /* Whole vectors, cut with a mask, as long as they end within the source: narrow rows are many,
     * and a call of memcpy for each would take longer than the product. */
    typedef int tile_mask
        __attribute__((vector_size(sizeof(int) * PD_TILE_WIDTH), aligned(sizeof(int)), may_alias));
    tile_mask mask;
    for (int j = 0; j < PD_TILE_WIDTH; j++)
        mask[j] = width - PD_TILE_WIDTH + j < columns ? -1 : 0;
    int beyond = (int)((size_t)(width - columns) + stride - 1) / (int)stride;
    int t = 0;
    for (; t < steps - beyond; t++) {
        const float *from = source + (size_t)t * stride;
        float *to = panel + (size_t)t * (size_t)width;
        int j = 0;
        for (; j < width - PD_TILE_WIDTH; j += PD_TILE_WIDTH)
            *(pd_tile_vector *)(to + j) = *(const pd_tile_vector *)(from + j);
        tile_mask last = *(const tile_mask *)(from + j) & mask;
        *(tile_mask *)(to + j) = last;
    }
    for (; t < steps; t++) {
        float *to = panel + (size_t)t * (size_t)width;
        memcpy(to, source + (size_t)t * stride, (size_t)columns * sizeof *to);
        memset(to + columns, 0, (size_t)(width - columns) * sizeof *to);
    }
}
