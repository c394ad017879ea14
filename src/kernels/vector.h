/* Vectors of floats, as wide as the instruction set allows, and nontemporal stores of them. */
#ifndef PNEUMO_KERNELS_VECTOR_H
#define PNEUMO_KERNELS_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

/* For functions that become fast only when their constant arguments are known to the compiler. */
#define PD_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
enum { PD_VECTOR_WIDTH = 16 };
#elif defined(__AVX__)
enum { PD_VECTOR_WIDTH = 8 };
#else
enum { PD_VECTOR_WIDTH = 4 };
#endif

/* A vector in memory, aligned like a float: buffers need no greater alignment. */
typedef float pd_vector __attribute__((vector_size(sizeof(float) * PD_VECTOR_WIDTH),
                                       aligned(sizeof(float)), may_alias));

/* The result of comparing two vectors: -1 where the comparison holds, else 0. */
typedef int pd_vector_mask __attribute__((vector_size(sizeof(int) * PD_VECTOR_WIDTH)));

/* The values of `a` and `b`, in a row, that `places` names. */
PD_INLINE pd_vector pd_vector_shuffle(pd_vector a, pd_vector b, pd_vector_mask places)
{
#if defined(__clang__)
    /* It has a shuffle by constants only. */
    pd_vector out;
    for (int i = 0; i < PD_VECTOR_WIDTH; i++)
        out[i] = places[i] < PD_VECTOR_WIDTH ? a[places[i]] : b[places[i] - PD_VECTOR_WIDTH];
    return out;
#else
    return __builtin_shuffle(a, b, places);
#endif
}

/* The values where the mask is set, 0 elsewhere. */
PD_INLINE pd_vector pd_vector_select(pd_vector_mask mask, pd_vector values)
{
    return (pd_vector)((pd_vector_mask)values & mask);
}

/* Whether to write `bytes` of results, in rows of `row` bytes starting at `to`, with nontemporal
 * stores: rows must be whole cache lines, which vectors fill, and the results must be too large for
 * the second-level cache. */
static inline bool pd_vector_use_nontemporal(const void *to, size_t row, size_t bytes)
{
    enum { LINE = 64, CACHE = 2 << 20 };
    return sizeof(pd_vector) == LINE && (uintptr_t)to % LINE == 0 && row % LINE == 0 &&
           bytes > CACHE;
}

/* Stores a vector without reading its cache line first; `to` is aligned to the vector. Call
 * pd_vector_fence before another thread reads it. A plain store without AVX-512. */
static inline void pd_vector_store_nontemporal(void *to, pd_vector values)
{
#if defined(__AVX512F__)
    _mm512_stream_ps(to, (__m512)values);
#else
    *(pd_vector *)to = values;
#endif
}

/* Orders this thread's nontemporal stores before its later stores. */
static inline void pd_vector_fence(void)
{
#if defined(__AVX512F__)
    _mm_sfence();
#endif
}

#endif
