#include "pneumo/kernels/depthwise.h"

#include "element.h"
#include "pneumo/base/number.h"

#include <omp.h>
#include <string.h>

/* Channels are taken in chunks of one vector, a row of pixels at a time. The last chunk is moved
 * back to end at c; the channels that it shares with the chunk before are computed twice, to the
 * same values. With fewer than WIDTH channels, only part of the vector is used. */
enum { WIDTH = PD_VECTOR_WIDTH };

/* Outputs of a row that are computed together, so that they share the inputs that they see. */
enum { COLUMNS = 4, FAST_WIDTH = 3, SEEN = COLUMNS + FAST_WIDTH - 1 };

/* What the compiler knows: n channels, WIDTH of them unless there are fewer in all. */
typedef struct elements {
    pd_precision precision;
    int n;
} elements;

/* n elements from number `index` on. */
PD_INLINE pd_vector load(elements of, const void *from, ptrdiff_t index)
{
    if (of.n == WIDTH)
        return pd_vector_load(of.precision, from, index);
    pd_vector v = {0};
    for (int i = 0; i < of.n; i++)
        v[i] = pd_element_load(of.precision, from, (size_t)index + (size_t)i);
    return v;
}

PD_INLINE void store(elements of, void *to, ptrdiff_t index, pd_vector v)
{
    if (of.n == WIDTH)
        pd_vector_store(of.precision, to, index, v);
    else
        for (int i = 0; i < of.n; i++)
            pd_element_store(of.precision, to, (size_t)index + (size_t)i, v[i]);
}

/* n floats of a kernel. */
PD_INLINE pd_vector load_tap(elements of, const float *tap)
{
    return load((elements){PD_FLOAT32, of.n}, tap, 0);
}

/* Executes `call` with `of`, the elements of images of `c` channels. */
#define WITH_ELEMENTS(of_precision, c, call)                                                       \
    PD_WITH_PRECISION(of_precision, {                                                              \
        if ((c) >= WIDTH) {                                                                        \
            const elements of = {precision, WIDTH};                                                \
            call;                                                                                  \
        } else {                                                                                   \
            const elements of = {precision, (c)};                                                  \
            call;                                                                                  \
        }                                                                                          \
    })

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

/* The columns left .. left + SEEN - 1 of the row of x [w][c] that starts at element `row`, 0
 * outside of it. */
PD_INLINE void load_columns(elements of, const void *x, ptrdiff_t row, int left, const pd_window *g,
                            bool relu, pd_vector in[SEEN])
{
    const ptrdiff_t c = g->c;
    if (left >= 0 && left + SEEN <= g->w) {
#pragma GCC unroll 6
        for (int i = 0; i < SEEN; i++)
            in[i] = rectified(load(of, x, row + (left + i) * c), relu);
    } else {
#pragma GCC unroll 6
        for (int i = 0; i < SEEN; i++) {
            bool inside = left + i >= 0 && left + i < g->w;
            in[i] = inside ? rectified(load(of, x, row + (left + i) * c), relu) : (pd_vector){0};
        }
    }
}

/* One row of outputs of one sample: x [h][w][c]; mask (or NULL) and y [out_w][c]. */
typedef struct output_row {
    const pass *pass;
    int oy;
    const void *x, *mask;
    void *y;
} output_row;

/* Columns ox .. ox + COLUMNS - 1, channels from `channel` on. */
PD_INLINE void output_columns(elements of, const output_row *row, int ox, int channel)
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
        ptrdiff_t from = (ptrdiff_t)(top + ky) * g->w * g->c + channel;
        const float *taps = at->kernel + (ptrdiff_t)ky * FAST_WIDTH * at->tap + channel;
        pd_vector in[SEEN];
        load_columns(of, row->x, from, ox - g->pad_left, g, at->relu, in);
#pragma GCC unroll 3
        for (int kx = 0; kx < FAST_WIDTH; kx++) {
            pd_vector tap = load_tap(of, taps + kx * at->tap);
#pragma GCC unroll 4
            for (int i = 0; i < COLUMNS; i++)
                sum[i] += in[i + kx] * tap;
        }
    }
    ptrdiff_t out = (ptrdiff_t)ox * g->c + channel;
#pragma GCC unroll 4
    for (int i = 0; i < COLUMNS; i++, out += g->c) {
        if (row->mask != NULL)
            sum[i] = pd_vector_select(load(of, row->mask, out) > 0, sum[i]);
        store(of, row->y, out, sum[i]);
    }
}

/* The same of one column, for any window. */
PD_INLINE void output_pixel(elements of, const output_row *row, int ox, int channel)
{
    const pass *at = row->pass;
    const pd_window *g = &at->window;
    int top = row->oy * g->stride - g->pad_top, left = ox * g->stride - g->pad_left;
    int end_y = pd_min_int(g->kernel_h, g->h - top), end_x = pd_min_int(g->kernel_w, g->w - left);
    pd_vector sum = {0};
    for (int ky = pd_max_int(0, -top); ky < end_y; ky++) {
        for (int kx = pd_max_int(0, -left); kx < end_x; kx++) {
            ptrdiff_t pixel = (ptrdiff_t)(top + ky) * g->w + (left + kx);
            const float *tap = at->kernel + ((ptrdiff_t)ky * g->kernel_w + kx) * at->tap + channel;
            sum +=
                rectified(load(of, row->x, pixel * g->c + channel), at->relu) * load_tap(of, tap);
        }
    }
    ptrdiff_t out = (ptrdiff_t)ox * g->c + channel;
    if (row->mask != NULL)
        sum = pd_vector_select(load(of, row->mask, out) > 0, sum);
    store(of, row->y, out, sum);
}

PD_INLINE void run_row(elements of, const output_row *row)
{
    const pd_window *g = &row->pass->window;
    const bool fast = row->pass->fast;
    int columns = fast ? COLUMNS : 1;
    for (int first = 0; first < g->out_w; first += columns) {
        int ox = pd_min_int(first, g->out_w - columns);
        for (int chunk = 0; chunk < g->c; chunk += of.n) {
            int channel = pd_min_int(chunk, g->c - of.n);
            if (fast)
                output_columns(of, row, ox, channel);
            else
                output_pixel(of, row, ox, channel);
        }
    }
}

static int sample_count(const pd_depthwise_shape *shape)
{
    return shape->lanes * shape->lane_samples;
}

static void run(const pass *at, const pd_depthwise_shape *shape, const void *x, const void *mask,
                void *y)
{
    const pd_window g = at->window;
    const pd_precision stored = shape->precision;
    const int samples = sample_count(shape);
    size_t x_sample = (size_t)g.h * (size_t)g.w * (size_t)g.c;
    size_t y_row = (size_t)g.out_w * (size_t)g.c;
#pragma omp parallel for collapse(2) schedule(static) num_threads(shape->threads)
    for (int n = 0; n < samples; n++) {
        for (int oy = 0; oy < g.out_h; oy++) {
            size_t first = ((size_t)n * (size_t)g.out_h + (size_t)oy) * y_row;
            output_row row = {.pass = at,
                              .oy = oy,
                              .x = pd_precision_at(stored, x, (size_t)n * x_sample),
                              .mask = pd_precision_at(stored, mask, first),
                              .y = pd_precision_at(stored, y, first)};
            WITH_ELEMENTS(stored, g.c, run_row(of, &row));
        }
    }
}

void pd_depthwise_forward(const pd_depthwise_shape *shape, const void *x, const float *kernel,
                          void *y)
{
    pass at = {.window = shape->window,
               .kernel = kernel,
               .tap = shape->window.c,
               .relu = shape->relu,
               .fast = is_fast(&shape->window)};
    run(&at, shape, x, NULL, y);
}

/* One row of one sample: dy [out_h][out_w][c]; mask (or NULL) and dx [w][c]. */
typedef struct input_line {
    const pd_window *window;
    int iy;
    const float *kernel;
    const void *dy, *mask;
    void *dx;
} input_line;

/* A pixel of dx of any window: the channels from `channel` on, gathered from the outputs that see
 * it. */
PD_INLINE void input_pixel(elements of, const input_line *row, int ix, int channel)
{
    const pd_window *g = row->window;
    pd_vector sum = {0};
    for (int ky = 0; ky < g->kernel_h; ky++) {
        int y = row->iy + g->pad_top - ky;
        if (y < 0 || y % g->stride != 0 || y / g->stride >= g->out_h)
            continue;
        for (int kx = 0; kx < g->kernel_w; kx++) {
            int x = ix + g->pad_left - kx;
            if (x < 0 || x % g->stride != 0 || x / g->stride >= g->out_w)
                continue;
            ptrdiff_t pixel = (ptrdiff_t)(y / g->stride) * g->out_w + x / g->stride;
            const float *tap = row->kernel + ((ptrdiff_t)ky * g->kernel_w + kx) * g->c + channel;
            sum += load(of, row->dy, pixel * g->c + channel) * load_tap(of, tap);
        }
    }
    ptrdiff_t at = (ptrdiff_t)ix * g->c + channel;
    if (row->mask != NULL)
        sum = pd_vector_select(load(of, row->mask, at) > 0, sum);
    store(of, row->dx, at, sum);
}

PD_INLINE void input_row(elements of, const input_line *row)
{
    const pd_window *g = row->window;
    for (int ix = 0; ix < g->w; ix++)
        for (int chunk = 0; chunk < g->c; chunk += of.n)
            input_pixel(of, row, ix, pd_min_int(chunk, g->c - of.n));
}

/* With stride 1: a forward pass over dy with the kernel turned by 180 degrees. */
static void backward_input_turned(const pd_depthwise_shape *shape, const void *mask, const void *dy,
                                  const float *kernel, void *dx)
{
    const pd_window g = shape->window;
    pd_window turned = g;
    turned.h = g.out_h, turned.w = g.out_w;
    turned.out_h = g.h, turned.out_w = g.w;
    turned.pad_top = g.kernel_h - 1 - g.pad_top;
    turned.pad_left = g.kernel_w - 1 - g.pad_left;
    pass at = {.window = turned,
               .kernel = kernel + ((size_t)g.kernel_h * (size_t)g.kernel_w - 1) * (size_t)g.c,
               .tap = -(ptrdiff_t)g.c,
               .fast = is_fast(&turned)};
    run(&at, shape, dy, mask, dx);
}

void pd_depthwise_backward_input(const pd_depthwise_shape *shape, const void *x, const void *dy,
                                 const float *kernel, void *dx)
{
    const pd_window g = shape->window;
    const pd_precision stored = shape->precision;
    const void *mask = shape->relu ? x : NULL;
    if (g.stride == 1) {
        backward_input_turned(shape, mask, dy, kernel, dx);
        return;
    }
    const int samples = sample_count(shape);
    size_t y_sample = (size_t)g.out_h * (size_t)g.out_w * (size_t)g.c;
#pragma omp parallel for collapse(2) schedule(static) num_threads(shape->threads)
    for (int n = 0; n < samples; n++) {
        for (int iy = 0; iy < g.h; iy++) {
            size_t first = ((size_t)n * (size_t)g.h + (size_t)iy) * (size_t)g.w * (size_t)g.c;
            input_line row = {.window = &g,
                              .iy = iy,
                              .kernel = kernel,
                              .dy = pd_precision_at(stored, dy, (size_t)n * y_sample),
                              .mask = pd_precision_at(stored, mask, first),
                              .dx = pd_precision_at(stored, dx, first)};
            WITH_ELEMENTS(stored, g.c, input_row(of, &row));
        }
    }
}

/* --- The gradient of the kernel. --- */

/* One row of outputs and the sample that it sees, from a channel on. */
typedef struct gradient_line {
    const pd_window *window;
    bool relu;
    int oy;
    const void *x, *dy;
    ptrdiff_t x_first, dy_first; /* elements */
} gradient_line;

/* Adds one row of outputs to sums [kernel_h][FAST_WIDTH][PD_VECTOR_WIDTH]. */
PD_INLINE void gradient_row_fast(elements of, const gradient_line *line, float *sums)
{
    const pd_window *g = line->window;
    const int oy = line->oy;
    const bool relu = line->relu;
    int top = oy - g->pad_top, whole = g->out_w / COLUMNS * COLUMNS;
    int end = pd_min_int(g->kernel_h, g->h - top);
    for (int ky = pd_max_int(0, -top); ky < end; ky++) {
        ptrdiff_t row = line->x_first + (ptrdiff_t)(top + ky) * g->w * g->c;
        pd_vector sum[FAST_WIDTH][2];
#pragma GCC unroll 3
        for (int kx = 0; kx < FAST_WIDTH; kx++)
            sum[kx][0] = sum[kx][1] = (pd_vector){0};
        for (int ox = 0; ox < whole; ox += COLUMNS) {
            pd_vector in[SEEN];
            load_columns(of, line->x, row, ox - g->pad_left, g, relu, in);
#pragma GCC unroll 4
            for (int i = 0; i < COLUMNS; i++) {
                pd_vector out = load(of, line->dy, line->dy_first + (ptrdiff_t)(ox + i) * g->c);
#pragma GCC unroll 3
                for (int kx = 0; kx < FAST_WIDTH; kx++)
                    sum[kx][i % 2] += in[i + kx] * out;
            }
        }
        for (int ox = whole; ox < g->out_w; ox++) {
            pd_vector out = load(of, line->dy, line->dy_first + (ptrdiff_t)ox * g->c);
#pragma GCC unroll 3
            for (int kx = 0; kx < FAST_WIDTH; kx++) {
                int ix = ox - g->pad_left + kx;
                if (ix >= 0 && ix < g->w)
                    sum[kx][0] +=
                        rectified(load(of, line->x, row + (ptrdiff_t)ix * g->c), relu) * out;
            }
        }
#pragma GCC unroll 3
        for (int kx = 0; kx < FAST_WIDTH; kx++) {
            float *to = sums + ((ptrdiff_t)ky * FAST_WIDTH + kx) * WIDTH;
            *(pd_vector *)to += sum[kx][0] + sum[kx][1];
        }
    }
}

/* The same for any window. */
PD_INLINE void gradient_row_any(elements of, const gradient_line *line, float *sums)
{
    const pd_window *g = line->window;
    int top = line->oy * g->stride - g->pad_top;
    int end = pd_min_int(g->kernel_h, g->h - top);
    for (int ky = pd_max_int(0, -top); ky < end; ky++) {
        ptrdiff_t row = line->x_first + (ptrdiff_t)(top + ky) * g->w * g->c;
        for (int kx = 0; kx < g->kernel_w; kx++) {
            pd_vector sum = {0};
            for (int ox = 0; ox < g->out_w; ox++) {
                int ix = ox * g->stride - g->pad_left + kx;
                if (ix >= 0 && ix < g->w)
                    sum += rectified(load(of, line->x, row + (ptrdiff_t)ix * g->c), line->relu) *
                           load(of, line->dy, line->dy_first + (ptrdiff_t)ox * g->c);
            }
            float *to = sums + ((ptrdiff_t)ky * g->kernel_w + kx) * WIDTH;
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
    size_t x_first, dy_first; /* elements before the lane's */
    const void *x, *dy;
    float *dkernel;
} lane_gradient;

/* Chunks first .. end - 1 of of.n channels. sums [chunks][kernel_h * kernel_w][WIDTH] are separate
 * for each chunk, since chunks may share channels. */
PD_INLINE void gradient_chunks(elements of, const lane_gradient *lane, int first, int end,
                               float *sums)
{
    const pd_window *g = &lane->shape->window;
    const bool fast = is_fast(g);
    const int taps = g->kernel_h * g->kernel_w;
    const size_t chunk_sums = (size_t)taps * WIDTH;
    memset(sums, 0, (size_t)(end - first) * chunk_sums * sizeof *sums);
    const int64_t rows = (int64_t)lane->shape->lane_samples * g->out_h;
    for (int64_t row = 0; row < rows; row++) {
        size_t sample = (size_t)(row / g->out_h) * (size_t)g->h * (size_t)g->w * (size_t)g->c;
        size_t out = (size_t)row * (size_t)g->out_w * (size_t)g->c;
        for (int chunk = first; chunk < end; chunk++) {
            int channel = pd_min_int(chunk * of.n, g->c - of.n);
            float *to = sums + (size_t)(chunk - first) * chunk_sums;
            gradient_line line = {.window = g,
                                  .relu = lane->shape->relu,
                                  .oy = (int)(row % g->out_h),
                                  .x = lane->x,
                                  .dy = lane->dy,
                                  .x_first = (ptrdiff_t)(lane->x_first + sample) + channel,
                                  .dy_first = (ptrdiff_t)(lane->dy_first + out) + channel};
            if (fast)
                gradient_row_fast(of, &line, to);
            else
                gradient_row_any(of, &line, to);
        }
    }
    for (int chunk = first; chunk < end; chunk++) {
        /* The last chunk may begin in the one before, which is stored there, perhaps by another
         * thread. */
        int channel = chunk * of.n, repeated = pd_max_int(0, channel + of.n - g->c);
        for (int tap = 0; tap < taps; tap++)
            memcpy(lane->dkernel + (size_t)tap * (size_t)g->c + (size_t)channel,
                   sums + (size_t)(chunk - first) * chunk_sums + (size_t)(tap * WIDTH + repeated),
                   (size_t)(of.n - repeated) * sizeof *sums);
    }
}

/* Floats of a thread's slice of the workspace. */
static size_t gradient_buffer(const pd_window *window)
{
    return (size_t)chunk_count(window) * (size_t)window->kernel_h * (size_t)window->kernel_w *
           WIDTH;
}

size_t pd_depthwise_backward_kernel_workspace(const pd_depthwise_shape *shape)
{
    return (size_t)shape->threads * gradient_buffer(&shape->window);
}

void pd_depthwise_backward_kernel(const pd_depthwise_shape *shape, const void *x, const void *dy,
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
            lane_gradient at = {.shape = shape,
                                .x_first = (size_t)lane * x_lane,
                                .dy_first = (size_t)lane * dy_lane,
                                .x = x,
                                .dy = dy,
                                .dkernel = dkernel + (size_t)lane * stride};
            int first = pd_slice_first(chunks, slice, slices);
            int end = pd_slice_first(chunks, slice + 1, slices);
            WITH_ELEMENTS(shape->precision, g.c, gradient_chunks(of, &at, first, end, sums));
        }
    }
}
