#include "pointwise.h"

#include "pneumo/base/number.h"
#include "tile.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Floats of the left factor that stay in the second-level cache while all panels are multiplied. */
enum { BLOCK_FLOATS = 72 * 1024 };

/* Pixels over which the kernel's gradient is summed in registers: a panel of that many rows of dy
 * stays in the first-level cache. */
enum { CHUNK_PIXELS = 224 };

/* Prefetches what tiles are about to read into the second-level cache, in order. Tiles read short
 * runs from many places at once, a pattern that the hardware prefetcher does not recognise. */
static void prefetch(const float *from, size_t count)
{
    for (size_t i = 0; i < count; i += 64 / sizeof *from)
        __builtin_prefetch(from + i, 0, 2);
}

/* --- The pixels that the window visits. --- */

static size_t visited_pixels(const pd_window *window, int samples)
{
    return (size_t)samples * (size_t)window->out_h * (size_t)window->out_w;
}

/* Floats of a copy of them; 0 if the window visits all, which need no copy. */
static size_t copy_size(const pd_window *window, int samples)
{
    return window->stride == 1 ? 0 : visited_pixels(window, samples) * (size_t)window->c;
}

/* x [samples][h][w][c] -> the visited pixels [samples][out_h][out_w][c], in `copy` or in place. */
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

/* The gradient of the visited pixels -> that of all pixels: the others get 0. */
static void scatter(const pd_window *window, int samples, const float *visited, float *dx,
                    int threads)
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
            const float *from = visited + row * (size_t)g.out_w * c;
            for (int ox = 0; ox < g.out_w; ox++)
                memcpy(to + (size_t)(ox * g.stride) * c, from + (size_t)ox * c, c * sizeof *to);
        }
    }
}

/* --- Outputs from inputs: forward, and backward to the input. --- */

/* left [rows][steps] times packed [steps][columns] -> out [rows][columns], plus bias (or NULL), but
 * at least `least`. */
typedef struct product {
    size_t rows;
    int steps, columns;
    const float *left, *packed, *bias;
    float least;
    float *out;
} product;

/* Floats of a matrix [steps][columns] in panels. */
static size_t packed_size(int steps, int columns)
{
    return (size_t)steps * (size_t)pd_tile_padded(columns);
}

/* Rows start .. start + count - 1 and the columns of panel `index`. */
static void multiply_panel(const product *of, size_t start, int count, int index)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    const size_t steps = (size_t)of->steps;
    const int panels = pd_tile_panel_count(of->columns);
    pd_tile_panel panel = pd_tile_panel_at(of->columns, index);
    pd_tile_panel next = pd_tile_panel_at(of->columns, index + 1 < panels ? index + 1 : 0);
    pd_tile_walk walk = pd_tile_walk_line(of->steps, 1);
    int tiles = pd_divide_up(count, pd_tile_max_rows(panel.vectors));
    for (int tile = 0; tile < tiles; tile++) {
        int first = pd_slice_first(count, tile, tiles);
        int rows = pd_slice_first(count, tile + 1, tiles) - first;
        size_t row = start + (size_t)first;
        walk.prefetch = pd_tile_prefetch(of->packed + (size_t)next.first * steps, of->steps,
                                         panel.vectors, tile);
        pd_tile_multiply(rows, panel.vectors, of->left + row * steps, of->steps, &walk,
                         of->packed + (size_t)panel.first * steps, sums);
        pd_tile_store(&panel, rows, sums, of->bias, of->least, of->out + row * (size_t)of->columns,
                      (size_t)of->columns);
    }
}

static void multiply(const product *of, int threads)
{
    const int panels = pd_tile_panel_count(of->columns);
    const size_t rows = of->rows, steps = (size_t)of->steps;
    size_t block = BLOCK_FLOATS / steps;
    size_t per_thread = (rows + 4 * (size_t)threads - 1) / (4 * (size_t)threads);
    block = block < per_thread ? block : per_thread;
    block = block > PD_TILE_ROWS ? block / PD_TILE_ROWS * PD_TILE_ROWS : PD_TILE_ROWS;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t start = 0; start < rows; start += block) {
        int count = (int)(rows - start < block ? rows - start : block);
        prefetch(of->left + start * steps, (size_t)count * steps);
        for (int index = 0; index < panels; index++)
            multiply_panel(of, start, count, index);
    }
}

size_t pd_pointwise_forward_workspace(const pd_conv_shape *shape)
{
    return packed_size(shape->window.c, shape->k) +
           copy_size(&shape->window, pd_conv_samples(shape));
}

void pd_pointwise_forward(const pd_conv_shape *shape, const float *x, const float *kernel,
                          const float *bias, bool relu, float *y, float *workspace)
{
    const pd_window *window = &shape->window;
    const int samples = pd_conv_samples(shape);
    float *copy = workspace + packed_size(window->c, shape->k);
    pd_tile_pack_kernel(1, window->c, shape->k, kernel, false, workspace, shape->threads);
    product of = {.rows = visited_pixels(window, samples),
                  .steps = window->c,
                  .columns = shape->k,
                  .left = gather(window, samples, x, copy, shape->threads),
                  .packed = workspace,
                  .bias = bias,
                  .least = relu ? 0 : -INFINITY,
                  .out = y};
    multiply(&of, shape->threads);
}

size_t pd_pointwise_backward_input_workspace(const pd_conv_shape *shape)
{
    return packed_size(shape->k, shape->window.c) +
           copy_size(&shape->window, pd_conv_samples(shape));
}

void pd_pointwise_backward_input(const pd_conv_shape *shape, const float *dy, const float *kernel,
                                 float *dx, float *workspace)
{
    const pd_window *window = &shape->window;
    const int samples = pd_conv_samples(shape);
    const bool all = window->stride == 1;
    float *visited = all ? dx : workspace + packed_size(shape->k, window->c);
    pd_tile_pack_kernel(1, shape->k, window->c, kernel, true, workspace, shape->threads);
    product of = {.rows = visited_pixels(window, samples),
                  .steps = shape->k,
                  .columns = window->c,
                  .left = dy,
                  .packed = workspace,
                  .least = -INFINITY,
                  .out = visited};
    multiply(&of, shape->threads);
    if (!all)
        scatter(window, samples, visited, dx, shape->threads);
}

/* --- The gradient of the kernel. --- */

/* One lane's: x [pixels][c], dy [pixels][k] -> dkernel [c][k], dbias [k] or NULL. */
typedef struct lane_gradient {
    int pixels, c, k;
    const float *x, *dy;
    float *dkernel, *dbias;
} lane_gradient;

/* Chunk `chunk` of `chunks` of the pixels, for slice `slice` of `slices` of the gradient. `packed`
 * holds CHUNK_PIXELS rows of a panel. */
static void gradient_chunk(const lane_gradient *lane, int chunk, int chunks, int slice, int slices,
                           float *packed)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    const int c = lane->c, panels = pd_tile_panel_count(lane->k);
    const size_t k = (size_t)lane->k;
    const bool overwrite = chunk == 0;
    int start = pd_slice_first(lane->pixels, chunk, chunks);
    int count = pd_slice_first(lane->pixels, chunk + 1, chunks) - start;
    const float *x = lane->x + (size_t)start * (size_t)c;
    const float *dy = lane->dy + (size_t)start * k;
    pd_tile_walk walk = pd_tile_walk_line(count, c);
    prefetch(x, (size_t)count * (size_t)c);
    for (int index = 0; index < panels; index++) {
        pd_tile_panel panel = pd_tile_panel_at(lane->k, index);
        int tiles = pd_divide_up(c, pd_tile_max_rows(panel.vectors));
        pd_tile_pack(&panel, count, dy, k, packed);
        if (lane->dbias != NULL && slice == 0) {
            pd_tile_sum(count, panel.vectors, packed, sums);
            pd_tile_add(&panel, 1, sums, overwrite, lane->dbias, 0);
        }
        int end = pd_slice_first(tiles, slice + 1, slices);
        for (int tile = pd_slice_first(tiles, slice, slices); tile < end; tile++) {
            int row = pd_slice_first(c, tile, tiles);
            int rows = pd_slice_first(c, tile + 1, tiles) - row;
            pd_tile_multiply(rows, panel.vectors, x + row, 1, &walk, packed, sums);
            pd_tile_add(&panel, rows, sums, overwrite, lane->dkernel + (size_t)row * k, k);
        }
    }
}

static size_t panel_size(int k)
{
    return (size_t)CHUNK_PIXELS * (size_t)pd_tile_panel_width(k);
}

/* Floats of a thread's slice of the workspace: a panel, and a copy of a lane's visited pixels. */
static size_t gradient_buffer(const pd_conv_shape *shape)
{
    return panel_size(shape->k) + copy_size(&shape->window, shape->lane_samples);
}

size_t pd_pointwise_backward_kernel_workspace(const pd_conv_shape *shape)
{
    return (size_t)shape->threads * gradient_buffer(shape);
}

void pd_pointwise_backward_kernel(const pd_conv_shape *shape, const float *x, const float *dy,
                                  float *dkernel, float *dbias, size_t stride, float *workspace)
{
    const pd_window g = shape->window;
    const int lanes = shape->lanes, threads = shape->threads;
    size_t x_lane = (size_t)shape->lane_samples * (size_t)g.h * (size_t)g.w * (size_t)g.c;
    size_t pixels = visited_pixels(&g, shape->lane_samples);
    int chunks = pd_divide_up((int)pixels, CHUNK_PIXELS);
    /* The number of slices gives every thread the same number of them. They cut the gradient, not
     * the sums, so they may depend on the number of threads. */
    int slices = threads / pd_gcd(lanes, threads);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (int slice = 0; slice < slices; slice++) {
            float *packed = workspace + (size_t)omp_get_thread_num() * gradient_buffer(shape);
            lane_gradient of = {.pixels = (int)pixels,
                                .c = g.c,
                                .k = shape->k,
                                .x = gather(&g, shape->lane_samples, x + (size_t)lane * x_lane,
                                            packed + panel_size(shape->k), 1),
                                .dy = dy + (size_t)lane * pixels * (size_t)shape->k,
                                .dkernel = dkernel + (size_t)lane * stride,
                                .dbias = dbias != NULL ? dbias + (size_t)lane * stride : NULL};
            for (int chunk = 0; chunk < chunks; chunk++)
                gradient_chunk(&of, chunk, chunks, slice, slices, packed);
        }
    }
}
