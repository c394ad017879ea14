/* Pooling of images, [samples][h][w][c], forward and backward.
 *
 * One thread computes each output element, forward or backward, in a fixed order, so the bits never
 * depend on the number of threads. Outputs are overwritten and must not overlap the inputs. Windows
 * may overlap; every window covers at least one element of the sample, as those of pd_window_make
 * do. */
#ifndef PNEUMO_KERNELS_POOL_H
#define PNEUMO_KERNELS_POOL_H

#include "pneumo/kernels/precision.h"
#include "pneumo/kernels/window.h"

#include <stdint.h>

/* The largest kernel_h * kernel_w of max pooling: an index into the window must fit into a byte. */
enum { PD_POOL_WINDOW_MAX = 256 };

/* y [samples][out_h][out_w][c] = the largest element of each window of x; padding never wins, and
 * NaN wins over all numbers. argmax (same shape as y; may be NULL) gets the index of that element
 * in the window, ky * kernel_w + kx; of equal elements, the first. */
void pd_pool_max(const pd_window *window, int samples, pd_precision stored, const void *x, void *y,
                 uint8_t *argmax, int threads);

/* dx [samples][h][w][c]: each dy is added to the element that argmax selects. */
void pd_pool_max_backward(const pd_window *window, int samples, pd_precision stored, const void *dy,
                          const uint8_t *argmax, void *dx, int threads);

/* y = the mean of each window of x over the elements inside the sample (padding is not counted, as
 * in Keras). */
void pd_pool_average(const pd_window *window, int samples, const float *x, float *y, int threads);

/* dx: each dy, divided by the number of elements that its window averages, is added to each of
 * them.
 */
void pd_pool_average_backward(const pd_window *window, int samples, const float *dy, float *dx,
                              int threads);

/* x [samples][pixels][c] -> y [samples][c]: the mean over the pixels, summed in double. */
void pd_pool_global(int samples, int64_t pixels, int c, pd_precision stored, const void *x, void *y,
                    int threads);

/* dy [samples][c] -> dx [samples][pixels][c]. */
void pd_pool_global_backward(int samples, int64_t pixels, int c, pd_precision stored,
                             const void *dy, void *dx, int threads);

/* x [samples][pixels][c] -> y [samples][c]: the largest over the pixels; NaN wins over all numbers.
 * argmax (same shape as y; may be NULL) gets its pixel; of equal ones, the first. */
void pd_pool_global_max(int samples, int64_t pixels, int c, const float *x, float *y,
                        int64_t *argmax, int threads);

/* dx [samples][pixels][c] = dy at argmax, else 0. */
void pd_pool_global_max_backward(int samples, int64_t pixels, int c, const float *dy,
                                 const int64_t *argmax, float *dx, int threads);

#endif
