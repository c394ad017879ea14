#include "tile.h"

#include "tile_cases.h"
#include "transpose.h"

int pd_tile_panel_vectors(int columns)
{
    /* Three where panels of two would leave one vector over, which reads as many rows for half the
     * sums. */
    int vectors = pd_tile_padded(columns) / PD_VECTOR_WIDTH;
    return vectors % 2 == 1 && vectors % 3 == 0 ? 3 : 2;
}

int pd_tile_max_rows(int vectors)
{
    return vectors < 3 ? PD_TILE_ROWS : PD_TILE_ROWS * 2 / 3;
}

/* Inlined with constant rows and vectors, so that `sum` is kept in registers, and with row_step or
 * inner_step 1, which saves address arithmetic. */
PD_INLINE void tile_multiply(const int rows, const int vectors, const float *a, ptrdiff_t row_step,
                             const pd_tile_walk *walk, ptrdiff_t inner_step, const float *packed,
                             float *out)
{
    pd_vector sum[PD_TILE_ROWS][PD_TILE_VECTORS];
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            sum[r][v] = (pd_vector){0};
    }
    const float *prefetch = walk->prefetch != NULL ? walk->prefetch : packed;
    for (int i = 0; i < walk->count[0]; i++) {
        for (int j = 0; j < walk->count[1]; j++) {
            const float *left = a + i * walk->step[0] + j * walk->step[1];
            for (int l = 0; l < walk->count[2]; l++) {
                pd_vector right[PD_TILE_VECTORS];
#pragma GCC unroll 3
                for (int v = 0; v < vectors; v++)
                    right[v] = ((const pd_vector *)packed)[v];
                __builtin_prefetch(prefetch, 0, 2);
                prefetch += PD_VECTOR_WIDTH;
#pragma GCC unroll 14
                for (int r = 0; r < rows; r++) {
#pragma GCC unroll 3
                    for (int v = 0; v < vectors; v++)
                        sum[r][v] += left[r * row_step] * right[v];
                }
                left += inner_step;
                packed += (ptrdiff_t)vectors * PD_VECTOR_WIDTH;
            }
        }
    }
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            ((pd_vector *)out)[r * vectors + v] = sum[r][v];
    }
}

#define TILE_CASE(rows, vectors)                                                                   \
    case (vectors)*16 + (rows):                                                                    \
        if (row_step == 1)                                                                         \
            tile_multiply(rows, vectors, a, 1, walk, walk->step[2], packed, out);                  \
        else                                                                                       \
            tile_multiply(rows, vectors, a, row_step, walk, 1, packed, out);                       \
        break;

void pd_tile_multiply(int rows, int vectors, const float *a, ptrdiff_t row_step,
                      const pd_tile_walk *walk, const float *packed, float *out)
{
    switch (vectors * 16 + rows) {
        PD_TILE_CASES(TILE_CASE)
    }
}

void pd_tile_sum(int steps, int vectors, const float *packed, float *out)
{
    static const float one = 1;
    pd_tile_walk walk = pd_tile_walk_line(steps, 0);
    pd_tile_multiply(1, vectors, &one, 1, &walk, packed, out);
}

PD_INLINE void tile_pack(const pd_precision precision, const pd_tile_panel *panel, int steps,
                         const void *source, size_t stride, float *packed)
{
    /* Whole vectors, the last one masked, as long as they end within the source: narrow rows are
     * many, and copying them element by element would take longer than the product. */
    const int width = panel->width, columns = panel->columns;
    pd_vector_mask mask = {0};
    for (int j = 0; j < PD_VECTOR_WIDTH; j++)
        mask[j] = width - PD_VECTOR_WIDTH + j < columns ? -1 : 0;
    int beyond = (int)((size_t)(width - columns) + stride - 1) / (int)stride;
    int t = 0;
    for (; t < steps - beyond; t++) {
        ptrdiff_t from = (ptrdiff_t)((size_t)t * stride) + panel->first;
        float *to = packed + (size_t)t * (size_t)width;
        int j = 0;
        for (; j < width - PD_VECTOR_WIDTH; j += PD_VECTOR_WIDTH)
            *(pd_vector *)(to + j) = pd_vector_load(precision, source, from + j);
        *(pd_vector *)(to + j) =
            pd_vector_select(mask, pd_vector_load(precision, source, from + j));
    }
    for (; t < steps; t++) {
        float *to = packed + (size_t)t * (size_t)width;
        size_t from = (size_t)t * stride + (size_t)panel->first;
        for (int j = 0; j < width; j++)
            to[j] = j < columns ? pd_element_load(precision, source, from + (size_t)j) : 0;
    }
}

void pd_tile_pack(const pd_tile_panel *panel, int steps, pd_precision precision, const void *source,
                  size_t stride, float *packed)
{
    if (precision == PD_BF16)
        tile_pack(PD_BF16, panel, steps, source, stride, packed);
    else
        tile_pack(PD_FLOAT32, panel, steps, source, stride, packed);
}

void pd_tile_pack_transposed(const pd_tile_panel *panel, int steps, const float *source,
                             size_t stride, float *packed)
{
    const size_t width = (size_t)panel->width;
    for (int t = 0; t < steps; t += PD_VECTOR_WIDTH) {
        int count = pd_min_int(PD_VECTOR_WIDTH, steps - t);
        for (int j = 0; j < panel->width; j += PD_VECTOR_WIDTH)
            pd_transpose(source + (size_t)(panel->first + j) * stride + t, stride,
                         pd_min_int(PD_VECTOR_WIDTH, panel->columns - j), count,
                         packed + (size_t)t * width + j, width);
    }
}

void pd_tile_pack_kernel(int taps, int c, int k, const float *kernel, bool turned, float *packed,
                         int threads)
{
    const int panels = pd_tile_panel_count(k);
    const size_t tap_size = (size_t)c * (size_t)k;
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int index = 0; index < panels; index++) {
        for (int tap = 0; tap < taps; tap++) {
            pd_tile_panel panel = pd_tile_panel_at(k, index);
            float *to = packed + (size_t)c * ((size_t)panel.first * (size_t)taps +
                                              (size_t)tap * (size_t)panel.width);
            if (turned)
                pd_tile_pack_transposed(&panel, c, kernel + (size_t)(taps - 1 - tap) * tap_size,
                                        (size_t)c, to);
            else
                pd_tile_pack(&panel, c, PD_FLOAT32, kernel + (size_t)tap * tap_size, (size_t)k, to);
        }
    }
}
