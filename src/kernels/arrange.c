#include "pneumo/kernels/arrange.h"

#include <string.h>

void pd_frame_pad(const pd_frame *frame, int samples, const float *x, float *y, int threads)
{
    const pd_frame f = *frame;
    const int rows = f.top + f.h + f.bottom;
    const size_t left = (size_t)f.left * f.c, inner = (size_t)f.w * f.c;
    const size_t right = (size_t)f.right * f.c, width = left + inner + right;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int row = 0; row < rows; row++) {
            float *to = y + ((size_t)n * rows + row) * width;
            if (row < f.top || row >= f.top + f.h) {
                memset(to, 0, width * sizeof *to);
                continue;
            }
            const float *from = x + ((size_t)n * f.h + (row - f.top)) * inner;
            memset(to, 0, left * sizeof *to);
            memcpy(to + left, from, inner * sizeof *to);
            memset(to + left + inner, 0, right * sizeof *to);
        }
    }
}

void pd_frame_crop(const pd_frame *frame, int samples, const float *dy, float *dx, int threads)
{
    const pd_frame f = *frame;
    const int rows = f.top + f.h + f.bottom;
    const size_t inner = (size_t)f.w * f.c, width = (size_t)(f.left + f.w + f.right) * f.c;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int row = 0; row < f.h; row++)
            memcpy(dx + ((size_t)n * f.h + row) * inner,
                   dy + ((size_t)n * rows + f.top + row) * width + (size_t)f.left * f.c,
                   inner * sizeof *dx);
    }
}

void pd_channels_join(size_t pixels, const float *a, int c, const float *b, int d, float *y,
                      int threads)
{
    const size_t first = (size_t)c, second = (size_t)d, both = first + second;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t i = 0; i < pixels; i++) {
        memcpy(y + i * both, a + i * first, first * sizeof *y);
        memcpy(y + i * both + first, b + i * second, second * sizeof *y);
    }
}

void pd_channels_split(size_t pixels, const float *dy, float *da, int c, float *db, int d,
                       int threads)
{
    const size_t first = (size_t)c, second = (size_t)d, both = first + second;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t i = 0; i < pixels; i++) {
        if (da != NULL)
            memcpy(da + i * first, dy + i * both, first * sizeof *dy);
        if (db != NULL)
            memcpy(db + i * second, dy + i * both + first, second * sizeof *dy);
    }
}
