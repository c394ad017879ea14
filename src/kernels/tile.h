/* The innermost product of convolutions and dense layers: a small block of sums, a tile, that stays
 * in vector registers.
 *
 * Every sum is one chain of multiply-adds in the order of the steps, whatever the size of the tile
 * and whatever its neighbours. Hence the bits of an output depend only on its own inputs, and
 * callers may cut outputs into tiles, samples and threads freely. A general matrix product gives no
 * such guarantee. It also copies both factors into its own order, whereas this one reads the left
 * factor in place; with few channels that copy would take most of the time. */
#ifndef PNEUMO_KERNELS_TILE_H
#define PNEUMO_KERNELS_TILE_H

#include "element.h"
#include "pneumo/base/number.h"

/* The largest tile: as many sums as there are registers for them. */
#if defined(__AVX512F__)
enum { PD_TILE_VECTORS = 3, PD_TILE_ROWS = 14 };
#elif defined(__AVX__)
enum { PD_TILE_VECTORS = 3, PD_TILE_ROWS = 6 };
#else
enum { PD_TILE_VECTORS = 3, PD_TILE_ROWS = 4 };
#endif
enum { PD_TILE_SIZE = PD_TILE_ROWS * PD_TILE_VECTORS * PD_VECTOR_WIDTH };

/* --- Panels. --- */

/* The right factor [steps][columns] is cut into panels. A panel holds its columns of all steps,
 * [steps][width]; all panels have the same width but the last, which ends with the last column,
 * rounded up to whole vectors and filled up with zeros. */
typedef struct pd_tile_panel {
    int first;   /* column */
    int columns; /* of the factor */
    int width;   /* columns and padding, in floats */
    int vectors; /* width in vectors */
} pd_tile_panel;

/* Vectors in each panel but the last. */
int pd_tile_panel_vectors(int columns);

/* The width of all panels together: columns rounded up to whole vectors. */
static inline int pd_tile_padded(int columns)
{
    return (columns + PD_VECTOR_WIDTH - 1) / PD_VECTOR_WIDTH * PD_VECTOR_WIDTH;
}

/* The width of each panel but the last, in floats. */
static inline int pd_tile_panel_width(int columns)
{
    return pd_tile_panel_vectors(columns) * PD_VECTOR_WIDTH;
}

static inline int pd_tile_panel_count(int columns)
{
    return pd_divide_up(columns, pd_tile_panel_width(columns));
}

/* Panel `index` of a factor of `columns` columns. */
static inline pd_tile_panel pd_tile_panel_at(int columns, int index)
{
    int first = index * pd_tile_panel_width(columns);
    int width = pd_min_int(pd_tile_panel_width(columns), pd_tile_padded(columns) - first);
    return (pd_tile_panel){first, pd_min_int(width, columns - first), width,
                           width / PD_VECTOR_WIDTH};
}

/* Copies the panel's columns of source[steps][columns of the factor], whose rows are `stride`
 * elements apart, to packed[steps][panel->width]. */
void pd_tile_pack(const pd_tile_panel *panel, int steps, pd_precision precision, const void *source,
                  size_t stride, float *packed);

/* The same from the transpose, source[columns of the factor][steps], whose rows are `stride` floats
 * apart. */
void pd_tile_pack_transposed(const pd_tile_panel *panel, int steps, const float *source,
                             size_t stride, float *packed);

/* Packs kernel[taps][c][k] as a factor [taps * c][k], panel after panel. If `turned`, kernel is
 * [taps][k][c], and the factor gets its taps in reverse order and the transpose of each. */
void pd_tile_pack_kernel(int taps, int c, int k, const float *kernel, bool turned, float *packed,
                         int threads);

/* --- The product. --- */

/* The steps of a sum, as a path through the left factor: three nested loops, the last innermost. */
typedef struct pd_tile_walk {
    int count[3];
    ptrdiff_t step[3]; /* in floats */
    /* Memory to prefetch, one vector per step; NULL prefetches nothing but the panel. */
    const float *prefetch;
} pd_tile_walk;

/* A walk of `count` steps that are `step` floats apart. */
static inline pd_tile_walk pd_tile_walk_line(int count, ptrdiff_t step)
{
    return (pd_tile_walk){{1, 1, count}, {0, 0, step}, NULL};
}

/* What to prefetch during tile number `tile` of those that read one panel: a slice of `next`, the
 * panel that is read after it, [steps][vectors]; NULL once all of it is prefetched. */
static inline const float *pd_tile_prefetch(const float *next, int steps, int vectors, int tile)
{
    return tile < vectors ? next + (size_t)tile * (size_t)steps * PD_VECTOR_WIDTH : NULL;
}

/* The most rows of a tile of `vectors` vectors. */
int pd_tile_max_rows(int vectors);

/* out[r][j] = sum over steps t, in order, of a[r * row_step + walk(t)] * packed[t][j], for r < rows
 * and j < vectors * PD_VECTOR_WIDTH; all arrays but `a` are dense. row_step or walk->step[2] is 1.
 * rows is 1 to pd_tile_max_rows(vectors). */
void pd_tile_multiply(int rows, int vectors, const float *a, ptrdiff_t row_step,
                      const pd_tile_walk *walk, const float *packed, float *out);

/* out[j] = sum over steps t, in order, of packed[t][j]: a product with ones. */
void pd_tile_sum(int steps, int vectors, const float *packed, float *out);

/* --- What becomes of the sums [rows][panel->width] of a tile. --- */

/* Outputs max(sum + bias, least); NaN stays NaN. */
typedef struct pd_tile_output {
    const float *bias; /* [columns of the factor], or NULL */
    float least;
    pd_precision precision;
    void *out;
    size_t stride; /* of the rows of `out`, in elements */
} pd_tile_output;

PD_INLINE void pd_tile_store_as(pd_precision precision, const pd_tile_output *output,
                                const pd_tile_panel *panel, int rows, const float *sums, size_t row)
{
    const float *bias = output->bias != NULL ? output->bias + panel->first : NULL;
    const float least = output->least;
    for (int r = 0; r < rows; r++) {
        const float *from = sums + (size_t)r * (size_t)panel->width;
        size_t first = (row + (size_t)r) * output->stride + (size_t)panel->first;
        for (int j = 0; j < panel->columns; j++) {
            float sum = from[j] + (bias != NULL ? bias[j] : 0);
            pd_element_store(precision, output->out, first + (size_t)j, sum < least ? least : sum);
        }
    }
}

/* The sums are those of the panel's columns of row `row` and the rows after it. */
static inline void pd_tile_store(const pd_tile_output *output, const pd_tile_panel *panel, int rows,
                                 const float *sums, size_t row)
{
    PD_WITH_PRECISION(output->precision,
                      pd_tile_store_as(precision, output, panel, rows, sums, row));
}

/* out += sums, or, if `overwrite`, out = sums. `out` is the first row, at column 0 of the factor;
 * its rows are `stride` floats apart. */
static inline void pd_tile_add(const pd_tile_panel *panel, int rows, const float *sums,
                               bool overwrite, float *out, size_t stride)
{
    for (int r = 0; r < rows; r++) {
        const float *from = sums + (size_t)r * (size_t)panel->width;
        float *to = out + (size_t)r * stride + panel->first;
        for (int j = 0; j < panel->columns; j++)
            to[j] = overwrite ? from[j] : to[j] + from[j];
    }
}

#endif
