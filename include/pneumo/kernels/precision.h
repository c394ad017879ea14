/* How the elements of activations and of their gradients are stored: as floats, or in bfloat16, the
 * upper half of a float (1 sign bit, 8 exponent bits, 7 stored bits of the significand).
 *
 * Kernels that take arrays as `void` state the precision of their elements in the shape or in an
 * argument. They compute in float and round what they store to nearest, ties to even; products with
 * AVX512_BF16 also take their kernel in bfloat16 (src/kernels/pairs.h). */
#ifndef PNEUMO_KERNELS_PRECISION_H
#define PNEUMO_KERNELS_PRECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum pd_precision { PD_FLOAT32 = 0, PD_BF16 = 1 } pd_precision;

enum { PD_PRECISIONS = 2 };

/* "float32", "bf16". */
extern const char *const pd_precision_names[PD_PRECISIONS];

typedef uint16_t pd_bf16;

/* Bytes of an element. */
static inline size_t pd_precision_bytes(pd_precision precision)
{
    return precision == PD_BF16 ? sizeof(pd_bf16) : sizeof(float);
}

/* Element `index` of an array of that precision; NULL of NULL. */
static inline void *pd_precision_at(pd_precision precision, const void *array, size_t index)
{
    return array == NULL ? NULL : (char *)array + index * pd_precision_bytes(precision);
}

static inline float pd_bf16_widen(pd_bf16 value)
{
    uint32_t bits = (uint32_t)value << 16;
    float widened;
    memcpy(&widened, &bits, sizeof widened);
    return widened;
}

/* Rounds to nearest, ties to even; what is too large becomes infinite, NaN stays NaN. */
static inline pd_bf16 pd_bf16_round(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    uint32_t quiet = bits >> 16 | 0x40;
    return (pd_bf16)((bits & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded);
}

/* x -> y of the other precision. */
void pd_precision_widen(size_t n, const pd_bf16 *x, float *y, int threads);
void pd_precision_round(size_t n, const float *x, pd_bf16 *y, int threads);

/* Whether the processor multiplies pairs of bfloat16 and adds the products to a float in one
 * instruction (AVX512_BF16), and the kernels use it. */
bool pd_precision_has_dot(void);

#endif
