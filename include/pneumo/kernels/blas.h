/* Matrix products, and the choice of OpenBLAS' kernels. OpenBLAS is always called single-threaded,
 * and only from here. */
#ifndef PNEUMO_KERNELS_BLAS_H
#define PNEUMO_KERNELS_BLAS_H

#include <stdbool.h>

/* Call this first in main, with main's argv. If OpenBLAS chose kernels for an old processor
 * although this one has AVX-512 or AVX2 with FMA, sets OPENBLAS_CORETYPE and re-executes the
 * program (same process id, same arguments), in which case it does not return. If the user has set
 * OPENBLAS_CORETYPE, does not. If the program cannot be re-executed, it continues, slower. Also
 * limits a build of OpenBLAS with POSIX threads to one thread.
 *
 * OpenBLAS chooses its kernels by the processor's model number when it is loaded, and a version
 * older than the processor does not recognise that number. Debian 12's 0.3.21 takes recent
 * processors for a Prescott of 2004 and computes ten times slower. Only the environment, before the
 * library is loaded, changes the choice. */
void pd_blas_prepare(char **argv);

/* The OPENBLAS_CORETYPE for the newest instructions that this processor has, AVX-512 or AVX2; NULL
 * if it has neither. Processors with the same one can compute the same bits. */
const char *pd_blas_possible_core(void);

/* The same if OpenBLAS chose kernels for an old processor; NULL if its choice is as good. */
const char *pd_blas_better_core(void);

/* The processor whose kernels OpenBLAS uses ("SkylakeX"), and its version and build options. */
const char *pd_blas_core(void);
const char *pd_blas_version(void);

/* c[m][n] = alpha * op(a)[m][k] op(b)[k][n] + beta * c, row-major. op(a) is a[m][lda] or, with
 * transpose_a, the transpose of a[k][lda]; likewise b. With beta = 0, c is not read. m, n or k may
 * be 0. Single-threaded: call it from an OpenMP loop to use several cores. The bits of a row of c
 * may depend on m, so callers cut their rows into blocks of fixed size. The arguments are those of
 * BLAS' sgemm, and in its order. */
void pd_gemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a,
             int lda, const float *b, int ldb, float beta, float *c, int ldc);

#endif
