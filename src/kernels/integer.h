/* Integer arithmetic of the kernels. */
#ifndef PNEUMO_KERNELS_INTEGER_H
#define PNEUMO_KERNELS_INTEGER_H

static inline int pd_min_int(int a, int b)
{
    return a < b ? a : b;
}

static inline int pd_max_int(int a, int b)
{
    return a > b ? a : b;
}

/* a / b, rounded up; both positive. */
static inline int pd_divide_up(int a, int b)
{
    return (a + b - 1) / b;
}

/* The greatest common divisor; a and b not negative. */
static inline int pd_gcd(int a, int b)
{
    while (b != 0) {
        int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* `count` units are cut into `slices` slices whose sizes differ by at most one: the first unit of
 * slice `slice`; `count` if slice == slices. */
static inline int pd_slice_first(int count, int slice, int slices)
{
    return (int)((long long)slice * count / slices);
}

#endif
