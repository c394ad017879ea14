/* The peaks of this machine, as this rank measures them with all its threads. */
#ifndef PNEUMO_CLI_PEAKS_H
#define PNEUMO_CLI_PEAKS_H

/* The side of large matrices, and the size of the triad's three arrays together, which exceeds the
 * caches. */
enum { PD_PEAKS_SIDE = 1024, PD_PEAKS_MIB = 192 };

/* GFLOP/s of products of square matrices of `side`, one per thread at a time. Takes about a fifth
 * of a second, or a few products if these take longer. 0: not enough memory. */
double pd_peaks_gflops(int side, int threads);

/* GB/s of the triad a[i] = b[i] + s * c[i] (McCalpin's STREAM), 12 bytes for each i. The best of
 * several runs. 0: not enough memory. */
double pd_peaks_gbytes(int threads);

#endif
