#include "pneumo/kernels/depthwise.h"

#include "pneumo/base/number.h"
#include "vector.h"

#include <omp.h>
#include <string.h>

/* Channels are taken in chunks of one vector, a row of pixels at a time. The last chunk is moved
 * back to end at c; the channels that it shares with the chunk before are computed twice, to the
 * same values. With fewer than WIDTH channels, only part of the vector is used. */
enum { WIDTH = PD_VECTOR_WIDTH };

/* Outputs of a row that are computed together, so that they share the inputs that they see. */
enum { COLUMNS = 4, FAST_WIDTH = 3, SEEN = COLUMNS + FAST_WIDTH - 1 };

/* `n` is WIDTH, known to the compiler, or less. */
PD_INLINE pd_vector load(const float *from, int n)
{
    if (n == WIDTH)
        return *(const pd_vector *)from;
    pd_vector v = {0};
    for (int i = 0; i < n; i++)
        v[i] = from[i];
    return v;
}

PD_INLINE void store(float *to, pd_vector v, int n)
{
    if (n == WIDTH)
        *(pd_vector *)to = v;
    else
        for (int i = 0; i < n; i++)
            to[i] = v[i];
}

/* max(v, 0) if asked; NaN stays NaN. */
PD_INLINE pd_vector rectified(pd_vector v, bool relu)
{
    return relu ? pd_vector_select(~(v < 0), v) : v;
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
PD_INLINE void load_columns(const float *row, int left, int w, int c, bool relu, int n,
                            pd_vector in[SEEN])
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
                inside ? rectified(load(row + (ptrdiff_t)(left + i) * c, n), relu) : (pd_vector){0};
        }
    }
}

/* One row of outputs of one sample: x [h][w][c]; mask (or NULL) and y [out_w][c]. */
typedef struct output_row {
    const pass *pass;
    int oy;
    const float *x, *mask;
    float *y;
} output_row;

/* Columns ox .. ox + COLUMNS - 1, channels from `channel` on. */
PD_INLINE void output_columns(const output_row *row, int ox, int channel, int n)
{
    const pass *at = row->pass;
    const pd_window *g = &at->window;
    int top = row->oy - g->pad_top;
    pd_vector sum[COLUMNS];
#pragma GCC unroll 4
    for (int i = 0; i < COLUMNS; i++)
        sum[i] = (pd_vector){0};
    int end = pd_min_int(g->kernel_h, g->h - top);
    for (int ky = pd_max_int(0, -top); ky < end; ky++) {
        const float *from = row->x + (size_t)(top + ky) * (size_t)g->w * (size_t)g->c + channel;
        const float *taps = at->kernel + ky * FAST_WIDTH * at->tap + channel;
        pd_vector in[SEEN];
        load_columns(from, ox - g->pad_left, g->w, g->c, at->relu, n, in);
#pragma GCC unroll 3
        for (int kx = 0; kx < FAST_WIDTH; kx++) {
            pd_vector tap = load(taps + kx * at->tap, n);
#pragma GCC unroll 4
            for (int i = 0; i < COLUMNS; i++)
                sum[i] += in[i + kx] * tap;
        }
    }
    size_t out = (size_t)ox * (size_t)g->c + (size_t)channel;
#pragma GCC unroll 4
    for (int i = 0; i < COLUMNS; i++, out += (size_t)g->c) {
        if (row->mask != NULL)
            sum[i] = pd_vector_select(load(row->mask + out, n) > 0, sum[i]);
        store(row->y + out, sum[i], n);
    }
}

/* The same of one column, for any window. */
PD_INLINE void output_pixel(const output_row *row, int ox, int channel, int n)
{
    const pass *at = row->pass;
    const pd_window *g = &at->window;
    int top = row->oy * g->stride - g->pad_top, left = ox * g->stride - g->pad_left;
    int end_y = pd_min_int(g->kernel_h, g->h - top), end_x = pd_min_int(g->kernel_w, g->w - left);
    pd_vector sum = {0};
    for (int ky = pd_max_int(0, -top); ky < end_y; ky++) {
        for (int kx = pd_max_int(0, -left); kx < end_x; kx++) {
            size_t pixel = (size_t)(top + ky) * (size_t)g->w + (size_t)(left + kx);
            const float *tap = at->kernel + (ky * g->kernel_w + kx) * at->tap + channel;
            sum += rectified(load(row->x + pixel * (size_t)g->c + (size_t)channel, n), at->relu) *
                   load(tap, n);
        }
    }
    size_t out = (size_t)ox * (size_t)g->c + (size_t)channel;
    if (row->mask != NULL)
        sum = pd_vector_select(load(row->mask + out, n) > 0, sum);
    store(row->y + out, sum, n);
}

PD_INLINE void run_row(const output_row *row, int n)
{
    const pd_window *g = &row->pass->window;
    const bool fast = row->pass->fast;
    int columns = fast ? COLUMNS : 1;
    for (int first = 0; first < g->out_w; first += columns) {
        int ox = pd_min_int(first, g->out_w - columns);
        for (int chunk = 0; chunk < g->c; chunk += n) {
            int channel = pd_min_int(chunk, g->c - n);
            if (fast)
                output_columns(row, ox, channel, n);
            else
                output_pixel(row, ox, channel, n);
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
            size_t first = ((size_t)n * (size_t)g.out_h + (size_t)oy) * y_row;
            output_row row = {.pass = at,
                              .oy = oy,
                              .x = x + (size_t)n * x_sample,
                              .mask = mask != NULL ? mask + first : NULL,
                              .y = y + first};
            if (g.c >= WIDTH)
                run_row(&row, WIDTH);
            else
                run_row(&row, g.c);
        }
    }
}

static int sample_count(const pd_depthwise_shape *shape)
{
    return shape->lanes * shape->lane_samples;
}

void pd_depthwise_forward(const pd_depthwise_shape *shape, const float *x, const float *kernel,
                          float *y)
{
    pass at = {.window = shape->window,
               .kernel = kernel,
               .tap = shape->window.c,
               .relu = shape->relu,
               .fast = is_fast(&shape->window)};
    run(&at, sample_count(shape), x, NULL, y, shape->threads);
}

/* One row of dx of any window, gathered from the outputs that see it. */
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
        for (size_t j = 0; mask != NULL && j < c; j++)
            to[j] = mask[(size_t)ix * c + j] > 0 ? to[j] : 0;
    }
}

/* With stride 1: a forward pass over dy with the kernel turned by 180 degrees. */
static void backward_input_turned(const pd_depthwise_shape *shape, const float *mask,
                                  const float *dy, const float *kernel, float *dx)
{
    const pd_window g = shape->window;
    pd_window turned = g;
    turned.h = g.out_h, turned.w = g.out_w;
    turned.out_h = g.h, turned.out_w = g.w;
    turned.pad_top = g.kernel_h - 1 - g.pad_top;
    turned.pad_left = g.kernel_w - 1 - g.pad_left;
    pass at = {.window = turned,
               .kernel = kernel + (size_t)(g.kernel_h * g.kernel_w - 1) * (size_t)g.c,
               .tap = -(ptrdiff_t)g.c,
               .fast = is_fast(&turned)};
    run(&at, sample_count(shape), dy, mask, dx, shape->threads);
}

void pd_depthwise_backward_input(const pd_depthwise_shape *shape, const float *x, const float *dy,
                                 const float *kernel, float *dx)
{
    const pd_window g = shape->window;
    const float *mask = shape->relu ? x : NULL;
    if (g.stride == 1) {
        backward_input_turned(shape, mask, dy, kernel, dx);
        return;
    }
    const int samples = sample_count(shape);
    size_t y_sample = (size_t)g.out_h * (size_t)g.out_w * (size_t)g.c;
#pragma omp parallel for collapse(2) schedule(static) num_threads(shape->threads)
    for (int n = 0; n < samples; n++) {
        for (int iy = 0; iy < g.h; iy++) {
            size_t row = ((size_t)n * (size_t)g.h + (size_t)iy) * (size_t)g.w * (size_t)g.c;
            input_row(&g, dy + (size_t)n * y_sample, kernel, iy, mask != NULL ? mask + row : NULL,
                      dx + row);
        }
    }
}

/* --- The gradient of the kernel. --- */

/* Adds one row of outputs to sums [kernel_h][FAST_WIDTH], kernel_h at most FAST_WIDTH. Both x and
 * dy start at the chunk's channel. */
PD_INLINE void gradient_row_fast(const pd_window *g, int oy, const float *x, const float *dy,
                                 bool relu, int n, float *sums)
{
    int top = oy - g->pad_top, whole = g->out_w / COLUMNS * COLUMNS;
    int end = pd_min_int(g->kernel_h, g->h - top);
    for (int ky = pd_max_int(0, -top); ky < end; ky++) {
        const float *row = x + (size_t)(top + ky) * (size_t)g->w * (size_t)g->c;
        pd_vector sum[FAST_WIDTH][2];
#pragma GCC unroll 3
        for (int kx = 0; kx < FAST_WIDTH; kx++)
            sum[kx][0] = sum[kx][1] = (pd_vector){0};
        for (int ox = 0; ox < whole; ox += COLUMNS) {
            pd_vector in[SEEN];
            load_columns(row, ox - g->pad_left, g->w, g->c, relu, n, in);
#pragma GCC unroll 4
            for (int i = 0; i < COLUMNS; i++) {
                pd_vector out = load(dy + (ptrdiff_t)(ox + i) * g->c, n);
#pragma GCC unroll 3
                for (int kx = 0; kx < FAST_WIDTH; kx++)
                    sum[kx][i % 2] += in[i + kx] * out;
            }
        }
        for (int ox = whole; ox < g->out_w; ox++) {
            pd_vector out = load(dy + (ptrdiff_t)ox * g->c, n);
#pragma GCC unroll 3
            for (int kx = 0; kx < FAST_WIDTH; kx++) {
                int ix = ox - g->pad_left + kx;
                if (ix >= 0 && ix < g->w)
                    sum[kx][0] += rectified(load(row + (ptrdiff_t)ix * g->c, n), relu) * out;
            }
        }
#pragma GCC unroll 3
        for (int kx = 0; kx < FAST_WIDTH; kx++) {
            float *to = sums + (ky * FAST_WIDTH + kx) * WIDTH;
            *(pd_vector *)to += sum[kx][0] + sum[kx][1];
        }
    }
}

/* The same for any window. */
PD_INLINE void gradient_row_any(const pd_window *g, int oy, const float *x, const float *dy,
                                bool relu, int n, float *sums)
{
    int top = oy * g->stride - g->pad_top;
    int end = pd_min_int(g->kernel_h, g->h - top);
    for (int ky = pd_max_int(0, -top); ky < end; ky++) {
        const float *row = x + (size_t)(top + ky) * (size_t)g->w * (size_t)g->c;
        for (int kx = 0; kx < g->kernel_w; kx++) {
            pd_vector sum = {0};
            for (int ox = 0; ox < g->out_w; ox++) {
                int ix = ox * g->stride - g->pad_left + kx;
                if (ix >= 0 && ix < g->w)
                    sum += rectified(load(row + (ptrdiff_t)ix * g->c, n), relu) *
                           load(dy + (ptrdiff_t)ox * g->c, n);
            }
            float *to = sums + (ky * g->kernel_w + kx) * WIDTH;
            *(pd_vector *)to += sum;
        }
    }
}

static int chunk_count(const pd_window *window)
{
    return pd_divide_up(window->c, WIDTH);
}

/* One lane's x, dy and gradient. */
typedef struct lane_gradient {
    const pd_depthwise_shape *shape;
    const float *x, *dy;
    float *dkernel;
} lane_gradient;

/* Chunks first .. end - 1 of n channels. sums [chunks][kernel_h * kernel_w][WIDTH] are separate for
 * each chunk, since chunks may share channels. */
PD_INLINE void gradient_chunks(const lane_gradient *lane, int first, int end, float *sums, int n)
{
    const pd_window *g = &lane->shape->window;
    const bool relu = lane->shape->relu, fast = is_fast(g);
    const int taps = g->kernel_h * g->kernel_w;
    const size_t chunk_sums = (size_t)taps * WIDTH;
    memset(sums, 0, (size_t)(end - first) * chunk_sums * sizeof *sums);
    for (int row = 0; row < lane->shape->lane_samples * g->out_h; row++) {
        const float *sample =
            lane->x + (size_t)(row / g->out_h) * (size_t)g->h * (size_t)g->w * (size_t)g->c;
        const float *out = lane->dy + (size_t)row * (size_t)g->out_w * (size_t)g->c;
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
            memcpy(lane->dkernel + (size_t)tap * (size_t)g->c + (size_t)channel,
                   sums + (size_t)(chunk - first) * chunk_sums + (size_t)tap * WIDTH,
                   (size_t)n * sizeof *sums);
    }
}

/* Floats of a thread's slice of the workspace. */
static size_t gradient_buffer(const pd_window *window)
{
    return (size_t)chunk_count(window) * (size_t)(window->kernel_h * window->kernel_w) * WIDTH;
}

size_t pd_depthwise_backward_kernel_workspace(const pd_depthwise_shape *shape)
{
    return (size_t)shape->threads * gradient_buffer(&shape->window);
}

void pd_depthwise_backward_kernel(const pd_depthwise_shape *shape, const float *x, const float *dy,
                                  float *dkernel, size_t stride, float *workspace)
{
    const pd_window g = shape->window;
    const int lanes = shape->lanes, threads = shape->threads, chunks = chunk_count(&g);
    size_t x_lane = (size_t)shape->lane_samples * (size_t)g.h * (size_t)g.w * (size_t)g.c;
    size_t dy_lane = (size_t)shape->lane_samples * (size_t)g.out_h * (size_t)g.out_w * (size_t)g.c;
    /* Slices cut the channels, not the sums, so they may depend on the number of threads. */
    int slices = lanes % threads == 0 ? 1 : pd_min_int(threads, chunks);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (int slice = 0; slice < slices; slice++) {
            float *sums = workspace + (size_t)omp_get_thread_num() * gradient_buffer(&g);
            lane_gradient of = {shape, x + (size_t)lane * x_lane, dy + (size_t)lane * dy_lane,
                                dkernel + (size_t)lane * stride};
            int first = pd_slice_first(chunks, slice, slices);
            int end = pd_slice_first(chunks, slice + 1, slices);
            if (g.c >= WIDTH)
                gradient_chunks(&of, first, end, sums, WIDTH);
            else
                gradient_chunks(&of, first, end, sums, g.c);
        }
    }
}
