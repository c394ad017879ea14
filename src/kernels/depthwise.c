#include "pneumo/kernels/depthwise.h"
#include "pneumo/kernels/integer.h"
#include "pneumo/kernels/tile.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Channels are taken in chunks of one vector, a row of pixels at a time. The last chunk is moved
 * back to end at c; channels that it shares with the one before are computed twice, to the same
 * values. Images of less than LANES channels fill only part of the vector. */
enum { LANES = PD_TILE_WIDTH };

typedef pd_tile_vector vector;

/* Outputs of a row that are computed together, so that they share what they see. */
enum { COLUMNS = 4, FAST_WIDTH = 3, SEEN = COLUMNS + FAST_WIDTH - 1 };

#define INLINE static inline __attribute__((always_inline))

/* `n` is LANES, known to the compiler, or less. */
INLINE vector load(const float *from, int n)
{
    if (n == LANES)
        return *(const vector *)from;
    vector v = {0};
    for (int i = 0; i < n; i++)
        v[i] = from[i];
    return v;
}

INLINE void store(float *to, vector v, int n)
{
    if (n == LANES)
        *(vector *)to = v;
    else
        for (int i = 0; i < n; i++)
            to[i] = v[i];
}

/* v where `condition` holds (is -1), 0 elsewhere. */
typedef int vector_mask __attribute__((vector_size(sizeof(int) * LANES)));

INLINE vector where(vector_mask condition, vector v)
{
    return (vector)((vector_mask)v & condition);
}

/* max(v, 0) if asked; NaN stays NaN. */
INLINE vector rectified(vector v, bool relu)
{
    return relu ? where(~(v < 0), v) : v;
}

/* What forward, and backward with stride 1, have in common: the latter is a forward pass over dy
 * with the kernel turned by 180 degrees. */
typedef struct pass {
    pd_window window;
    const float *kernel; /* of tap 0 */
    ptrdiff_t tap;       /* from one tap to the next, in floats */
    bool relu;           /* on the input */
    bool fast;
} pass;

static bool is_fast(const pd_window *window)
{
    return window->kernel_w == FAST_WIDTH && window->stride == 1 && window->out_w >= COLUMNS;
}

/* The columns left .. left + SEEN - 1 of a row, 0 outside of it. */
INLINE void load_columns(const float *row, int left, int w, int c, bool relu, int n,
                         vector in[SEEN])
{
    if (left >= 0 && left + SEEN <= w) {
#pragma GCC unroll 6
        for (int i = 0; i < SEEN; i++)
            in[i] = rectified(load(row + (ptrdiff_t)(left + i) * c, n), relu);
    } else {
#pragma GCC unroll 6
        for (int i = 0; i < SEEN; i++) {
            bool inside = left + i >= 0 && left + i < w;
            in[i] =
                inside ? rectified(load(row + (ptrdiff_t)(left + i) * c, n), relu) : (vector){0};
        }
    }
}

/* Outputs oy, ox .. ox + COLUMNS - 1, channels `channel` and on. */
INLINE void output_columns(const pass *at, const float *x, int oy, int ox, int channel, int n,
                           const float *mask, float *y)
{
    const pd_window *g = &at->window;
    int top = oy - g->pad_top;
    vector sum[COLUMNS];
#pragma GCC unroll 4
    for (int i = 0; i < COLUMNS; i++)
        sum[i] = (vector){0};
    int end = pd_min_int(g->kernel_h, g->h - top);
    for (int ky = pd_max_int(0, -top); ky < end; ky++) {
        const float *row = x + (size_t)(top + ky) * (size_t)g->w * (size_t)g->c + channel;
        const float *taps = at->kernel + ky * FAST_WIDTH * at->tap + channel;
        vector in[SEEN];
        load_columns(row, ox - g->pad_left, g->w, g->c, at->relu, n, in);
#pragma GCC unroll 3
        for (int kx = 0; kx < FAST_WIDTH; kx++) {
            vector tap = load(taps + kx * at->tap, n);
#pragma GCC unroll 4
            for (int i = 0; i < COLUMNS; i++)
                sum[i] += in[i + kx] * tap;
        }
    }
    size_t out = (size_t)ox * (size_t)g->c + (size_t)channel;
#pragma GCC unroll 4
    for (int i = 0; i < COLUMNS; i++, out += (size_t)g->c) {
        if (mask)
            sum[i] = where(load(mask + out, n) > 0, sum[i]);
        store(y + out, sum[i], n);
    }
}

/* One output of any window. */
INLINE void output_pixel(const pass *at, const float *x, int oy, int ox, int channel, int n,
                         const float *mask, float *y)
{
    const pd_window *g = &at->window;
    int top = oy * g->stride - g->pad_top, left = ox * g->stride - g->pad_left;
    int end_y = pd_min_int(g->kernel_h, g->h - top), end_x = pd_min_int(g->kernel_w, g->w - left);
    vector sum = {0};
    for (int ky = pd_max_int(0, -top); ky < end_y; ky++) {
        for (int kx = pd_max_int(0, -left); kx < end_x; kx++) {
            size_t pixel = (size_t)(top + ky) * (size_t)g->w + (size_t)(left + kx);
            const float *tap = at->kernel + (ky * g->kernel_w + kx) * at->tap + channel;
            sum += rectified(load(x + pixel * (size_t)g->c + (size_t)channel, n), at->relu) *
                   load(tap, n);
        }
    }
    size_t out = (size_t)ox * (size_t)g->c + (size_t)channel;
    if (mask)
        sum = where(load(mask + out, n) > 0, sum);
    store(y + out, sum, n);
}

/* One row of outputs: x [h][w][c] of the sample; mask (or NULL) and y of the row. */
INLINE void output_row(const pass *at, const float *x, int oy, const float *mask, float *y, int n)
{
    const pd_window *g = &at->window;
    int columns = at->fast ? COLUMNS : 1;
    for (int first = 0; first < g->out_w; first += columns) {
        int ox = pd_min_int(first, g->out_w - columns);
        for (int chunk = 0; chunk < g->c; chunk += n) {
            int channel = pd_min_int(chunk, g->c - n);
            if (at->fast)
                output_columns(at, x, oy, ox, channel, n, mask, y);
            else
                output_pixel(at, x, oy, ox, channel, n, mask, y);
        }
    }
}

static void run(const pass *at, int samples, const float *x, const float *mask, float *y,
                int threads)
{
    const pd_window g = at->window;
    size_t x_sample = (size_t)g.h * (size_t)g.w * (size_t)g.c;
    size_t y_row = (size_t)g.out_w * (size_t)g.c;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int oy = 0; oy < g.out_h; oy++) {
            const float *in = x + (size_t)n * x_sample;
            size_t row = ((size_t)n * (size_t)g.out_h + (size_t)oy) * y_row;
            if (g.c >= LANES)
                output_row(at, in, oy, mask ? mask + row : NULL, y + row, LANES);
            else
                output_row(at, in, oy, mask ? mask + row : NULL, y + row, g.c);
        }
    }
}

void pd_depthwise_forward(const pd_window *window, int samples, bool relu, const float *x,
                          const float *kernel, float *y, int threads)
{
    pass at = {.window = *window,
               .kernel = kernel,
               .tap = window->c,
               .relu = relu,
               .fast = is_fast(window)};
    run(&at, samples, x, NULL, y, threads);
}

/* One row of dx of any window, gathered from the outputs that saw it. */
static void input_row(const pd_window *g, const float *dy, const float *kernel, int iy,
                      const float *mask, float *dx)
{
    size_t c = (size_t)g->c;
    for (int ix = 0; ix < g->w; ix++) {
        float *to = dx + (size_t)ix * c;
        memset(to, 0, c * sizeof *to);
        for (int ky = 0; ky < g->kernel_h; ky++) {
            int y = iy + g->pad_top - ky;
            if (y < 0 || y % g->stride != 0 || y / g->stride >= g->out_h)
                continue;
            for (int kx = 0; kx < g->kernel_w; kx++) {
                int x = ix + g->pad_left - kx;
                if (x < 0 || x % g->stride != 0 || x / g->stride >= g->out_w)
                    continue;
                const float *from =
                    dy + ((size_t)(y / g->stride) * (size_t)g->out_w + (size_t)(x / g->stride)) * c;
                const float *tap = kernel + (size_t)(ky * g->kernel_w + kx) * c;
                for (size_t j = 0; j < c; j++)
                    to[j] += from[j] * tap[j];
            }
        }
        for (size_t j = 0; mask && j < c; j++)
            to[j] = mask[(size_t)ix * c + j] > 0 ? to[j] : 0;
    }
}

void pd_depthwise_backward_input(const pd_window *window, int samples, bool relu, const float *x,
                                 const float *dy, const float *kernel, float *dx, int threads)
{
    const pd_window g = *window;
    const float *mask = relu ? x : NULL;
    if (g.stride == 1) {
        pd_window turned = g;
        turned.h = g.out_h, turned.w = g.out_w;
        turned.out_h = g.h, turned.out_w = g.w;
        turned.pad_top = g.kernel_h - 1 - g.pad_top;
        turned.pad_left = g.kernel_w - 1 - g.pad_left;
        pass at = {.window = turned,
                   .kernel = kernel + (size_t)(g.kernel_h * g.kernel_w - 1) * (size_t)g.c,
                   .tap = -(ptrdiff_t)g.c,
                   .fast = is_fast(&turned)};
        run(&at, samples, dy, mask, dx, threads);
        return;
    }
    size_t y_sample = (size_t)g.out_h * (size_t)g.out_w * (size_t)g.c;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int iy = 0; iy < g.h; iy++) {
            size_t row = ((size_t)n * (size_t)g.h + (size_t)iy) * (size_t)g.w * (size_t)g.c;
            input_row(&g, dy + (size_t)n * y_sample, kernel, iy, mask ? mask + row : NULL,
                      dx + row);
        }
    }
}

/* --- The gradient of the kernel. --- */

/* Adds one row of outputs to sums [kernel_h][FAST_WIDTH], kernel_h at most FAST_WIDTH. Both x and
 * dy start at the chunk's channel. */
INLINE void gradient_row_fast(const pd_window *g, int oy, const float *x, const float *dy,
                              bool relu, int n, float *sums)
{
    int top = oy - g->pad_top, whole = g->out_w / COLUMNS * COLUMNS;
    int end = pd_min_int(g->kernel_h, g->h - top);
    for (int ky = pd_max_int(0, -top); ky < end; ky++) {
        const float *row = x + (size_t)(top + ky) * (size_t)g->w * (size_t)g->c;
        vector sum[FAST_WIDTH][2];
#pragma GCC unroll 3
        for (int kx = 0; kx < FAST_WIDTH; kx++)
            sum[kx][0] = sum[kx][1] = (vector){0};
        for (int ox = 0; ox < whole; ox += COLUMNS) {
            vector in[SEEN];
            load_columns(row, ox - g->pad_left, g->w, g->c, relu, n, in);
#pragma GCC unroll 4
            for (int i = 0; i < COLUMNS; i++) {
                vector out = load(dy + (ptrdiff_t)(ox + i) * g->c, n);
#pragma GCC unroll 3
                for (int kx = 0; kx < FAST_WIDTH; kx++)
                    sum[kx][i % 2] += in[i + kx] * out;
            }
        }
        for (int ox = whole; ox < g->out_w; ox++) {
            vector out = load(dy + (ptrdiff_t)ox * g->c, n);
#pragma GCC unroll 3
            for (int kx = 0; kx < FAST_WIDTH; kx++) {
                int ix = ox - g->pad_left + kx;
                if (ix >= 0 && ix < g->w)
                    sum[kx][0] += rectified(load(row + (ptrdiff_t)ix * g->c, n), relu) * out;
            }
        }
#pragma GCC unroll 3
        for (int kx = 0; kx < FAST_WIDTH; kx++) {
            float *to = sums + (ky * FAST_WIDTH + kx) * LANES;
            *(vector *)to += sum[kx][0] + sum[kx][1];
        }
    }
}

/* The same for any window. */
INLINE void gradient_row_any(const pd_window *g, int oy, const float *x, const float *dy, bool relu,
                             int n, float *sums)
{
    int top = oy * g->stride - g->pad_top;
    int end = pd_min_int(g->kernel_h, g->h - top);
    for (int ky = pd_max_int(0, -top); ky < end; ky++) {
        const float *row = x + (size_t)(top + ky) * (size_t)g->w * (size_t)g->c;
        for (int kx = 0; kx < g->kernel_w; kx++) {
            vector sum = {0};
            for (int ox = 0; ox < g->out_w; ox++) {
                int ix = ox * g->stride - g->pad_left + kx;
                if (ix >= 0 && ix < g->w)
                    sum += rectified(load(row + (ptrdiff_t)ix * g->c, n), relu) *
                           load(dy + (ptrdiff_t)ox * g->c, n);
            }
            float *to = sums + (ky * g->kernel_w + kx) * LANES;
            *(vector *)to += sum;
        }
    }
}

static int chunk_count(const pd_window *window)
{
    return (window->c + LANES - 1) / LANES;
}

/* Chunks first .. end - 1 of one lane's gradient. sums [chunks][kernel_h * kernel_w][LANES]: a
 * chunk's own, since chunks may share channels. */
INLINE void gradient_chunks(const pd_window *g, int lane_samples, bool relu, const float *x,
                            const float *dy, int first, int end, float *sums, float *dkernel, int n)
{
    int taps = g->kernel_h * g->kernel_w;
    size_t chunk_sums = (size_t)taps * LANES;
    bool fast = is_fast(g);
    memset(sums, 0, (size_t)(end - first) * chunk_sums * sizeof *sums);
    for (int row = 0; row < lane_samples * g->out_h; row++) {
        const float *sample =
            x + (size_t)(row / g->out_h) * (size_t)g->h * (size_t)g->w * (size_t)g->c;
        const float *out = dy + (size_t)row * (size_t)g->out_w * (size_t)g->c;
        for (int chunk = first; chunk < end; chunk++) {
            int channel = pd_min_int(chunk * n, g->c - n);
            float *to = sums + (size_t)(chunk - first) * chunk_sums;
            if (fast)
                gradient_row_fast(g, row % g->out_h, sample + channel, out + channel, relu, n, to);
            else
                gradient_row_any(g, row % g->out_h, sample + channel, out + channel, relu, n, to);
        }
    }
    for (int chunk = first; chunk < end; chunk++) {
        int channel = pd_min_int(chunk * n, g->c - n);
        for (int tap = 0; tap < taps; tap++)
            memcpy(dkernel + (size_t)tap * (size_t)g->c + (size_t)channel,
                   sums + (size_t)(chunk - first) * chunk_sums + (size_t)tap * LANES,
                   (size_t)n * sizeof *sums);
    }
}

size_t pd_depthwise_backward_kernel_workspace(const pd_window *window, int threads)
{
    return (size_t)threads * (size_t)chunk_count(window) *
           (size_t)(window->kernel_h * window->kernel_w) * LANES;
}

void pd_depthwise_backward_kernel(const pd_window *window, int lanes, int lane_samples, bool relu,
                                  const float *x, const float *dy, float *dkernel, size_t stride,
                                  float *workspace, int threads)
{
    const pd_window g = *window;
    size_t x_lane = (size_t)lane_samples * (size_t)g.h * (size_t)g.w * (size_t)g.c;
    size_t dy_lane = (size_t)lane_samples * (size_t)g.out_h * (size_t)g.out_w * (size_t)g.c;
    size_t buffer = pd_depthwise_backward_kernel_workspace(window, 1);
    int chunks = chunk_count(window);
    /* Slices cut the channels, not the sums, so they may depend on the threads. */
    int slices = lanes % threads == 0 ? 1 : pd_min_int(threads, chunks);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (int slice = 0; slice < slices; slice++) {
            const float *in = x + (size_t)lane * x_lane, *out = dy + (size_t)lane * dy_lane;
            float *sums = workspace + (size_t)omp_get_thread_num() * buffer;
            float *to = dkernel + (size_t)lane * stride;
            int first = slice * chunks / slices, end = (slice + 1) * chunks / slices;
            if (g.c >= LANES)
                gradient_chunks(&g, lane_samples, relu, in, out, first, end, sums, to, LANES);
            else
                gradient_chunks(&g, lane_samples, relu, in, out, first, end, sums, to, g.c);
        }
    }
}
