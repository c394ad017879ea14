#include "pneumo/kernels/precision.h"

const char *const pd_precision_names[PD_PRECISIONS] = {"float32", "bf16"};

void pd_precision_widen(size_t n, const pd_bf16 *x, float *y, int threads)
{
#pragma omp parallel for simd schedule(static) num_threads(threads)
    for (size_t i = 0; i < n; i++)
        y[i] = pd_bf16_widen(x[i]);
}

void pd_precision_round(size_t n, const float *x, pd_bf16 *y, int threads)
{
#pragma omp parallel for simd schedule(static) num_threads(threads)
    for (size_t i = 0; i < n; i++)
        y[i] = pd_bf16_round(x[i]);
}
