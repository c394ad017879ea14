/* Integer arithmetic. */
#ifndef PNEUMO_BASE_INTEGER_H
#define PNEUMO_BASE_INTEGER_H

#include <stddef.h>

/* The greatest common divisor of a and b, both at least 0. */
static inline int pd_greatest_common_divisor(int a, int b)
{
    while (b != 0) {
        int remainder = a % b;
        a = b;
        b = remainder;
    }
    return a;
}

/* The largest divisor of `number` that is at most `limit`, 1 <= limit <= number. */
static inline int pd_largest_divisor(int number, int limit)
{
    while (number % limit != 0)
        limit--;
    return limit;
}

/* Where slice `index` begins if [0, count) is cut into `slices` contiguous slices whose lengths differ
 * by at most 1; `count` for index == slices. */
static inline size_t pd_slice_begin(size_t count, size_t index, size_t slices)
{
    return count * index / slices;
}

#endif
