#include "pneumo/kernels/pointwise.h"
#include "pneumo/kernels/integer.h"
#include "pneumo/kernels/tile.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Floats of the left factor that stay in the second-level cache while all panels pass by. */
enum { BLOCK_FLOATS = 72 * 1024 };

/* Pixels whose share of the kernel's gradient is summed in registers: a panel of so many rows of dy
 * stays in the first-level cache. */
enum { CHUNK_PIXELS = 224 };

static int greatest_common_divisor(int a, int b)
{
    return b ? greatest_common_divisor(b, a % b) : a;
}

/* Fetches what tiles are about to read into the second-level cache, in order: they read from many
 * places at once, each too short for the processor to see it coming. */
static void fetch(const float *from, size_t count)
{
    for (size_t i = 0; i < count; i += 64 / sizeof *from)
        __builtin_prefetch(from + i, 0, 2);
}

static size_t pixels_seen(const pd_window *window, int samples)
{
    return (size_t)samples * (size_t)window->out_h * (size_t)window->out_w;
}

/* --- The pixels that a window with a stride visits. --- */

/* Floats of a copy of them; 0 if the window visits all, which need no copy. */
static size_t seen_size(const pd_window *window, int samples)
{
    return window->stride == 1 ? 0 : pixels_seen(window, samples) * (size_t)window->c;
}

/* x [samples][h][w][c] -> the pixels seen [samples][out_h][out_w][c], in `copy` or in place. */
static const float *gather(const pd_window *window, int samples, const float *x, float *copy,
                           int threads)
{
    const pd_window g = *window;
    if (g.stride == 1)
        return x;
    size_t c = (size_t)g.c;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int row = 0; row < samples * g.out_h; row++) {
        size_t y = (size_t)(row / g.out_h) * (size_t)g.h + (size_t)(row % g.out_h * g.stride);
        for (int ox = 0; ox < g.out_w; ox++)
            memcpy(copy + ((size_t)row * (size_t)g.out_w + (size_t)ox) * c,
                   x + (y * (size_t)g.w + (size_t)(ox * g.stride)) * c, c * sizeof *copy);
    }
    return copy;
}

/* The gradient of the pixels seen -> that of all pixels: the others get 0. */
static void scatter(const pd_window *window, int samples, const float *seen, float *dx, int threads)
{
    const pd_window g = *window;
    size_t c = (size_t)g.c, row_size = (size_t)g.w * c;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int n = 0; n < samples; n++) {
        for (int iy = 0; iy < g.h; iy++) {
            float *to = dx + ((size_t)n * (size_t)g.h + (size_t)iy) * row_size;
            memset(to, 0, row_size * sizeof *to);
            if (iy % g.stride != 0 || iy / g.stride >= g.out_h)
                continue;
            size_t row = (size_t)n * (size_t)g.out_h + (size_t)(iy / g.stride);
            const float *from = seen + row * (size_t)g.out_w * c;
            for (int ox = 0; ox < g.out_w; ox++)
                memcpy(to + (size_t)(ox * g.stride) * c, from + (size_t)ox * c, c * sizeof *to);
        }
    }
}

/* --- Outputs from inputs: forward, and backward to the input. --- */

/* Floats of a matrix [steps][columns] in panels. */
static size_t packed_size(int steps, int columns)
{
    return (size_t)steps * (size_t)pd_tile_padded(columns);
}

/* Packs matrix[steps][columns] into panels, or with `transposed` matrix[columns][steps]. */
static void pack(int steps, int columns, const float *matrix, bool transposed, float *packed,
                 int threads)
{
    enum { SQUARE = 16 };
    int padded = pd_tile_padded(columns);
    int panel_width = pd_tile_panel_vectors(columns) * PD_TILE_WIDTH;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int first = 0; first < padded; first += panel_width) {
        int width = pd_min_int(panel_width, padded - first);
        int count = pd_min_int(width, columns - first);
        float *panel = packed + (size_t)first * (size_t)steps;
        if (!transposed) {
            pd_tile_pack(steps, count, width, matrix + first, (size_t)columns, panel);
            continue;
        }
        /* In squares, so that what is read and written stays in cache. */
        for (int t = 0; t < steps; t += SQUARE) {
            int end = pd_min_int(t + SQUARE, steps);
            for (int j = 0; j < width; j++) {
                const float *row =
                    matrix + (size_t)(first + pd_min_int(j, count - 1)) * (size_t)steps;
                for (int i = t; i < end; i++)
                    panel[(size_t)i * (size_t)width + (size_t)j] = j < count ? row[i] : 0;
            }
        }
    }
}

/* Writes a tile of sums [rows][width], plus bias (or NULL), but no less than `least`, to
 * y[rows][columns], rows k floats apart. */
static void store(int rows, int width, int columns, const float *sums, const float *bias,
                  float least, float *y, size_t k)
{
    for (int r = 0; r < rows; r++) {
        const float *from = sums + (size_t)r * (size_t)width;
        float *to = y + (size_t)r * k;
        for (int j = 0; j < columns; j++) {
            float sum = from[j] + (bias ? bias[j] : 0);
            to[j] = sum < least ? least : sum;
        }
    }
}

/* left [rows][steps] times packed [steps][columns] -> out [rows][columns]. */
static void multiply(size_t rows, int steps, int columns, const float *left, const float *packed,
                     const float *bias, bool relu, float *out, int threads)
{
    int padded = pd_tile_padded(columns);
    int panel_width = pd_tile_panel_vectors(columns) * PD_TILE_WIDTH;
    float least = relu ? 0 : -INFINITY;
    size_t block = BLOCK_FLOATS / (size_t)steps;
    size_t share = (rows + 4 * (size_t)threads - 1) / (4 * (size_t)threads);
    block = block < share ? block : share;
    block = block > PD_TILE_ROWS ? block / PD_TILE_ROWS * PD_TILE_ROWS : PD_TILE_ROWS;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t start = 0; start < rows; start += block) {
        int count = (int)(rows - start < block ? rows - start : block);
        pd_tile_walk walk = {{1, 1, steps}, {0, 0, 1}, NULL};
        fetch(left + start * (size_t)steps, (size_t)count * (size_t)steps);
        for (int first = 0; first < padded; first += panel_width) {
            _Alignas(64) float sums[PD_TILE_SIZE];
            int vectors = pd_min_int(panel_width, padded - first) / PD_TILE_WIDTH;
            int width = pd_min_int(panel_width, columns - first);
            int tiles = pd_divide_up(count, pd_tile_max_rows(vectors));
            int next = first + panel_width < padded ? first + panel_width : 0;
            for (int tile = 0; tile < tiles; tile++) {
                int from = tile * count / tiles, end = (tile + 1) * count / tiles;
                walk.ahead =
                    pd_tile_ahead(packed + (size_t)next * (size_t)steps, steps, vectors, tile);
                size_t row = start + (size_t)from;
                pd_tile_multiply(end - from, vectors, left + row * (size_t)steps, steps, &walk,
                                 packed + (size_t)first * (size_t)steps, sums);
                store(end - from, vectors * PD_TILE_WIDTH, width, sums, bias ? bias + first : NULL,
                      least, out + row * (size_t)columns + first, (size_t)columns);
            }
        }
    }
}

size_t pd_pointwise_forward_workspace(const pd_window *window, int samples, int k)
{
    return packed_size(window->c, k) + seen_size(window, samples);
}

void pd_pointwise_forward(const pd_window *window, int samples, int k, const float *x,
                          const float *kernel, const float *bias, bool relu, float *y,
                          float *workspace, int threads)
{
    float *copy = workspace + packed_size(window->c, k);
    pack(window->c, k, kernel, false, workspace, threads);
    multiply(pixels_seen(window, samples), window->c, k, gather(window, samples, x, copy, threads),
             workspace, bias, relu, y, threads);
}

size_t pd_pointwise_backward_input_workspace(const pd_window *window, int samples, int k)
{
    return packed_size(k, window->c) + seen_size(window, samples);
}

void pd_pointwise_backward_input(const pd_window *window, int samples, int k, const float *dy,
                                 const float *kernel, float *dx, float *workspace, int threads)
{
    bool all = window->stride == 1;
    float *seen = all ? dx : workspace + packed_size(k, window->c);
    pack(k, window->c, kernel, true, workspace, threads);
    multiply(pixels_seen(window, samples), k, window->c, dy, workspace, NULL, false, seen, threads);
    if (!all)
        scatter(window, samples, seen, dx, threads);
}

/* --- The gradient of the kernel. --- */

/* Adds a tile of sums [rows][width] to out[rows][columns], or overwrites it. */
static void add(int rows, int width, int columns, const float *sums, bool overwrite, float *out,
                size_t k)
{
    for (int r = 0; r < rows; r++) {
        const float *from = sums + (size_t)r * (size_t)width;
        float *to = out + (size_t)r * k;
        for (int j = 0; j < columns; j++)
            to[j] = from[j] + (overwrite ? 0 : to[j]);
    }
}

/* Slice `slice` of `slices` of one lane's gradient, from x [pixels][c] and dy [pixels][k]. `panel`
 * holds CHUNK_PIXELS rows of a panel. */
static void gradient_slice(int pixels, int c, int k, int slice, int slices, const float *x,
                           const float *dy, float *dkernel, float *dbias, float *panel)
{
    static const float one = 1;
    _Alignas(64) float sums[PD_TILE_SIZE];
    int padded = pd_tile_padded(k);
    int panel_width = pd_tile_panel_vectors(k) * PD_TILE_WIDTH;
    int chunks = pd_divide_up(pixels, CHUNK_PIXELS);
    for (int chunk = 0; chunk < chunks; chunk++) {
        int start = (int)((long long)chunk * pixels / chunks);
        int count = (int)((long long)(chunk + 1) * pixels / chunks) - start;
        fetch(x + (size_t)start * (size_t)c, (size_t)count * (size_t)c);
        pd_tile_walk walk = {{1, 1, count}, {0, 0, c}, NULL},
                     still = {{1, 1, count}, {0, 0, 0}, NULL};
        for (int first = 0; first < padded; first += panel_width) {
            int width = pd_min_int(panel_width, padded - first);
            int columns = pd_min_int(width, k - first), vectors = width / PD_TILE_WIDTH;
            int tiles = pd_divide_up(c, pd_tile_max_rows(vectors));
            pd_tile_pack(count, columns, width, dy + (size_t)start * (size_t)k + first, (size_t)k,
                         panel);
            if (dbias && slice == 0) {
                pd_tile_multiply(1, vectors, &one, 1, &still, panel, sums);
                add(1, width, columns, sums, chunk == 0, dbias + first, 0);
            }
            for (int tile = slice * tiles / slices; tile < (slice + 1) * tiles / slices; tile++) {
                int row = (int)((long long)tile * c / tiles);
                int rows = (int)((long long)(tile + 1) * c / tiles) - row;
                pd_tile_multiply(rows, vectors, x + (size_t)start * (size_t)c + row, 1, &walk,
                                 panel, sums);
                add(rows, width, columns, sums, chunk == 0,
                    dkernel + (size_t)row * (size_t)k + first, (size_t)k);
            }
        }
    }
}

static size_t panel_size(int k)
{
    return (size_t)CHUNK_PIXELS * (size_t)pd_tile_panel_vectors(k) * PD_TILE_WIDTH;
}

size_t pd_pointwise_backward_kernel_workspace(const pd_window *window, int lane_samples, int k,
                                              int threads)
{
    return (size_t)threads * (panel_size(k) + seen_size(window, lane_samples));
}

void pd_pointwise_backward_kernel(const pd_window *window, int lanes, int lane_samples, int k,
                                  const float *x, const float *dy, float *dkernel, float *dbias,
                                  size_t stride, float *workspace, int threads)
{
    const pd_window g = *window;
    size_t x_lane = (size_t)lane_samples * (size_t)g.h * (size_t)g.w * (size_t)g.c;
    size_t pixels = pixels_seen(&g, lane_samples);
    size_t buffer = pd_pointwise_backward_kernel_workspace(&g, lane_samples, k, 1);
    /* So many slices that every thread gets the same number of them. They cut the gradient, not the
     * sums, so they may depend on the threads. */
    int slices = threads / greatest_common_divisor(lanes, threads);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (int slice = 0; slice < slices; slice++) {
            float *panel = workspace + (size_t)omp_get_thread_num() * buffer;
            const float *seen =
                gather(&g, lane_samples, x + (size_t)lane * x_lane, panel + panel_size(k), 1);
            gradient_slice((int)pixels, g.c, k, slice, slices, seen,
                           dy + (size_t)lane * pixels * (size_t)k, dkernel + (size_t)lane * stride,
                           dbias ? dbias + (size_t)lane * stride : NULL, panel);
        }
    }
}
