/* Matrix products. This room's only door to OpenBLAS, which is always called single-threaded. */
#ifndef PNEUMO_KERNELS_BLAS_H
#define PNEUMO_KERNELS_BLAS_H

#include <stdbool.h>

/* Call it first thing in main, with main's argv. If OpenBLAS fell back to kernels for an old
 * processor although this one has AVX-512 or AVX2 with FMA, sets OPENBLAS_CORETYPE and starts the
 * program again (same process id, same arguments); it then does not return. An OPENBLAS_CORETYPE
 * that the user has set is left alone, and if the program cannot be started again it goes on,
 * slower.
 *
 * Why: OpenBLAS chooses its kernels by the processor's model number when it is loaded, and a
 * version older than the processor does not know that number. Debian 12's 0.3.21 takes recent
 * processors for a Prescott of 2004 and computes ten times slower. The choice can be changed only
 * by the environment, before the library is loaded. */
void pd_blas_prepare(char **argv);

/* The OPENBLAS_CORETYPE for the newest instructions that this processor has, AVX-512 or AVX2; NULL
 * if it has neither. Processors that share one can compute the same bits. */
const char *pd_blas_possible_core(void);

/* The same where OpenBLAS' own choice is for an old processor; NULL when it is as good. */
const char *pd_blas_better_core(void);

/* The processor whose kernels OpenBLAS uses ("SkylakeX"), and its version and build options. */
const char *pd_blas_core(void);
const char *pd_blas_version(void);

/* c[m][n] = alpha * op(a)[m][k] op(b)[k][n] + beta * c, row-major. op(a) is a[m][lda] or, with
 * transpose_a, the transpose of a[k][lda]; likewise b. With beta = 0, c is not read. m, n or k may
 * be 0. Single-threaded: call it from an OpenMP loop to use several cores. The bits of a row of c
 * may depend on m, so callers cut their rows into blocks of fixed size. */
void pd_gemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a,
             int lda, const float *b, int ldb, float beta, float *c, int ldc);

#endif
