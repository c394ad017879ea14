/* pd_gemm against plain loops, and the restart that chooses OpenBLAS' kernels. */
#include "kernels/blas_internal.h"
#include "pneumo/base/random.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PITCH = 70, ROWS = 70 };

static void fill(float *array, size_t count, uint64_t seed)
{
    pd_random random = pd_random_stream(seed, PD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < count; i++)
        array[i] = pd_random_between(&random, -1, 1);
}

static void matches_plain_loops(void **state)
{
    (void)state;
    static const int sizes[][3] = {{1, 1, 1}, {3, 5, 7}, {17, 1, 33}, {1, 64, 9}, {33, 48, 65}};
    static const float betas[] = {0, 1, -0.5f};
    static float a[ROWS * PITCH], b[ROWS * PITCH], c[ROWS * PITCH], expected[ROWS * PITCH];
    fill(a, ROWS * PITCH, 1);
    fill(b, ROWS * PITCH, 2);
    for (int i = 0; i < 5; i++) {
        for (int way = 0; way < 12; way++) {
            int m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
            bool left = way & 1, right = way & 2;
            float beta = betas[way / 4];
            fill(c, ROWS * PITCH, 3);
            if (beta == 0)
                c[0] = NAN;
            memcpy(expected, c, sizeof c);
            pd_gemm(left, right, m, n, k, 0.75f, a, PITCH, b, PITCH, beta, c, PITCH);
            pd_gemm_reference(left, right, m, n, k, 0.75f, a, PITCH, b, PITCH, beta, expected,
                              PITCH);
            for (int j = 0; j < ROWS * PITCH; j++)
                assert_float_equal(c[j], expected[j], 1e-5);
        }
    }
}

static void empty_products_work(void **state)
{
    (void)state;
    float a[4] = {1, 2, 3, 4}, c[4] = {5, 6, 7, 8};
    pd_gemm(false, false, 0, 2, 2, 1, a, 2, a, 2, 0, c, 2);
    assert_float_equal(c[0], 5, 0);
    pd_gemm(false, false, 2, 2, 0, 1, a, 2, a, 2, 0, c, 2);
    assert_float_equal(c[3], 0, 0);
}

static void core_is_not_for_an_old_processor(void **state)
{
    (void)state;
    assert_non_null(strstr(pd_blas_version(), "OpenBLAS"));
    assert_true(strlen(pd_blas_core()) > 0);
    assert_null(getenv("PNEUMO_BLAS_RESTARTED"));
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bw"))
        assert_string_not_equal(pd_blas_core(), "Prescott");
#endif
}

/* With several threads set but one allowed, an OpenBLAS that splits the product waits for ever. */
static void product_needs_no_second_thread(void **state)
{
    (void)state;
    enum { SIDE = 160 };
    static float a[SIDE * SIDE], b[SIDE * SIDE], alone[SIDE * SIDE], limited[SIDE * SIDE];
    int threads = omp_get_max_threads(), levels = omp_get_max_active_levels();
    fill(a, SIDE * SIDE, 4);
    fill(b, SIDE * SIDE, 5);
    omp_set_num_threads(1);
    pd_gemm(false, false, SIDE, SIDE, SIDE, 1, a, SIDE, b, SIDE, 0, alone, SIDE);
    omp_set_num_threads(4);
    omp_set_max_active_levels(0); /* every parallel region has one thread */
    alarm(60);
    pd_gemm(false, false, SIDE, SIDE, SIDE, 1, a, SIDE, b, SIDE, 0, limited, SIDE);
    alarm(0);
    assert_int_equal(omp_get_max_threads(), 4);
    omp_set_max_active_levels(levels);
    omp_set_num_threads(threads);
    assert_memory_equal(alone, limited, sizeof alone);
}

int main(int argc, char **argv)
{
    (void)argc;
    pd_blas_prepare(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_plain_loops),
        cmocka_unit_test(empty_products_work),
        cmocka_unit_test(product_needs_no_second_thread),
        cmocka_unit_test(core_is_not_for_an_old_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
