#include "pneumo/kernels/pool.h"

#include "element.h"

#include <math.h>
#include <string.h>

/* Channels are taken in chunks of `width`, which stay in vector registers. The last chunk is moved
 * back to end at c; the channels that it shares with the chunk before are computed twice, to
 * the same values. */
enum { WIDTH_MAX = 16 };

/* Executes `call` with a `width` of at most c, which the compiler knows, except for images of few
 * channels. */
#define WITH_WIDTH(c, call)                                                                        \
    do {                                                                                           \
        if ((c) >= WIDTH_MAX) {                                                                    \
            enum { width = WIDTH_MAX };                                                            \
            call;                                                                                  \
        } else if ((c) >= WIDTH_MAX / 2) {                                                         \
            enum { width = WIDTH_MAX / 2 };                                                        \
            call;                                                                                  \
        } else {                                                                                   \
            const int width = (c);                                                                 \
            call;                                                                                  \
        }                                                                                          \
    } while (0)

PD_INLINE int chunk_start(int channel, int width, int c)
{
    return channel + width <= c ? channel : c - width;
}

/* Half-open range of rows, columns or window positions. */
typedef struct span {
    int first, end;
} span;

/* The elements along one axis that the window at `position` covers, without padding. */
static inline span elements_of(int position, int stride, int pad, int kernel, int size)
{
    int start = position * stride - pad;
    return (span){start > 0 ? start : 0, start + kernel < size ? start + kernel : size};
}

/* The window positions along one axis that cover `element`. */
static inline span positions_of(int element, int stride, int pad, int kernel, int positions)
{
    int start = element + pad - kernel + stride; /* of the first position, before rounding */
    int end = (element + pad) / stride + 1;
    return (span){start > 0 ? start / stride : 0, end < positions ? end : positions};
}

/* One row of outputs of one sample: x [h][w][c], y and argmax [out_w][c]. */
PD_INLINE void max_row(pd_precision precision, const pd_window *g, int oy, const void *x, void *y,
                       uint8_t *argmax, int width)
{
    int top = oy * g->stride - g->pad_top;
    span rows = elements_of(oy, g->stride, g->pad_top, g->kernel_h, g->h);
    for (int ox = 0; ox < g->out_w; ox++) {
        int left = ox * g->stride - g->pad_left;
        span cols = elements_of(ox, g->stride, g->pad_left, g->kernel_w, g->w);
        for (int channel = 0; channel < g->c; channel += width) {
            int j = chunk_start(channel, width, g->c);
            float best[WIDTH_MAX];
            int32_t index[WIDTH_MAX];
            int first = (rows.first - top) * g->kernel_w + cols.first - left;
#pragma omp simd
            for (int i = 0; i < width; i++) {
                best[i] = -INFINITY;
                index[i] = first;
            }
            for (int iy = rows.first; iy < rows.end; iy++) {
                for (int ix = cols.first; ix < cols.end; ix++) {
                    size_t pixel = ((size_t)iy * g->w + ix) * g->c + j;
                    int32_t here = (iy - top) * g->kernel_w + ix - left;
#pragma omp simd
                    for (int i = 0; i < width; i++) {
                        float value = pd_element_load(precision, x, pixel + i);
                        bool better = (value > best[i]) | (value != value);
                        best[i] = better ? value : best[i];
                        index[i] = better ? here : index[i];
                    }
                }
            }
            size_t out = (size_t)ox * g->c + j;
#pragma omp simd
            for (int i = 0; i < width; i++)
                pd_element_store(precision, y, out + i, best[i]);
            if (argmax != NULL) {
                uint8_t *out_index = argmax + out;
#pragma omp simd
                for (int i = 0; i < width; i++)
                    out_index[i] = (uint8_t)index[i];
            }
        }
    }
}

void pd_pool_max(const pd_window *window, int samples, pd_precision stored, const void *x, void *y,
                 uint8_t *argmax, int threads)
{
    const pd_window g = *window;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int oy = 0; oy < g.out_h; oy++) {
            size_t out = ((size_t)n * g.out_h + oy) * g.out_w * g.c;
            const void *in = pd_precision_at(stored, x, (size_t)n * g.h * g.w * g.c);
            void *row = pd_precision_at(stored, y, out);
            uint8_t *index = argmax != NULL ? argmax + out : NULL;
            PD_WITH_PRECISION(stored,
                              WITH_WIDTH(g.c, max_row(precision, &g, oy, in, row, index, width)));
        }
    }
}

/* sum[i] += dy[i] where argmax[i] is `here`. */
PD_INLINE void add_where(pd_precision precision, int width, int32_t here, const uint8_t *argmax,
                         const void *dy, size_t first, float *sum)
{
    /* Widened first: a loop over elements of one size vectorises best. */
    uint8_t bytes[WIDTH_MAX];
    int32_t index[WIDTH_MAX];
    memcpy(bytes, argmax + first, (size_t)width);
    for (int i = 0; i < width; i++)
        index[i] = bytes[i];
#pragma omp simd
    for (int i = 0; i < width; i++) {
        float value = pd_element_load(precision, dy, first + i);
        sum[i] += index[i] == here ? value : 0;
    }
}

/* One row of elements of one sample: dy and argmax [out_h][out_w][c], dx [w][c]. */
PD_INLINE void max_backward_row(pd_precision precision, const pd_window *g, int iy, const void *dy,
                                const uint8_t *argmax, void *dx, int width)
{
    span rows = positions_of(iy, g->stride, g->pad_top, g->kernel_h, g->out_h);
    for (int ix = 0; ix < g->w; ix++) {
        span cols = positions_of(ix, g->stride, g->pad_left, g->kernel_w, g->out_w);
        for (int channel = 0; channel < g->c; channel += width) {
            int j = chunk_start(channel, width, g->c);
            float sum[WIDTH_MAX] = {0};
            for (int oy = rows.first; oy < rows.end; oy++) {
                int ky = iy - (oy * g->stride - g->pad_top);
                for (int ox = cols.first; ox < cols.end; ox++) {
                    int kx = ix - (ox * g->stride - g->pad_left);
                    add_where(precision, width, ky * g->kernel_w + kx, argmax, dy,
                              ((size_t)oy * g->out_w + ox) * g->c + j, sum);
                }
            }
            size_t out = (size_t)ix * g->c + j;
#pragma omp simd
            for (int i = 0; i < width; i++)
                pd_element_store(precision, dx, out + i, sum[i]);
        }
    }
}

void pd_pool_max_backward(const pd_window *window, int samples, pd_precision stored, const void *dy,
                          const uint8_t *argmax, void *dx, int threads)
{
    const pd_window g = *window;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int iy = 0; iy < g.h; iy++) {
            size_t first = (size_t)n * g.out_h * g.out_w * g.c;
            const void *out = pd_precision_at(stored, dy, first);
            void *in = pd_precision_at(stored, dx, ((size_t)n * g.h + iy) * g.w * g.c);
            PD_WITH_PRECISION(stored, WITH_WIDTH(g.c, max_backward_row(precision, &g, iy, out,
                                                                       argmax + first, in, width)));
        }
    }
}

/* One row of outputs of one sample: x [h][w][c], y [out_w][c]. */
PD_INLINE void average_row(const pd_window *g, int oy, const float *x, float *y, int width)
{
    span rows = elements_of(oy, g->stride, g->pad_top, g->kernel_h, g->h);
    for (int ox = 0; ox < g->out_w; ox++) {
        span cols = elements_of(ox, g->stride, g->pad_left, g->kernel_w, g->w);
        float weight = 1.0f / (float)((rows.end - rows.first) * (cols.end - cols.first));
        for (int channel = 0; channel < g->c; channel += width) {
            int j = chunk_start(channel, width, g->c);
            float sum[WIDTH_MAX];
#pragma omp simd
            for (int i = 0; i < width; i++)
                sum[i] = 0;
            for (int iy = rows.first; iy < rows.end; iy++) {
                for (int ix = cols.first; ix < cols.end; ix++) {
                    const float *pixel = x + ((size_t)iy * g->w + ix) * g->c + j;
#pragma omp simd
                    for (int i = 0; i < width; i++)
                        sum[i] += pixel[i];
                }
            }
            float *out = y + (size_t)ox * g->c + j;
#pragma omp simd
            for (int i = 0; i < width; i++)
                out[i] = sum[i] * weight;
        }
    }
}

void pd_pool_average(const pd_window *window, int samples, const float *x, float *y, int threads)
{
    const pd_window g = *window;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int oy = 0; oy < g.out_h; oy++) {
            const float *in = x + (size_t)n * g.h * g.w * g.c;
            float *out = y + ((size_t)n * g.out_h + oy) * g.out_w * g.c;
            WITH_WIDTH(g.c, average_row(&g, oy, in, out, width));
        }
    }
}

/* One row of elements of one sample: dy [out_h][out_w][c], dx [w][c]. */
static void average_backward_row(const pd_window *g, int iy, const float *dy, float *dx)
{
    memset(dx, 0, sizeof(float) * (size_t)g->w * (size_t)g->c);
    span positions = positions_of(iy, g->stride, g->pad_top, g->kernel_h, g->out_h);
    for (int oy = positions.first; oy < positions.end; oy++) {
        span rows = elements_of(oy, g->stride, g->pad_top, g->kernel_h, g->h);
        for (int ox = 0; ox < g->out_w; ox++) {
            span cols = elements_of(ox, g->stride, g->pad_left, g->kernel_w, g->w);
            float weight = 1.0f / (float)((rows.end - rows.first) * (cols.end - cols.first));
            const float *restrict out = dy + ((size_t)oy * g->out_w + ox) * g->c;
            for (int ix = cols.first; ix < cols.end; ix++) {
                float *restrict in = dx + (size_t)ix * g->c;
                for (int j = 0; j < g->c; j++)
                    in[j] += out[j] * weight;
            }
        }
    }
}

void pd_pool_average_backward(const pd_window *window, int samples, const float *dy, float *dx,
                              int threads)
{
    const pd_window g = *window;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int iy = 0; iy < g.h; iy++) {
            const float *out = dy + (size_t)n * g.out_h * g.out_w * g.c;
            float *in = dx + ((size_t)n * g.h + iy) * g.w * g.c;
            average_backward_row(&g, iy, out, in);
        }
    }
}

/* Channels first .. first + width - 1 of one sample: x [pixels][c], y [c]. */
PD_INLINE void global_chunk(pd_precision precision, int64_t pixels, int c, const void *x,
                            size_t first, void *y, int width)
{
    double sum[WIDTH_MAX];
#pragma omp simd
    for (int i = 0; i < width; i++)
        sum[i] = 0;
    for (int64_t p = 0; p < pixels; p++) {
        size_t pixel = first + (size_t)p * c;
#pragma omp simd
        for (int i = 0; i < width; i++)
            sum[i] += pd_element_load(precision, x, pixel + i);
    }
#pragma omp simd
    for (int i = 0; i < width; i++)
        pd_element_store(precision, y, first + i, (float)(sum[i] / (double)pixels));
}

PD_INLINE void global_sample(pd_precision precision, int64_t pixels, int c, const void *x, void *y,
                             int width)
{
    for (int channel = 0; channel < c; channel += width)
        global_chunk(precision, pixels, c, x, (size_t)chunk_start(channel, width, c), y, width);
}

void pd_pool_global(int samples, int64_t pixels, int c, pd_precision stored, const void *x, void *y,
                    int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        const void *in = pd_precision_at(stored, x, (size_t)n * pixels * c);
        void *out = pd_precision_at(stored, y, (size_t)n * c);
        PD_WITH_PRECISION(stored,
                          WITH_WIDTH(c, global_sample(precision, pixels, c, in, out, width)));
    }
}

PD_INLINE void global_backward_pixel(pd_precision precision, int c, const void *dy, size_t from,
                                     float weight, void *dx, size_t to)
{
    for (int j = 0; j < c; j++)
        pd_element_store(precision, dx, to + j, pd_element_load(precision, dy, from + j) * weight);
}

void pd_pool_global_backward(int samples, int64_t pixels, int c, pd_precision stored,
                             const void *dy, void *dx, int threads)
{
    float weight = 1.0f / (float)pixels;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int64_t p = 0; p < pixels; p++)
            PD_WITH_PRECISION(stored, global_backward_pixel(precision, c, dy, (size_t)n * c, weight,
                                                            dx, ((size_t)n * pixels + p) * c));
    }
}

void pd_pool_global_max(int samples, int64_t pixels, int c, const float *x, float *y,
                        int64_t *argmax, int threads)
{
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int j = 0; j < c; j++) {
            const float *in = x + (size_t)n * pixels * c + j;
            int64_t best = 0;
            for (int64_t p = 1; p < pixels; p++) {
                float most = in[(size_t)best * c], value = in[(size_t)p * c];
                if (value > most || (isnan(value) && !isnan(most)))
                    best = p;
            }
            y[(size_t)n * c + j] = in[(size_t)best * c];
            if (argmax != NULL)
                argmax[(size_t)n * c + j] = best;
        }
    }
}

void pd_pool_global_max_backward(int samples, int64_t pixels, int c, const float *dy,
                                 const int64_t *argmax, float *dx, int threads)
{
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int64_t p = 0; p < pixels; p++) {
            const float *out = dy + (size_t)n * c;
            const int64_t *from = argmax + (size_t)n * c;
            float *in = dx + ((size_t)n * pixels + p) * c;
            for (int j = 0; j < c; j++)
                in[j] = from[j] == p ? out[j] : 0;
        }
    }
}
