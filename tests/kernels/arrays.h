/* Arrays for the tests of the kernels. Include cmocka.h first. */
#ifndef PNEUMO_TESTS_KERNELS_ARRAYS_H
#define PNEUMO_TESTS_KERNELS_ARRAYS_H

#include "pneumo/base/random.h"

#include <math.h>
#include <stdlib.h>

/* Numbers in [-spread, spread), allocated without slack, so that a sanitizer detects reads past the
 * end. The caller frees them. */
static inline float *make_array(size_t count, uint64_t seed, float spread)
{
    float *array = malloc(count > 0 ? count * sizeof *array : 1);
    assert_non_null(array);
    pd_random random = pd_random_stream(seed, PD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < count; i++)
        array[i] = pd_random_between(&random, -1, 1) * spread;
    return array;
}

/* An array of NaN, to detect elements that are not written, and one more that must not be written.
 * The caller frees it. */
static inline float *make_result(size_t count)
{
    float *array = malloc((count + 1) * sizeof *array);
    assert_non_null(array);
    for (size_t i = 0; i <= count; i++)
        array[i] = NAN;
    return array;
}

/* Zeros; the caller frees them. */
static inline void *make_zeros(size_t count, size_t size)
{
    void *array = calloc(count, size);
    assert_non_null(array);
    return array;
}

#endif
