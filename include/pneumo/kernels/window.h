/* The geometry of a sliding window: shared by convolution and pooling. */
#ifndef PNEUMO_KERNELS_WINDOW_H
#define PNEUMO_KERNELS_WINDOW_H

#include <stdbool.h>

/* One sample is [h][w][c]; the window has out_h x out_w positions. Position (oy, ox) covers the
 * rows oy * stride - pad_top + [0, kernel_h) and the columns ox * stride - pad_left + [0,
 * kernel_w); what lies outside the sample is padding. */
typedef struct pd_window {
    int h, w, c;
    int out_h, out_w;
    int kernel_h, kernel_w;
    int stride;
    int pad_top, pad_left;
} pd_window;

/* Padding as in TensorFlow and Keras. With `same`, out_h = ceil(h / stride) and an odd
 * row or column of padding goes to the bottom or right. Without (VALID) there is no padding, and
 * out_h or out_w is 0 when the sample is smaller than the window. All sizes and the stride are at
 * least 1.
 */
pd_window pd_window_make(int h, int w, int c, int kernel_h, int kernel_w, int stride, bool same);

#endif
