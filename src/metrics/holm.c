#include "pneumo/metrics/holm.h"

#include <math.h>
#include <stdlib.h>

static int compare_p(const void *a, const void *b)
{
    double left = **(double *const *)a, right = **(double *const *)b;
    return (left > right) - (left < right);
}

/* The i-th lowest of m is multiplied by m - i, and none falls below one before it. */
void pd_holm_adjust(double *p, int count)
{
    double *order[PD_HOLM_MAX], floor = 0;
    for (int i = 0; i < count; i++)
        order[i] = &p[i];
    qsort(order, (size_t)count, sizeof *order, compare_p);
    for (int i = 0; i < count; i++) {
        floor = fmin(1, fmax(floor, (count - i) * *order[i]));
        *order[i] = floor;
    }
}
