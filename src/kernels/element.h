/* Elements of arrays of either precision. The precision is a constant where speed counts: callers
 * are inlined once for each. */
#ifndef PNEUMO_KERNELS_ELEMENT_H
#define PNEUMO_KERNELS_ELEMENT_H

#include "pneumo/kernels/precision.h"
#include "vector.h"

/* Executes the statement with a `precision` that the compiler knows. */
#define PD_WITH_PRECISION(of, ...)                                                                 \
    do {                                                                                           \
        if ((of) == PD_BF16) {                                                                     \
            const pd_precision precision = PD_BF16;                                                \
            __VA_ARGS__;                                                                           \
        } else {                                                                                   \
            const pd_precision precision = PD_FLOAT32;                                             \
            __VA_ARGS__;                                                                           \
        }                                                                                          \
    } while (0)

PD_INLINE float pd_element_load(pd_precision precision, const void *array, size_t index)
{
    return precision == PD_BF16 ? pd_bf16_widen(((const pd_bf16 *)array)[index])
                                : ((const float *)array)[index];
}

PD_INLINE void pd_element_store(pd_precision precision, void *array, size_t index, float value)
{
    if (precision == PD_BF16)
        ((pd_bf16 *)array)[index] = pd_bf16_round(value);
    else
        ((float *)array)[index] = value;
}

/* As many bfloat16 as a vector has floats, and their bits in the lower half of 32. */
typedef uint16_t pd_vector_bf16 __attribute__((vector_size(sizeof(uint16_t) * PD_VECTOR_WIDTH),
                                               aligned(sizeof(uint16_t)), may_alias));
typedef uint32_t pd_vector_bits __attribute__((vector_size(sizeof(uint32_t) * PD_VECTOR_WIDTH)));

PD_INLINE pd_vector pd_vector_widen(pd_vector_bf16 values)
{
    return (pd_vector)(__builtin_convertvector(values, pd_vector_bits) << 16);
}

/* As pd_bf16_round. */
PD_INLINE pd_vector_bf16 pd_vector_round(pd_vector values)
{
    pd_vector_bits bits = (pd_vector_bits)values;
    pd_vector_bits rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    pd_vector_bits nan = (pd_vector_bits)(values != values); /* NOLINT(misc-redundant-expression) */
    rounded = (nan & (bits >> 16 | 0x40)) | (~nan & rounded);
    return __builtin_convertvector(rounded, pd_vector_bf16);
}

/* The vector that starts at element `index`. */
PD_INLINE pd_vector pd_vector_load(pd_precision precision, const void *array, ptrdiff_t index)
{
    return precision == PD_BF16
               ? pd_vector_widen(*(const pd_vector_bf16 *)((const pd_bf16 *)array + index))
               : *(const pd_vector *)((const float *)array + index);
}

PD_INLINE void pd_vector_store(pd_precision precision, void *array, ptrdiff_t index,
                               pd_vector values)
{
    if (precision == PD_BF16)
        *(pd_vector_bf16 *)((pd_bf16 *)array + index) = pd_vector_round(values);
    else
        *(pd_vector *)((float *)array + index) = values;
}

/* Stores n floats, from `from`, with nontemporal stores, whatever the alignment of both arrays. */
PD_INLINE void pd_elements_copy_nontemporal(pd_precision precision, size_t n,
                                            const float *restrict from, void *restrict to)
{
    enum { LINE = sizeof(pd_vector) };
    const size_t size = pd_precision_bytes(precision), per_line = LINE / size;
    size_t i = 0;
    for (; i < n && ((uintptr_t)to + i * size) % LINE != 0; i++)
        pd_element_store(precision, to, i, from[i]);
    for (; i + per_line <= n; i += per_line) {
        _Alignas(LINE) unsigned char line[LINE];
        for (size_t j = 0; j < per_line; j += PD_VECTOR_WIDTH)
            pd_vector_store(precision, line, (ptrdiff_t)j, *(const pd_vector *)(from + i + j));
        pd_vector_store_nontemporal(pd_precision_at(precision, to, i), *(const pd_vector *)line);
    }
    for (; i < n; i++)
        pd_element_store(precision, to, i, from[i]);
}

#endif
