/* Arrays that the kernels' tests calculate with. Include cmocka.h before. */
#ifndef PNEUMO_TESTS_KERNELS_ARRAYS_H
#define PNEUMO_TESTS_KERNELS_ARRAYS_H

#include "pneumo/base/random.h"

#include <math.h>
#include <stdlib.h>

/* Numbers in [-spread, spread), and nothing behind them, so that a sanitizer sees who reads on; the
 * caller frees them. */
static inline float *make_array(size_t count, uint64_t seed, float spread)
{
    float *array = malloc(count > 0 ? count * sizeof *array : 1);
    assert_non_null(array);
    pd_random random = pd_random_stream(seed, PD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < count; i++)
        array[i] = pd_random_between(&random, -1, 1) * spread;
    return array;
}

/* Results start as NaN, so that an element that is not written shows; so does the one behind them,
 * which must stay. */
static inline float *make_result(size_t count)
{
    float *array = malloc((count + 1) * sizeof *array);
    assert_non_null(array);
    for (size_t i = 0; i <= count; i++)
        array[i] = NAN;
    return array;
}

#endif
