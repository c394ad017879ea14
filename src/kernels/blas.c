#include "blas_internal.h"

#include "pneumo/base/host.h"

#include <cblas.h>
#include <limits.h>
#include <omp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

/* Set in the environment after a restart, so that an unsuccessful one is not repeated. */
static const char *const restarted = "PNEUMO_BLAS_RESTARTED";

/* For an OpenBLAS with threads of its own; see pd_gemm for one that uses OpenMP. Runs when the
 * program is loaded, so that tests and benchmarks need no call. */
__attribute__((constructor)) static void blas_use_one_thread(void)
{
    openblas_set_num_threads(1);
}

const char *pd_blas_possible_core(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return "SKYLAKEX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "HASWELL";
#endif
    return NULL;
}

const char *pd_blas_better_core(void)
{
    static const char *const old[] = {"Generic",       "Katmai",    "Coppermine", "Northwood",
                                      "Prescott",      "Banias",    "Core2",      "Penryn",
                                      "Dunnington",    "Nehalem",   "Athlon",     "Opteron",
                                      "Opteron(SSE3)", "Barcelona", "Atom",       "Unknown"};
    const char *core = openblas_get_corename();
    bool is_old = false;
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        is_old = is_old || strcasecmp(core, old[i]) == 0;
    return is_old ? pd_blas_possible_core() : NULL;
}

void pd_blas_prepare(char **argv)
{
    /* A build with threads of its own splits each product among all cores, in every thread. */
    if (openblas_get_parallel() == OPENBLAS_THREAD)
        openblas_set_num_threads(1);
    const char *core = pd_blas_better_core();
    if (core != NULL && getenv("OPENBLAS_CORETYPE") == NULL && getenv(restarted) == NULL) {
        setenv("OPENBLAS_CORETYPE", core, 1);
        setenv(restarted, "1", 1);
        /* The program's own path, so that process lists show its name. */
        char program[PATH_MAX];
        cpu_set_t cores;
        /* OpenMP has bound this thread already, and the new program inherits that. */
        pd_host_cores(&cores);
        sched_setaffinity(0, sizeof cores, &cores);
        ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
        if (length > 0) {
            program[length] = '\0';
            execv(program, argv);
        }
        /* execv failed. The old kernels give correct results, too. */
        unsetenv("OPENBLAS_CORETYPE");
    }
    unsetenv(restarted);
}

const char *pd_blas_core(void)
{
    return openblas_get_corename();
}

const char *pd_blas_version(void)
{
    return openblas_get_config();
}

void pd_gemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a,
             int lda, const float *b, int ldb, float beta, float *c, int ldc)
{
    /* Outside a region of several threads, an OpenBLAS that uses OpenMP splits the product among
     * omp_get_max_threads() threads, which wait for each other. If OpenMP starts fewer (because of
     * OMP_THREAD_LIMIT, or of OMP_DYNAMIC on a busy host), they wait for ever. */
    int threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    if (threads > 1)
        omp_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c,
                ldc);
    if (threads > 1)
        omp_set_num_threads(threads);
}

void pd_gemm_reference(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha,
                       const float *a, int lda, const float *b, int ldb, float beta, float *c,
                       int ldc)
{
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int l = 0; l < k; l++) {
                float left = transpose_a ? a[(ptrdiff_t)l * lda + i] : a[(ptrdiff_t)i * lda + l];
                float right = transpose_b ? b[(ptrdiff_t)j * ldb + l] : b[(ptrdiff_t)l * ldb + j];
                sum += (double)left * right;
            }
            float *out = &c[(ptrdiff_t)i * ldc + j];
            *out = (float)(alpha * sum + (beta == 0 ? 0 : (double)beta * *out));
        }
    }
}
