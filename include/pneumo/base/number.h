/* Small arithmetic on numbers. */
#ifndef PNEUMO_BASE_NUMBER_H
#define PNEUMO_BASE_NUMBER_H

#include <stdint.h>

static inline int pd_min_int(int a, int b)
{
    return a < b ? a : b;
}

static inline int pd_max_int(int a, int b)
{
    return a > b ? a : b;
}

/* a / b rounded up; both positive. */
static inline int pd_divide_up(int a, int b)
{
    return (a + b - 1) / b;
}

/* The greatest common divisor of a and b, which must not be negative. */
static inline int pd_gcd(int a, int b)
{
    while (b != 0) {
        int remainder = a % b;
        a = b;
        b = remainder;
    }
    return a;
}

/* The largest divisor of `number` that is at most `limit`; 1 <= limit <= number. */
static inline int pd_largest_divisor(int number, int limit)
{
    while (number % limit != 0)
        limit--;
    return limit;
}

/* The first unit of slice `slice` if `count` units are cut into `slices` contiguous slices whose
 * sizes differ by at most one; `count` for slice == slices. */
static inline int64_t pd_slice_first(int64_t count, int64_t slice, int64_t slices)
{
    return count * slice / slices;
}

/* For qsort: ascending doubles, none of them NaN. */
static inline int pd_compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* For qsort: ascending numbers of type int64_t. */
static inline int pd_compare_int64(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

#endif
