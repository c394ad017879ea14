/* A matrix product by plain loops. */
#ifndef PNEUMO_KERNELS_BLAS_INTERNAL_H
#define PNEUMO_KERNELS_BLAS_INTERNAL_H

#include "pneumo/kernels/blas.h"

/* What pd_gemm is tested against. */
void pd_gemm_reference(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha,
                       const float *a, int lda, const float *b, int ldb, float beta, float *c,
                       int ldc);

#endif
