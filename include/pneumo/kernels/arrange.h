/* Copies that arrange images anew: padding with zeros, and channels of two images side by side.
 * Outputs are overwritten and must not overlap the inputs. */
#ifndef PNEUMO_KERNELS_ARRANGE_H
#define PNEUMO_KERNELS_ARRANGE_H

#include <stddef.h>

/* An image [h][w][c] inside a larger one, [top + h + bottom][left + w + right][c]. */
typedef struct pd_frame {
    int h, w, c;
    int top, bottom, left, right;
} pd_frame;

/* x [samples][h][w][c] -> y, the larger images, with zeros around x. */
void pd_frame_pad(const pd_frame *frame, int samples, const float *x, float *y, int threads);

/* dy, the larger images -> dx [samples][h][w][c]: what lies inside the frame. */
void pd_frame_crop(const pd_frame *frame, int samples, const float *dy, float *dx, int threads);

/* a [pixels][c], b [pixels][d] -> y [pixels][c + d]. */
void pd_channels_join(size_t pixels, const float *a, int c, const float *b, int d, float *y,
                      int threads);

/* dy [pixels][c + d] -> da [pixels][c], db [pixels][d]; each may be NULL. */
void pd_channels_split(size_t pixels, const float *dy, float *da, int c, float *db, int d,
                       int threads);

#endif
