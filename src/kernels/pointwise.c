#include "pointwise.h"

#include "pairs.h"
#include "pneumo/base/number.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Floats of the left factor that stay in the second-level cache while all panels are multiplied. */
enum { BLOCK_FLOATS = 72 * 1024 };

/* Steps, of a pixel or of a pair of pixels, over which the kernel's gradient is summed in
 * registers: a panel of that many rows of dy stays in the first-level cache. */
enum { CHUNK_STEPS = 224 };

/* Prefetches what tiles are about to read into the second-level cache, in order. Tiles read short
 * runs from many places at once, a pattern that the hardware prefetcher does not recognise. */
static void prefetch(const float *from, size_t count)
{
    for (size_t i = 0; i < count; i += 64 / sizeof *from)
        __builtin_prefetch(from + i, 0, 2);
}

/* Whether products over `steps` elements of that precision take pairs. Without pairs, elements are
 * widened in a copy that stays in cache. */
static bool takes_pairs(pd_precision precision, int steps)
{
    return precision == PD_BF16 && steps % 2 == 0 && pd_precision_has_dot();
}

/* The product of register tiles, of floats or of pairs. */
typedef void tile_function(int rows, int vectors, const float *a, ptrdiff_t row_step,
                           const pd_tile_walk *walk, const float *packed, float *out);

/* --- The pixels that the window visits. --- */

static size_t visited_pixels(const pd_window *window, int samples)
{
    return (size_t)samples * (size_t)window->out_h * (size_t)window->out_w;
}

/* Floats of a copy of them; 0 if the window visits all, which need no copy. */
static size_t copy_size(const pd_conv_shape *shape, int samples)
{
    size_t elements = visited_pixels(&shape->window, samples) * (size_t)shape->window.c;
    size_t bytes = elements * pd_precision_bytes(shape->precision);
    return shape->window.stride == 1 ? 0 : (bytes + sizeof(float) - 1) / sizeof(float);
}

/* x [samples][h][w][c] -> the visited pixels [samples][out_h][out_w][c], in `copy` or in place. */
static const void *gather(const pd_conv_shape *shape, int samples, const void *x, void *copy,
                          int threads)
{
    const pd_window g = shape->window;
    const pd_precision stored = shape->precision;
    if (g.stride == 1)
        return x;
    size_t c = (size_t)g.c, pixel_bytes = c * pd_precision_bytes(stored);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < (int64_t)samples * g.out_h; row++) {
        size_t y = (size_t)(row / g.out_h) * (size_t)g.h + (size_t)(row % g.out_h * g.stride);
        size_t to = (size_t)row * (size_t)g.out_w, from = y * (size_t)g.w;
        for (int ox = 0; ox < g.out_w; ox++)
            memcpy(pd_precision_at(stored, copy, (to + (size_t)ox) * c),
                   pd_precision_at(stored, x, (from + (size_t)ox * (size_t)g.stride) * c),
                   pixel_bytes);
    }
    return copy;
}

/* The gradient of the visited pixels -> that of all pixels: the others get 0. */
static void scatter(const pd_conv_shape *shape, int samples, const void *visited, void *dx)
{
    const pd_window g = shape->window;
    const pd_precision stored = shape->precision;
    size_t c = (size_t)g.c, row_size = (size_t)g.w * c, bytes = pd_precision_bytes(stored);
#pragma omp parallel for collapse(2) schedule(static) num_threads(shape->threads)
    for (int n = 0; n < samples; n++) {
        for (int iy = 0; iy < g.h; iy++) {
            size_t to = ((size_t)n * (size_t)g.h + (size_t)iy) * row_size;
            memset(pd_precision_at(stored, dx, to), 0, row_size * bytes);
            if (iy % g.stride != 0 || iy / g.stride >= g.out_h)
                continue;
            size_t row = (size_t)n * (size_t)g.out_h + (size_t)(iy / g.stride);
            size_t from = row * (size_t)g.out_w * c;
            for (int ox = 0; ox < g.out_w; ox++)
                memcpy(pd_precision_at(stored, dx, to + (size_t)ox * (size_t)g.stride * c),
                       pd_precision_at(stored, visited, from + (size_t)ox * c), c * bytes);
        }
    }
}

/* --- Outputs from inputs: forward, and backward to the input. --- */

/* left [rows][steps] times packed [steps][columns] -> output [rows][columns]. */
typedef struct product {
    size_t rows;
    int steps, columns;
    const void *left;
    bool pairs;   /* left and packed are pairs, and steps counts them */
    bool widened; /* left is bfloat16, and is widened block by block */
    const float *packed;
    float *blocks; /* of the threads, if widened */
    pd_tile_output output;
} product;

/* Floats of a matrix [steps][columns] in panels. */
static size_t packed_size(int steps, int columns)
{
    return (size_t)steps * (size_t)pd_tile_padded(columns);
}

/* The most rows that are multiplied together. */
static size_t block_rows(int steps)
{
    size_t rows = (size_t)(BLOCK_FLOATS / steps);
    return rows > PD_TILE_ROWS ? rows / PD_TILE_ROWS * PD_TILE_ROWS : PD_TILE_ROWS;
}

/* Floats of the threads' blocks. */
static size_t blocks_size(const pd_conv_shape *shape, int steps)
{
    bool widened = shape->precision == PD_BF16 && !takes_pairs(shape->precision, steps);
    return widened ? (size_t)shape->threads * block_rows(steps) * (size_t)steps : 0;
}

/* Rows start .. start + count - 1, which are at `left`, and the columns of panel `index`. */
static void multiply_panel(const product *of, const float *left, size_t start, int count, int index)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    const size_t steps = (size_t)of->steps;
    const int panels = pd_tile_panel_count(of->columns);
    tile_function *const tile_product = of->pairs ? pd_pairs_multiply : pd_tile_multiply;
    pd_tile_panel panel = pd_tile_panel_at(of->columns, index);
    pd_tile_panel next = pd_tile_panel_at(of->columns, index + 1 < panels ? index + 1 : 0);
    pd_tile_walk walk = pd_tile_walk_line(of->steps, 1);
    int tiles = pd_divide_up(count, pd_tile_max_rows(panel.vectors));
    for (int tile = 0; tile < tiles; tile++) {
        int first = pd_slice_first(count, tile, tiles);
        int rows = pd_slice_first(count, tile + 1, tiles) - first;
        walk.prefetch = pd_tile_prefetch(of->packed + (size_t)next.first * steps, of->steps,
                                         panel.vectors, tile);
        tile_product(rows, panel.vectors, left + (size_t)first * steps, of->steps, &walk,
                     of->packed + (size_t)panel.first * steps, sums);
        pd_tile_store(&of->output, &panel, rows, sums, start + (size_t)first);
    }
}

/* Rows start .. start + count - 1. */
static void multiply_block(const product *of, size_t start, int count)
{
    const int panels = pd_tile_panel_count(of->columns);
    const size_t steps = (size_t)of->steps, size = (size_t)count * steps;
    const float *left = (const float *)of->left + start * steps;
    if (of->widened) {
        float *block = of->blocks + (size_t)omp_get_thread_num() * block_rows(of->steps) * steps;
        pd_precision_widen(size, (const pd_bf16 *)of->left + start * steps, block, 1);
        left = block;
    } else {
        prefetch(left, size);
    }
    for (int index = 0; index < panels; index++)
        multiply_panel(of, left, start, count, index);
}

static void multiply(const product *of, int threads)
{
    const size_t rows = of->rows, parts = 4 * (size_t)threads;
    size_t block = block_rows(of->steps), per_part = (rows + parts - 1) / parts;
    if (per_part < block)
        block = per_part > PD_TILE_ROWS ? per_part / PD_TILE_ROWS * PD_TILE_ROWS : PD_TILE_ROWS;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t start = 0; start < rows; start += block)
        multiply_block(of, start, (int)(rows - start < block ? rows - start : block));
}

/* Packs a kernel [steps][columns], or, if `turned`, its transpose, to packed_size floats. */
static void pack_kernel(const pd_conv_shape *shape, int steps, int columns, const float *kernel,
                        bool turned, float *packed)
{
    if (takes_pairs(shape->precision, steps))
        pd_pairs_pack_kernel(steps, columns, kernel, turned, packed, shape->threads);
    else
        pd_tile_pack_kernel(1, steps, columns, kernel, turned, packed, shape->threads);
}

/* The product with a packed kernel; `blocks` is blocks_size floats. */
static product product_make(const pd_conv_shape *shape, int steps, int columns, const float *packed,
                            float *blocks)
{
    const bool pairs = takes_pairs(shape->precision, steps);
    return (product){
        .rows = visited_pixels(&shape->window, pd_conv_samples(shape)),
        .steps = pairs ? steps / 2 : steps,
        .columns = columns,
        .pairs = pairs,
        .widened = shape->precision == PD_BF16 && !pairs,
        .packed = packed,
        .blocks = blocks,
        .output = {.least = -INFINITY, .precision = shape->precision, .stride = (size_t)columns}};
}

size_t pd_pointwise_prepared_size(const pd_conv_shape *shape)
{
    return packed_size(shape->window.c, shape->k);
}

void pd_pointwise_prepare(const pd_conv_shape *shape, const float *kernel, float *prepared)
{
    pack_kernel(shape, shape->window.c, shape->k, kernel, false, prepared);
}

/* The workspace is the threads' blocks, then the visited pixels. */
size_t pd_pointwise_forward_workspace(const pd_conv_shape *shape)
{
    return blocks_size(shape, shape->window.c) + copy_size(shape, pd_conv_samples(shape));
}

void pd_pointwise_forward(const pd_conv_shape *shape, const void *x, const float *prepared,
                          const float *bias, bool relu, void *y, float *workspace)
{
    const int c = shape->window.c, samples = pd_conv_samples(shape);
    product of = product_make(shape, c, shape->k, prepared, workspace);
    float *copy = workspace + blocks_size(shape, c);
    of.left = gather(shape, samples, x, copy, shape->threads);
    of.output.bias = bias;
    of.output.least = relu ? 0 : -INFINITY;
    of.output.out = y;
    multiply(&of, shape->threads);
}

size_t pd_pointwise_backward_input_workspace(const pd_conv_shape *shape)
{
    return packed_size(shape->k, shape->window.c) + blocks_size(shape, shape->k) +
           copy_size(shape, pd_conv_samples(shape));
}

/* The workspace starts with the packed kernel. */
void pd_pointwise_backward_input(const pd_conv_shape *shape, const void *dy, const float *kernel,
                                 void *dx, float *workspace)
{
    const int c = shape->window.c, samples = pd_conv_samples(shape);
    const bool all = shape->window.stride == 1;
    float *blocks = workspace + packed_size(shape->k, c);
    pack_kernel(shape, shape->k, c, kernel, true, workspace);
    product of = product_make(shape, shape->k, c, workspace, blocks);
    of.left = dy;
    of.output.out = all ? dx : blocks + blocks_size(shape, shape->k);
    multiply(&of, shape->threads);
    if (!all)
        scatter(shape, samples, of.output.out, dx);
}

/* --- The gradient of the kernel. --- */

/* One lane's: x [pixels][c], dy [pixels][k] -> dkernel [c][k], dbias [k] or NULL. */
typedef struct lane_gradient {
    const pd_conv_shape *shape;
    int64_t pixels;
    const void *x, *dy;
    float *dkernel, *dbias;
    float *panel; /* CHUNK_STEPS rows of a panel of dy */
    float *left;  /* as many rows of x, unless it is read in place */
} lane_gradient;

/* The pixels of a chunk, as the factors of the tiles' products. */
typedef struct gradient_chunk {
    int64_t start; /* the first pixel */
    int count;     /* of pixels */
    bool pairs;
    int steps; /* pixels or pairs of them */
    const float *left;
} gradient_chunk;

/* Makes the left factor of chunk `chunk` of `chunks`. */
static gradient_chunk take_chunk(const lane_gradient *lane, int64_t chunk, int64_t chunks)
{
    const int c = lane->shape->window.c;
    const bool pairs = takes_pairs(lane->shape->precision, 2);
    int64_t start = pd_slice_first(lane->pixels, chunk, chunks);
    int count = (int)(pd_slice_first(lane->pixels, chunk + 1, chunks) - start);
    gradient_chunk at = {start, count, pairs, pairs ? (count + 1) / 2 : count, lane->left};
    const size_t first = (size_t)start * (size_t)c, size = (size_t)count * (size_t)c;
    if (pairs) {
        pd_pairs_pack(count, (const pd_bf16 *)lane->x + first, (size_t)c, c, c, lane->left);
    } else if (lane->shape->precision == PD_BF16) {
        pd_precision_widen(size, (const pd_bf16 *)lane->x + first, lane->left, 1);
    } else {
        at.left = (const float *)lane->x + first;
        prefetch(at.left, size);
    }
    return at;
}

/* Packs the panel's columns of a chunk's dy. */
static void pack_panel(const lane_gradient *lane, const gradient_chunk *at,
                       const pd_tile_panel *panel)
{
    const size_t k = (size_t)lane->shape->k, first = (size_t)at->start * k;
    const void *dy = pd_precision_at(lane->shape->precision, lane->dy, first);
    if (at->pairs)
        pd_pairs_pack(at->count, (const pd_bf16 *)dy + panel->first, k, panel->columns,
                      panel->width, lane->panel);
    else
        pd_tile_pack(panel, at->count, lane->shape->precision, dy, k, lane->panel);
}

/* Adds a chunk of the pixels to slice `slice` of `slices` of the gradient; the first chunk
 * overwrites it. */
static void add_chunk(const lane_gradient *lane, const gradient_chunk *at, int slice, int slices)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    const int c = lane->shape->window.c, panels = pd_tile_panel_count(lane->shape->k);
    const size_t k = (size_t)lane->shape->k;
    const bool overwrite = at->start == 0;
    tile_function *const tile_product = at->pairs ? pd_pairs_multiply : pd_tile_multiply;
    pd_tile_walk walk = pd_tile_walk_line(at->steps, c);
    for (int index = 0; index < panels; index++) {
        pd_tile_panel panel = pd_tile_panel_at(lane->shape->k, index);
        int tiles = pd_divide_up(c, pd_tile_max_rows(panel.vectors));
        pack_panel(lane, at, &panel);
        if (lane->dbias != NULL && slice == 0) {
            (at->pairs ? pd_pairs_sum : pd_tile_sum)(at->steps, panel.vectors, lane->panel, sums);
            pd_tile_add(&panel, 1, sums, overwrite, lane->dbias, 0);
        }
        int end = pd_slice_first(tiles, slice + 1, slices);
        for (int tile = pd_slice_first(tiles, slice, slices); tile < end; tile++) {
            int row = pd_slice_first(c, tile, tiles);
            int rows = pd_slice_first(c, tile + 1, tiles) - row;
            tile_product(rows, panel.vectors, at->left + row, 1, &walk, lane->panel, sums);
            pd_tile_add(&panel, rows, sums, overwrite, lane->dkernel + (size_t)row * k, k);
        }
    }
}

static size_t panel_size(int k)
{
    return (size_t)CHUNK_STEPS * (size_t)pd_tile_panel_width(k);
}

/* Floats of a copy of a chunk's x. */
static size_t left_size(const pd_conv_shape *shape)
{
    return shape->precision == PD_BF16 ? (size_t)CHUNK_STEPS * (size_t)shape->window.c : 0;
}

/* Floats of a thread's slice of the workspace: a panel, a chunk of x, and a copy of a lane's
 * visited pixels. */
static size_t gradient_buffer(const pd_conv_shape *shape)
{
    return panel_size(shape->k) + left_size(shape) + copy_size(shape, shape->lane_samples);
}

size_t pd_pointwise_backward_kernel_workspace(const pd_conv_shape *shape)
{
    return (size_t)shape->threads * gradient_buffer(shape);
}

void pd_pointwise_backward_kernel(const pd_conv_shape *shape, const void *x, const void *dy,
                                  float *dkernel, float *dbias, size_t stride, float *workspace)
{
    const pd_window g = shape->window;
    const pd_precision stored = shape->precision;
    const int lanes = shape->lanes, threads = shape->threads;
    size_t x_lane = (size_t)shape->lane_samples * (size_t)g.h * (size_t)g.w * (size_t)g.c;
    size_t pixels = visited_pixels(&g, shape->lane_samples), dy_lane = pixels * (size_t)shape->k;
    size_t chunk_pixels = takes_pairs(stored, 2) ? 2 * CHUNK_STEPS : CHUNK_STEPS;
    int64_t chunks = (int64_t)((pixels + chunk_pixels - 1) / chunk_pixels);
    /* The number of slices gives every thread the same number of them. They cut the gradient, not
     * the sums, so they may depend on the number of threads. */
    int slices = threads / pd_gcd(lanes, threads);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (int slice = 0; slice < slices; slice++) {
            float *panel = workspace + (size_t)omp_get_thread_num() * gradient_buffer(shape);
            float *left = panel + panel_size(shape->k);
            lane_gradient of = {.shape = shape,
                                .pixels = (int64_t)pixels,
                                .x = gather(shape, shape->lane_samples,
                                            pd_precision_at(stored, x, (size_t)lane * x_lane),
                                            left + left_size(shape), 1),
                                .dy = pd_precision_at(stored, dy, (size_t)lane * dy_lane),
                                .dkernel = dkernel + (size_t)lane * stride,
                                .dbias = dbias != NULL ? dbias + (size_t)lane * stride : NULL,
                                .panel = panel,
                                .left = left};
            for (int64_t chunk = 0; chunk < chunks; chunk++) {
                gradient_chunk at = take_chunk(&of, chunk, chunks);
                add_chunk(&of, &at, slice, slices);
            }
        }
    }
}
