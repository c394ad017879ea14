#include "peaks.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/kernels/blas.h"

#include <stdlib.h>

double pd_peaks_gflops(int side, int threads)
{
    enum { WARM = 2 };
    const double least = 0.2;
    const size_t floats = (size_t)side * (size_t)side;
    float *all = NULL;
    double start = 0, seconds = 0;
    int rounds = 0;
    if (pd_alloc(&all, (size_t)threads * 3 * floats, sizeof *all) != PD_OK)
        return 0;
    while (seconds < least) {
        if (rounds == WARM)
            start = pd_clock_now();
#pragma omp parallel for num_threads(threads) schedule(static, 1)
        for (int i = 0; i < threads; i++) {
            float *a = all + (size_t)i * 3 * floats, *b = a + floats, *c = b + floats;
            pd_gemm(false, false, side, side, side, 1, a, side, b, side, 0, c, side);
        }
        rounds++;
        seconds = rounds > WARM ? pd_clock_now() - start : 0;
    }
    free(all);
    return 2e-9 * (double)floats * side * threads * (rounds - WARM) / seconds;
}

double pd_peaks_gbytes(int threads)
{
    enum { ROUNDS = 8, ARRAYS = 3 };
    const size_t count = ((size_t)PD_PEAKS_MIB << 20) / ARRAYS / sizeof(float);
    float *all = NULL;
    double best = 0;
    if (pd_alloc(&all, ARRAYS * count, sizeof *all) != PD_OK)
        return 0;
    float *a = all, *b = a + count, *c = b + count;
    /* Each thread maps the pages that it will use: what was never written takes no memory. */
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < count; i++)
        a[i] = b[i] = c[i] = 1;
    for (int round = 0; round < ROUNDS; round++) {
        double start = pd_clock_now();
#pragma omp parallel for num_threads(threads) schedule(static)
        for (size_t i = 0; i < count; i++)
            a[i] = b[i] + 0.5f * c[i];
        double rate = 1e-9 * ARRAYS * sizeof(float) * (double)count / (pd_clock_now() - start);
        best = rate > best ? rate : best;
    }
    free(all);
    return best;
}
