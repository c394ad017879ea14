#include "pairs_internal.h"

#include "pairs.h"
#include "tile_cases.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#define PAIRS __attribute__((target("avx512bf16")))
#endif

/* A pair in memory: the first element in the lower half. */
typedef uint32_t pair __attribute__((may_alias));
typedef uint32_t pair_vector __attribute__((vector_size(sizeof(uint32_t) * PD_VECTOR_WIDTH),
                                            aligned(sizeof(uint32_t)), may_alias));

static bool forbidden;

void pd_pairs_forbid(bool forbid)
{
    forbidden = forbid;
}

bool pd_precision_has_dot(void)
{
#if defined(__AVX512F__)
    __builtin_cpu_init();
    return !forbidden && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

#if defined(__AVX512F__)

/* As tile_multiply in tile.c. */
PAIRS PD_INLINE void pairs_multiply(const int rows, const int vectors, const pair *a,
                                    ptrdiff_t row_step, ptrdiff_t step, int count,
                                    const float *prefetch, const float *packed, float *out)
{
    __m512 sum[PD_TILE_ROWS][PD_TILE_VECTORS];
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            sum[r][v] = _mm512_setzero_ps();
    }
    for (int t = 0; t < count; t++) {
        __m512bh right[PD_TILE_VECTORS];
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            right[v] = (__m512bh)_mm512_loadu_ps(packed + (ptrdiff_t)v * PD_VECTOR_WIDTH);
        __builtin_prefetch(prefetch, 0, 2);
        prefetch += PD_VECTOR_WIDTH;
#pragma GCC unroll 14
        for (int r = 0; r < rows; r++) {
            __m512bh left = (__m512bh)_mm512_set1_epi32((int)a[r * row_step]);
#pragma GCC unroll 3
            for (int v = 0; v < vectors; v++)
                sum[r][v] = _mm512_dpbf16_ps(sum[r][v], left, right[v]);
        }
        a += step;
        packed += (ptrdiff_t)vectors * PD_VECTOR_WIDTH;
    }
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            _mm512_storeu_ps(out + ((ptrdiff_t)r * vectors + v) * PD_VECTOR_WIDTH, sum[r][v]);
    }
}

#define PAIRS_CASE(rows, vectors)                                                                  \
    case (vectors)*16 + (rows):                                                                    \
        if (row_step == 1)                                                                         \
            pairs_multiply(rows, vectors, left, 1, walk->step[2], count, prefetch, packed, out);   \
        else                                                                                       \
            pairs_multiply(rows, vectors, left, row_step, 1, count, prefetch, packed, out);        \
        break;

PAIRS void pd_pairs_multiply(int rows, int vectors, const float *a, ptrdiff_t row_step,
                             const pd_tile_walk *walk, const float *packed, float *out)
{
    const pair *left = (const pair *)a;
    const float *prefetch = walk->prefetch != NULL ? walk->prefetch : packed;
    const int count = walk->count[2];
    switch (vectors * 16 + rows) {
        PD_TILE_CASES(PAIRS_CASE)
    }
}

#else

void pd_pairs_multiply(int rows, int vectors, const float *a, ptrdiff_t row_step,
                       const pd_tile_walk *walk, const float *packed, float *out)
{
    const int width = vectors * PD_VECTOR_WIDTH;
    for (int i = 0; i < rows * width; i++) {
        const pair *left = (const pair *)a + i / width * row_step;
        const pair *right = (const pair *)packed + i % width;
        out[i] = 0;
        for (int t = 0; t < walk->count[2]; t++, left += walk->step[2], right += width)
            out[i] +=
                pd_bf16_widen((pd_bf16)*left) * pd_bf16_widen((pd_bf16)*right) +
                pd_bf16_widen((pd_bf16)(*left >> 16)) * pd_bf16_widen((pd_bf16)(*right >> 16));
    }
}

#endif

void pd_pairs_sum(int steps, int vectors, const float *packed, float *out)
{
    static const pair ones = 0x3F803F80;
    pd_tile_walk walk = pd_tile_walk_line(steps, 0);
    pd_pairs_multiply(1, vectors, (const float *)&ones, 1, &walk, packed, out);
}

/* Rows of floats [steps][width] -> pairs [steps / 2][width]; steps is even, width whole vectors. */
static void round_rows(int steps, ptrdiff_t width, const float *rows, float *packed)
{
    for (int t = 0; t < steps; t += 2, rows += 2 * width, packed += width) {
        for (int j = 0; j < width; j += PD_VECTOR_WIDTH) {
            pd_vector_bf16 first = pd_vector_round(*(const pd_vector *)(rows + j));
            pd_vector_bf16 second = pd_vector_round(*(const pd_vector *)(rows + width + j));
            *(pair_vector *)(packed + j) = __builtin_convertvector(first, pd_vector_bits) |
                                           __builtin_convertvector(second, pd_vector_bits) << 16;
        }
    }
}

void pd_pairs_pack_kernel(int c, int k, const float *kernel, bool turned, float *packed,
                          int threads)
{
    enum { STEPS = PD_VECTOR_WIDTH };
    const int panels = pd_tile_panel_count(k);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int index = 0; index < panels; index++) {
        _Alignas(64) float rows[STEPS * PD_TILE_VECTORS * PD_VECTOR_WIDTH];
        pd_tile_panel panel = pd_tile_panel_at(k, index);
        float *to = packed + (size_t)panel.first * (size_t)(c / 2);
        for (int t = 0; t < c; t += STEPS) {
            int steps = pd_min_int(STEPS, c - t);
            if (turned)
                pd_tile_pack_transposed(&panel, steps, kernel + t, (size_t)c, rows);
            else
                pd_tile_pack(&panel, steps, PD_FLOAT32, kernel + (size_t)t * (size_t)k, (size_t)k,
                             rows);
            round_rows(steps, panel.width, rows, to + (size_t)(t / 2) * (size_t)panel.width);
        }
    }
}

void pd_pairs_pack(int steps, const pd_bf16 *source, size_t stride, int columns, int width,
                   float *packed)
{
    for (int t = 0; t < steps; t += 2, source += 2 * stride, packed += width) {
        const pd_bf16 *next = source + stride;
        const bool odd = t + 1 == steps;
        int j = 0;
        for (; !odd && j + PD_VECTOR_WIDTH <= columns; j += PD_VECTOR_WIDTH) {
            pd_vector_bf16 first = *(const pd_vector_bf16 *)(source + j);
            pd_vector_bf16 second = *(const pd_vector_bf16 *)(next + j);
            *(pair_vector *)(packed + j) = __builtin_convertvector(first, pd_vector_bits) |
                                           __builtin_convertvector(second, pd_vector_bits) << 16;
        }
        for (; j < width; j++) {
            pair first = j < columns ? source[j] : 0, second = j < columns && !odd ? next[j] : 0;
            ((pair *)packed)[j] = first | second << 16;
        }
    }
}
