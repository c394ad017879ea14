#include "shape_auc.h"

#include <stdlib.h>

static int compare_values(const void *a, const void *b)
{
    double left = ((const pd_measured *)a)->value, right = ((const pd_measured *)b)->value;
    return (left > right) - (left < right);
}

double pd_shape_auc(pd_measured *items, size_t count)
{
    double wins_twice = 0, sums[PD_LABELS] = {0};
    qsort(items, count, sizeof *items, compare_values);
    for (size_t start = 0, end = 0; start < count; start = end) {
        double run[PD_LABELS] = {0};
        for (; end < count && items[end].value == items[start].value; end++)
            run[items[end].label] += items[end].weight;
        wins_twice += run[PD_PNEUMONIA] * (2 * sums[PD_NORMAL] + run[PD_NORMAL]);
        for (int label = 0; label < PD_LABELS; label++)
            sums[label] += run[label];
    }
    return wins_twice / (2 * sums[PD_NORMAL] * sums[PD_PNEUMONIA]);
}
