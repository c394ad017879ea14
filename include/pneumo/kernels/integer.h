/* Small integer arithmetic of the kernels. */
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

#endif
