/* The innermost product of convolutions and dense layers: a small block of sums that stays in
 * vector registers.
 *
 * Every sum is one chain of multiply-adds in the order of the steps, whatever the block's size and
 * whatever its neighbours. Hence the bits of an output depend only on its own inputs, and callers
 * may cut outputs into blocks, samples and threads as they like. A general matrix product promises
 * no such thing; it also wants both factors copied into its own order, where this one reads the
 * left factor in place, which for few channels is the larger part of its time. */
#ifndef PNEUMO_KERNELS_TILE_H
#define PNEUMO_KERNELS_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The instructions that the kernels are compiled for: "AVX-512", "AVX2" or "any processor". */
const char *pd_tile_instructions(void);

/* Floats of a vector; the most vectors and rows of a tile: as many sums as there are registers. */
#if defined(__AVX512F__)
enum { PD_TILE_WIDTH = 16, PD_TILE_VECTORS = 3, PD_TILE_ROWS = 14 };
#elif defined(__AVX__)
enum { PD_TILE_WIDTH = 8, PD_TILE_VECTORS = 3, PD_TILE_ROWS = 6 };
#else
enum { PD_TILE_WIDTH = 4, PD_TILE_VECTORS = 3, PD_TILE_ROWS = 4 };
#endif
enum { PD_TILE_SIZE = PD_TILE_ROWS * PD_TILE_VECTORS * PD_TILE_WIDTH };

/* A vector in memory, with the alignment of float: buffers need no more. */
typedef float pd_tile_vector
    __attribute__((vector_size(sizeof(float) * PD_TILE_WIDTH), aligned(sizeof(float)), may_alias));

/* Whether results of `bytes`, in rows of `stride` floats from `to` on, should be stored with
 * pd_tile_store_far: each vector is a whole line of the cache, and all together do not stay in a
 * second-level cache anyway. */
static inline bool pd_tile_is_far(const float *to, size_t stride, size_t bytes)
{
    enum { LINE = 64, CACHE = 2 << 20 };
    return sizeof(pd_tile_vector) == LINE && (uintptr_t)to % LINE == 0 &&
           stride % PD_TILE_WIDTH == 0 && bytes > CACHE;
}

/* Stores a vector around the caches, which saves reading what it overwrites; `to` is aligned to the
 * vector. Before another thread reads it, this one calls pd_tile_finish_far. */
static inline void pd_tile_store_far(float *to, pd_tile_vector values)
{
#if defined(__AVX512F__)
    typedef float whole __attribute__((vector_size(sizeof(float) * PD_TILE_WIDTH)));
    __builtin_ia32_movntps512(to, (whole)values);
#else
    *(pd_tile_vector *)to = values;
#endif
}

/* Copies n floats like that, from anywhere to anywhere. */
static inline void pd_tile_copy_far(size_t n, const float *restrict from, float *restrict to)
{
    size_t i = 0;
    for (; i < n && (uintptr_t)(to + i) % sizeof(pd_tile_vector) != 0; i++)
        to[i] = from[i];
    for (; i + PD_TILE_WIDTH <= n; i += PD_TILE_WIDTH)
        pd_tile_store_far(to + i, *(const pd_tile_vector *)(from + i));
    for (; i < n; i++)
        to[i] = from[i];
}

static inline void pd_tile_finish_far(void)
{
#if defined(__AVX512F__)
    __builtin_ia32_sfence();
#endif
}

/* The steps of a sum: three nested loops, the last one innermost, over the left factor. */
typedef struct pd_tile_walk {
    int count[3];
    ptrdiff_t step[3]; /* in floats */
    /* What memory is asked for meanwhile, a vector per step, since it is wanted next; NULL: nothing
     * besides the panel. */
    const float *ahead;
} pd_tile_walk;

/* What to ask memory for during tile number `tile` of those that read one panel: a part of the
 * panel that is read next, of [steps] rows of `vectors` vectors; NULL when it is all asked for. */
static inline const float *pd_tile_ahead(const float *next, int steps, int vectors, int tile)
{
    return tile < vectors ? next + (size_t)tile * (size_t)steps * PD_TILE_WIDTH : NULL;
}

/* The right factor [steps][columns] is cut into panels of pd_tile_panel_vectors(columns) vectors;
 * the last panel has what is left, its last vector filled up with zeros. */
int pd_tile_panel_vectors(int columns);

/* The width of all panels together: columns rounded up to whole vectors. */
static inline int pd_tile_padded(int columns)
{
    return (columns + PD_TILE_WIDTH - 1) / PD_TILE_WIDTH * PD_TILE_WIDTH;
}

/* The most rows of a tile of that many vectors. */
int pd_tile_max_rows(int vectors);

/* out[r][j] = sum over steps t, in order, of a[r * row_step + walk(t)] * panel[t][j], for r < rows
 * and j < vectors * PD_TILE_WIDTH; all arrays but `a` are dense. row_step or walk->step[2] is 1.
 * rows is 1 to pd_tile_max_rows(vectors). */
void pd_tile_multiply(int rows, int vectors, const float *a, ptrdiff_t row_step,
                      const pd_tile_walk *walk, const float *panel, float *out);

/* Copies source[steps][columns], whose rows lie `stride` >= columns floats apart, to
 * panel[steps][width], filled up with zeros. width is columns rounded up to whole vectors. */
void pd_tile_pack(int steps, int columns, int width, const float *source, size_t stride,
                  float *panel);

#endif
