#include "pneumo/kernels/winograd.h"
#include "pneumo/kernels/integer.h"
#include "pneumo/kernels/tile.h"

#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <string.h>

/* A tile has OUTPUT x OUTPUT outputs, sees INPUT x INPUT inputs, and has as many positions. */
enum { KERNEL = 3, OUTPUT = 4, INPUT = OUTPUT + KERNEL - 1, POSITIONS = INPUT * INPUT };

/* Floats between the arrays of two positions, so that they do not all fall into the same few sets
 * of a cache. */
enum { SKEW = PD_TILE_WIDTH };

/* A transformed kernel of no more floats than SMALL_KERNEL is read by each thread alone, beside a
 * block of tiles that fits with it into a second-level cache of 2 MiB: BLOCK_FLOATS, but no fewer
 * than BLOCK_TILES. A larger one comes from afar, and is worth reading for LARGE_BLOCK_TILES per
 * thread only. The kernel gradient has blocks of GRADIENT_FLOATS, but no fewer than GRADIENT_TILES.
 * All measured on a processor with AVX-512. */
enum { SMALL_KERNEL = 600 * 1024, BLOCK_FLOATS = 256 * 1024, GRADIENT_FLOATS = 256 * 1024 };
enum { BLOCK_TILES = 56, LARGE_BLOCK_TILES = 128, GRADIENT_TILES = 42 };

/* The kernel gradient keeps the channels of a register tile's rows in one vector. */
_Static_assert(PD_TILE_ROWS <= PD_TILE_WIDTH, "a tile has no more rows than a vector has floats");

typedef pd_tile_vector vector;
typedef int integers __attribute__((vector_size(sizeof(int) * PD_TILE_WIDTH)));

bool pd_winograd_suits(const pd_window *window, int k)
{
    /* Of fewer channels the transforms, of fewer tiles the transformed kernel would take longer
     * than the products save. Measured: tests/bench/bench_conv.c. */
    enum { LEAST_CHANNELS = 16, LEAST_TILES_OF_SAMPLE = 9 };
    return window->kernel_h == KERNEL && window->kernel_w == KERNEL && window->stride == 1 &&
           window->c >= LEAST_CHANNELS && k >= LEAST_CHANNELS &&
           pd_divide_up(window->out_h, OUTPUT) * pd_divide_up(window->out_w, OUTPUT) >=
               LEAST_TILES_OF_SAMPLE;
}

/* The first of `count` units that belongs to part `part` of `parts`. */
static int share(int count, int part, int parts)
{
    return (int)((long long)count * part / parts);
}

/* --- The transforms. ---
 *
 * Interpolation at 0, a, -a, b, -b and infinity, with a = 3/4 and b = 3/2. The usual 1 and 2 make
 * three times the error; these are as good as the square roots of 1/2 and 2, and exact. Points of
 * both signs share their even and odd parts. Below, each line of Lavin and Gray's matrices B, G and
 * A belongs to one point. */

static const float A1 = 0.75f, A2 = 0.5625f, A3 = 0.421875f;
static const float B1 = 1.5f, B2 = 2.25f, B3 = 3.375f;
static const float SUM = 2.8125f;       /* a^2 + b^2 */
static const float PRODUCT = 1.265625f; /* a^2 b^2 */

/* 1 over the product of a point's differences from the other finite points, for 0, a and b. */
static const float WEIGHT_0 = 1 / 1.265625f, WEIGHT_A = 1 / -1.8984375f, WEIGHT_B = 1 / 7.59375f;

#define INLINE static inline __attribute__((always_inline))

/* Both directions of one line: 6 inputs or 4 outputs or 3 taps of a row or column to 6 positions,
 * or back. */
typedef void line_transform(const vector *in, vector *out);

INLINE void line_input(const vector *in, vector *out)
{
    vector even_a = in[4] - B2 * in[2], odd_a = A1 * (in[3] - B2 * in[1]);
    vector even_b = in[4] - A2 * in[2], odd_b = B1 * (in[3] - A2 * in[1]);
    out[0] = in[4] - SUM * in[2] + PRODUCT * in[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = in[5] - SUM * in[3] + PRODUCT * in[1];
}

INLINE void line_output(const vector *in, vector *out)
{
    vector even_a = in[1] + in[2], odd_a = in[1] - in[2];
    vector even_b = in[3] + in[4], odd_b = in[3] - in[4];
    out[0] = in[0] + even_a + even_b;
    out[1] = A1 * odd_a + B1 * odd_b;
    out[2] = A2 * even_a + B2 * even_b;
    out[3] = A3 * odd_a + B3 * odd_b + in[5];
}

/* The transpose of line_output. */
INLINE void line_output_gradient(const vector *in, vector *out)
{
    vector even_a = in[0] + A2 * in[2], odd_a = A1 * (in[1] + A2 * in[3]);
    vector even_b = in[0] + B2 * in[2], odd_b = B1 * (in[1] + B2 * in[3]);
    out[0] = in[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = in[3];
}

INLINE void line_kernel(const vector *in, vector *out)
{
    vector even_a = WEIGHT_A * (in[0] + A2 * in[2]), odd_a = WEIGHT_A * A1 * in[1];
    vector even_b = WEIGHT_B * (in[0] + B2 * in[2]), odd_b = WEIGHT_B * B1 * in[1];
    out[0] = WEIGHT_0 * in[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = in[2];
}

/* The transpose of line_kernel. */
INLINE void line_kernel_gradient(const vector *in, vector *out)
{
    vector even_a = WEIGHT_A * (in[1] + in[2]), odd_a = WEIGHT_A * (in[1] - in[2]);
    vector even_b = WEIGHT_B * (in[3] + in[4]), odd_b = WEIGHT_B * (in[3] - in[4]);
    out[0] = WEIGHT_0 * in[0] + even_a + even_b;
    out[1] = A1 * odd_a + B1 * odd_b;
    out[2] = A2 * even_a + B2 * even_b + in[5];
}

/* Transforms columns and rows of a square [from][from] to one [to][to], for a vector of channels.
 * An element is at source + i * row + j * column, its result at target + (i * to + j) * step. */
INLINE void square_transform(line_transform *line, const int from, const int to,
                             const float *source, ptrdiff_t row, ptrdiff_t column, float *target,
                             size_t step)
{
    vector half[INPUT][INPUT], in[INPUT], out[INPUT];
#pragma GCC unroll 6
    for (int j = 0; j < from; j++) {
#pragma GCC unroll 6
        for (int i = 0; i < from; i++)
            in[i] = *(const vector *)(source + i * row + j * column);
        line(in, out);
#pragma GCC unroll 6
        for (int i = 0; i < to; i++)
            half[i][j] = out[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < to; i++) {
        line(half[i], out);
#pragma GCC unroll 6
        for (int j = 0; j < to; j++)
            *(vector *)(target + (size_t)(i * to + j) * step) = out[j];
    }
}

/* --- Images and tiles. --- */

/* Samples of one side of the convolution, [samples][h][w][c], and how many floats they are. */
typedef struct images {
    int h, w, c;
    const float *data;
    ptrdiff_t count;
} images;

static images images_make(int h, int w, int c, int samples, const float *data)
{
    return (images){h, w, c, data, (ptrdiff_t)samples * h * w * c};
}

/* How the outputs of a sample are cut into tiles. */
typedef struct grid {
    int rows, columns;
} grid;

static grid grid_make(int out_h, int out_w)
{
    return (grid){pd_divide_up(out_h, OUTPUT), pd_divide_up(out_w, OUTPUT)};
}

/* Where a tile is: its sample and its first output. */
typedef struct place {
    int sample, y, x;
} place;

static place grid_place(const grid *tiles, int tile)
{
    int in_sample = tile % (tiles->rows * tiles->columns);
    return (place){tile / (tiles->rows * tiles->columns), in_sample / tiles->columns * OUTPUT,
                   in_sample % tiles->columns * OUTPUT};
}

/* A vector's channels, from `channel` on, of the square of `size` pixels at (y, x). Behind the last
 * channel the vector holds whatever follows. */
typedef struct patch {
    const float *first;
    ptrdiff_t row, column;
} patch;

/* The patch is read in place if it lies within the image, else copied to buffer[size *
 * size][vector] with zeros around the image. */
INLINE patch images_patch(const images *from, int sample, int y, int x, int channel, const int size,
                          float *buffer)
{
    ptrdiff_t column = from->c, row = (ptrdiff_t)from->w * from->c;
    ptrdiff_t first = (sample * (ptrdiff_t)from->h + y) * row + x * column + channel;
    ptrdiff_t end = from->count - PD_TILE_WIDTH;
    if (y >= 0 && x >= 0 && y + size <= from->h && x + size <= from->w &&
        first + (size - 1) * (row + column) <= end)
        return (patch){from->data + first, row, column};
    size_t bytes = (size_t)pd_min_int(PD_TILE_WIDTH, from->c - channel) * sizeof *buffer;
    for (int i = 0; i < size; i++) {
        for (int j = 0; j < size; j++) {
            float *to = buffer + (i * size + j) * PD_TILE_WIDTH;
            ptrdiff_t pixel = first + i * row + j * column;
            *(vector *)to = (vector){0};
            if (y + i < 0 || x + j < 0 || y + i >= from->h || x + j >= from->w)
                continue;
            if (pixel <= end)
                *(vector *)to = *(const vector *)(from->data + pixel);
            else
                memcpy(to, from->data + pixel, bytes);
        }
    }
    return (patch){buffer, size * PD_TILE_WIDTH, PD_TILE_WIDTH};
}

/* --- Outputs from inputs: forward, and backward to the input, which is a convolution of dy with
 * the kernel turned by 180 degrees and its channels exchanged. --- */

typedef struct wino_shape {
    int h, w, c;
    int pad_top, pad_left;
    int out_h, out_w, k;
    grid grid;
    int tiles;   /* of all samples */
    int block;   /* tiles in work together */
    bool shared; /* threads work on the same block, else each on its own */
} wino_shape;

/* Small kernels stay in a thread's cache beside its own block. Of large ones each thread reads its
 * part, for a block as large as those of all threads. */
static void wino_cut(wino_shape *shape, int samples, int threads)
{
    shape->grid = grid_make(shape->out_h, shape->out_w);
    shape->tiles = samples * shape->grid.rows * shape->grid.columns;
    int channels = pd_tile_padded(shape->c) + pd_tile_padded(shape->k);
    bool large = (long long)POSITIONS * shape->c * shape->k > SMALL_KERNEL;
    int tiles =
        large ? LARGE_BLOCK_TILES : pd_max_int(BLOCK_TILES, BLOCK_FLOATS / (POSITIONS * channels));
    shape->shared = large || shape->tiles < 4 * threads * tiles;
    shape->block = pd_min_int(shape->shared ? threads * tiles : tiles, shape->tiles);
}

static wino_shape wino_shape_forward(const pd_window *window, int samples, int k, int threads)
{
    wino_shape shape = {.h = window->h,
                        .w = window->w,
                        .c = window->c,
                        .pad_top = window->pad_top,
                        .pad_left = window->pad_left,
                        .out_h = window->out_h,
                        .out_w = window->out_w,
                        .k = k};
    wino_cut(&shape, samples, threads);
    return shape;
}

static wino_shape wino_shape_input(const pd_window *window, int samples, int k, int threads)
{
    wino_shape shape = {.h = window->out_h,
                        .w = window->out_w,
                        .c = k,
                        .pad_top = KERNEL - 1 - window->pad_top,
                        .pad_left = KERNEL - 1 - window->pad_left,
                        .out_h = window->h,
                        .out_w = window->w,
                        .k = window->c};
    wino_cut(&shape, samples, threads);
    return shape;
}

/* Floats of one position of the transformed kernel, inputs and outputs. */
static size_t wino_kernel_step(const wino_shape *shape)
{
    return (size_t)shape->c * (size_t)pd_tile_padded(shape->k) + SKEW;
}

static size_t wino_input_step(const wino_shape *shape)
{
    return (size_t)shape->block * (size_t)pd_tile_padded(shape->c) + SKEW;
}

static size_t wino_output_step(const wino_shape *shape)
{
    return (size_t)shape->block * (size_t)pd_tile_padded(shape->k) + SKEW;
}

/* The workspace is the bias, the kernel, and for each block in work its inputs and outputs. */
static size_t wino_kernel_size(const wino_shape *shape)
{
    return (size_t)pd_tile_padded(shape->k) + POSITIONS * wino_kernel_step(shape);
}

static size_t wino_block_size(const wino_shape *shape)
{
    return POSITIONS * (wino_input_step(shape) + wino_output_step(shape));
}

static size_t wino_workspace(const wino_shape *shape, int threads)
{
    return wino_kernel_size(shape) + (size_t)(shape->shared ? 1 : threads) * wino_block_size(shape);
}

/* Rows of a square block in which a turned kernel's channels are exchanged. */
enum { EXCHANGE = PD_TILE_WIDTH };

/* Transposes from[EXCHANGE][stride] to to[EXCHANGE][EXCHANGE]: exchanges the quarters of ever
 * larger squares that do not lie on the diagonal. */
INLINE void exchange_block(const float *from, size_t stride, float *to)
{
    vector rows[EXCHANGE];
    for (size_t i = 0; i < EXCHANGE; i++)
        rows[i] = *(const vector *)(from + i * stride);
#pragma GCC unroll 4
    for (int half = 1; half < EXCHANGE; half *= 2) {
        integers upper, lower;
#pragma GCC unroll 16
        for (int j = 0; j < EXCHANGE; j++) {
            upper[j] = j & half ? EXCHANGE + j - half : j;
            lower[j] = j & half ? EXCHANGE + j : j + half;
        }
#pragma GCC unroll 16
        for (int i = 0; i < EXCHANGE; i++) {
            if (i & half)
                continue;
            vector above = rows[i], below = rows[i + half];
            rows[i] = __builtin_shuffle(above, below, upper);
            rows[i + half] = __builtin_shuffle(above, below, lower);
        }
    }
    for (int i = 0; i < EXCHANGE; i++)
        *(vector *)(to + i * EXCHANGE) = rows[i];
}

/* The same of from[rows][columns] only; further columns of `to` are zeros. */
static void exchange(const float *from, size_t stride, int rows, int columns, float *to)
{
    if (rows == EXCHANGE && columns == EXCHANGE) {
        exchange_block(from, stride, to);
        return;
    }
    for (int j = 0; j < columns; j++) {
        for (int i = 0; i < EXCHANGE; i++)
            to[j * EXCHANGE + i] = i < rows ? from[(size_t)i * stride + j] : 0;
    }
}

/* Where the first tap of a square of EXCHANGE rows and a vector of columns is read. */
static const float *wino_square(const float *kernel, bool turned, int c, int k, int block)
{
    int columns = pd_divide_up(k, PD_TILE_WIDTH);
    ptrdiff_t row = block / columns * EXCHANGE, column = block % columns * PD_TILE_WIDTH;
    return kernel + (turned ? column * c + row : row * k + column);
}

/* Transforms kernel[3][3][c][k] to transformed[position][panel][c][columns of panel]. With
 * `turned`, kernel is [3][3][k][c]. Columns behind the last one are not set to anything in
 * particular. */
static void wino_transform_kernel(const wino_shape *shape, const float *kernel, bool turned,
                                  float *transformed, int threads)
{
    int c = shape->c, k = shape->k, padded = pd_tile_padded(k);
    int panel_width = pd_tile_panel_vectors(k) * PD_TILE_WIDTH;
    size_t step = wino_kernel_step(shape);
    /* A kernel is an image of 3 x 3 pixels with c * k channels. */
    images image = images_make(KERNEL, KERNEL, c * k, 1, kernel);
    bool far = pd_tile_is_far(transformed, step, POSITIONS * step * sizeof(float));
    int columns_of_blocks = pd_divide_up(padded, PD_TILE_WIDTH);
    int blocks = pd_divide_up(c, EXCHANGE) * columns_of_blocks;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static) nowait
        for (int block = 0; block < blocks; block++) {
            int first = block / columns_of_blocks * EXCHANGE;
            int column = block % columns_of_blocks * PD_TILE_WIDTH;
            _Alignas(64) float buffer[KERNEL * KERNEL * EXCHANGE * PD_TILE_WIDTH];
            _Alignas(64) float result[POSITIONS * PD_TILE_WIDTH];
            int rows = pd_min_int(EXCHANGE, c - first),
                columns = pd_min_int(PD_TILE_WIDTH, k - column);
            int panel = column / panel_width * panel_width;
            int width = pd_min_int(panel_width, padded - panel);
            float *to = transformed + (size_t)panel * (size_t)c + (column - panel);
            const float *next =
                wino_square(kernel, turned, c, k, pd_min_int(block + 1, blocks - 1));
            for (int tap = 0; turned && tap < KERNEL * KERNEL; tap++)
                exchange(kernel + ((size_t)(KERNEL * KERNEL - 1 - tap) * k + column) * c + first,
                         (size_t)c, columns, rows, buffer + tap * EXCHANGE * PD_TILE_WIDTH);
            for (int i = 0; i < rows; i++) {
                /* The next square's lines, which lie too far apart to be foreseen. */
                for (int tap = 0; tap < KERNEL * KERNEL; tap++)
                    __builtin_prefetch(
                        next + ((ptrdiff_t)tap * c * k + (ptrdiff_t)i * (turned ? c : k)), 0, 2);
                patch from = {buffer + i * PD_TILE_WIDTH, KERNEL * EXCHANGE * PD_TILE_WIDTH,
                              EXCHANGE * PD_TILE_WIDTH};
                if (!turned)
                    from = images_patch(&image, 0, 0, 0, (first + i) * k + column, KERNEL, buffer);
                float *row = to + (size_t)(first + i) * (size_t)width;
                square_transform(line_kernel, KERNEL, INPUT, from.first, from.row, from.column,
                                 far ? result : row, far ? PD_TILE_WIDTH : step);
                for (size_t position = 0; far && position < POSITIONS; position++)
                    pd_tile_store_far(row + position * step,
                                      *(const vector *)(result + position * PD_TILE_WIDTH));
            }
        }
        if (far)
            pd_tile_finish_far();
    }
}

/* Asks for the lines of a vector's square of rows x columns, of which some may lie outside of the
 * array: the processor, who sees no pattern in squares, does not ask for them itself. */
INLINE void fetch_square(const float *data, ptrdiff_t first, ptrdiff_t row, ptrdiff_t column,
                         const int rows, const int columns)
{
    uintptr_t at = (uintptr_t)data + (uintptr_t)first * sizeof *data;
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++)
            __builtin_prefetch(
                (const void *)(at + (uintptr_t)(i * row + j * column) * sizeof *data));
    }
}

/* The vector of channels from `channel` on of tile `tile`, 36 positions of it, to `to`. The same of
 * the next tile to the right is asked for. */
static void wino_transform_input(const images *x, const place *at, int pad_top, int pad_left,
                                 int channel, float *to, size_t step)
{
    _Alignas(64) float buffer[POSITIONS * PD_TILE_WIDTH];
    patch from =
        images_patch(x, at->sample, at->y - pad_top, at->x - pad_left, channel, INPUT, buffer);
    ptrdiff_t column = x->c, row = (ptrdiff_t)x->w * x->c;
    ptrdiff_t next = (at->sample * (ptrdiff_t)x->h + at->y - pad_top) * row +
                     (at->x - pad_left + INPUT) * column + channel;
    fetch_square(x->data, next, row, column, INPUT, OUTPUT);
    square_transform(line_input, INPUT, INPUT, from.first, from.row, from.column, to, step);
}

/* The panel of the transformed kernel that unit `unit` of the products reads. */
static const float *wino_panel(const wino_shape *shape, const float *kernel, int unit)
{
    int panel_width = pd_tile_panel_vectors(shape->k) * PD_TILE_WIDTH;
    int panels = pd_divide_up(pd_tile_padded(shape->k), panel_width);
    return kernel + (size_t)(unit / panels) * wino_kernel_step(shape) +
           (size_t)(unit % panels * panel_width) * (size_t)shape->c;
}

/* Units first .. end - 1 of the products: position by position, panel by panel. */
static void wino_multiply(const wino_shape *shape, int tiles, const float *input,
                          const float *kernel, float *output, int first, int end)
{
    int c = shape->c, padded = pd_tile_padded(shape->k);
    int panel_width = pd_tile_panel_vectors(shape->k) * PD_TILE_WIDTH;
    int panels = pd_divide_up(padded, panel_width);
    int pitch = pd_tile_padded(c);
    pd_tile_walk walk = {{1, 1, c}, {0, 0, 1}, NULL};
    const float *right = wino_panel(shape, kernel, first);
    for (int unit = first; unit < end; unit++) {
        size_t position = (size_t)(unit / panels);
        int column = unit % panels * panel_width;
        int width = pd_min_int(panel_width, padded - column);
        int vectors = width / PD_TILE_WIDTH;
        const float *left = input + position * wino_input_step(shape);
        const float *next = unit + 1 < end ? wino_panel(shape, kernel, unit + 1) : right;
        float *to = output + position * wino_output_step(shape) + (size_t)column * (size_t)tiles;
        int parts = pd_divide_up(tiles, pd_tile_max_rows(vectors));
        for (int part = 0; part < parts; part++) {
            int row = share(tiles, part, parts), rows = share(tiles, part + 1, parts) - row;
            /* Large kernels come from memory, and so each panel is asked for beside the last. */
            walk.ahead = pd_tile_ahead(next, c, vectors, part);
            pd_tile_multiply(rows, vectors, left + (size_t)row * (size_t)pitch, pitch, &walk, right,
                             to + (size_t)row * (size_t)width);
        }
        right = next;
    }
}

/* `sum` where it is greater than `least`, or not a number; else `least`. */
INLINE vector clamp_vector(vector sum, vector least)
{
    integers below = sum < least;
    return (vector)((below & (integers)least) | (~below & (integers)sum));
}

/* Transforms a vector of outputs of a tile back and stores it, plus bias, but no less than `least`,
 * and 0 where the mask is not positive, as far as it lies within y. */
static void wino_store(const wino_shape *shape, const place *at, const float *from, size_t step,
                       int column, const float *bias, float least, const float *mask, bool far,
                       float *y)
{
    _Alignas(64) float buffer[OUTPUT * OUTPUT * PD_TILE_WIDTH];
    square_transform(line_output, INPUT, OUTPUT, from, (ptrdiff_t)(INPUT * step), (ptrdiff_t)step,
                     buffer, PD_TILE_WIDTH);
    size_t k = (size_t)shape->k;
    int rows = pd_min_int(OUTPUT, shape->out_h - at->y),
        columns = pd_min_int(OUTPUT, shape->out_w - at->x);
    int count = pd_min_int(PD_TILE_WIDTH, shape->k - column);
    size_t row_size = (size_t)shape->out_w * k;
    size_t first = ((size_t)at->sample * (size_t)shape->out_h + (size_t)at->y) * row_size +
                   (size_t)at->x * k + (size_t)column;
    vector add = *(const vector *)bias, floor = (vector){0} + least;
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
            size_t offset = first + (size_t)i * row_size + (size_t)j * k;
            float *to = y + offset;
            vector sum = *(const vector *)(buffer + (i * OUTPUT + j) * PD_TILE_WIDTH) + add;
            sum = clamp_vector(sum, floor);
            if (count < PD_TILE_WIDTH) {
                for (int n = 0; n < count; n++)
                    to[n] = mask && !(mask[offset + n] > 0) ? 0 : sum[n];
                continue;
            }
            if (mask)
                sum = (vector)((*(const vector *)(mask + offset) > 0) & (integers)sum);
            if (far)
                pd_tile_store_far(to, sum);
            else
                *(vector *)to = sum;
        }
    }
}

/* Part `part` of `parts` of the work on `tiles` tiles from `first` on. All parts work at once. */
static void wino_block(const wino_shape *shape, int first, int tiles, const images *x,
                       const float *bias, const float *kernel, float least, const float *mask,
                       float *y, float *input, int part, int parts)
{
    float *output = input + POSITIONS * wino_input_step(shape);
    int pitch = pd_tile_padded(shape->c), padded = pd_tile_padded(shape->k);
    int vectors = pitch / PD_TILE_WIDTH;
    /* Tile by tile: to divide for each vector would take as long as a part of its transform. */
    int end = share(tiles * vectors, part + 1, parts);
    for (int unit = share(tiles * vectors, part, parts); unit < end;) {
        int tile = unit / vectors;
        place at = grid_place(&shape->grid, first + tile);
        for (int v = unit % vectors; v < vectors && unit < end; v++, unit++)
            wino_transform_input(x, &at, shape->pad_top, shape->pad_left, v * PD_TILE_WIDTH,
                                 input + (size_t)tile * (size_t)pitch + (size_t)v * PD_TILE_WIDTH,
                                 wino_input_step(shape));
    }
    if (parts > 1) {
#pragma omp barrier
    }
    int panel_width = pd_tile_panel_vectors(shape->k) * PD_TILE_WIDTH;
    int units = POSITIONS * pd_divide_up(padded, panel_width);
    wino_multiply(shape, tiles, input, kernel, output, share(units, part, parts),
                  share(units, part + 1, parts));
    if (parts > 1) {
#pragma omp barrier
    }
    size_t pixels = (size_t)(shape->tiles * OUTPUT * OUTPUT);
    bool far = pd_tile_is_far(y, (size_t)shape->k, pixels * (size_t)shape->k * sizeof *y);
    vectors = padded / PD_TILE_WIDTH;
    end = share(tiles * vectors, part + 1, parts);
    for (int unit = share(tiles * vectors, part, parts); unit < end;) {
        int tile = unit / vectors, column = unit % vectors * PD_TILE_WIDTH;
        int panel = column / panel_width * panel_width;
        place at = grid_place(&shape->grid, first + tile);
        for (; column < padded && unit < end; column += PD_TILE_WIDTH, unit++) {
            if (column == panel + panel_width)
                panel = column;
            int width = pd_min_int(panel_width, padded - panel);
            wino_store(shape, &at,
                       output + (size_t)panel * (size_t)tiles + (size_t)tile * (size_t)width +
                           (column - panel),
                       wino_output_step(shape), column, bias + column, least, mask, far, y);
        }
    }
    if (far)
        pd_tile_finish_far();
}

/* x [samples][h][w][c] -> y [samples][out_h][out_w][k], with the kernel transformed already. */
static void wino_run(const wino_shape *shape, const images *x, const float *bias, bool relu,
                     const float *mask, float *y, float *workspace, int threads)
{
    int padded = pd_tile_padded(shape->k);
    float *kernel = workspace + padded, *blocks = workspace + wino_kernel_size(shape);
    float least = relu ? 0 : -INFINITY;
    for (int j = 0; j < padded; j++)
        workspace[j] = bias && j < shape->k ? bias[j] : 0;
#pragma omp parallel num_threads(threads)
    {
        int part = omp_get_thread_num(), parts = omp_get_num_threads();
        if (shape->shared) {
            for (int first = 0; first < shape->tiles; first += shape->block)
                wino_block(shape, first, pd_min_int(shape->block, shape->tiles - first), x,
                           workspace, kernel, least, mask, y, blocks, part, parts);
        } else {
#pragma omp for schedule(dynamic)
            for (int first = 0; first < shape->tiles; first += shape->block)
                wino_block(shape, first, pd_min_int(shape->block, shape->tiles - first), x,
                           workspace, kernel, least, mask, y,
                           blocks + (size_t)part * wino_block_size(shape), 0, 1);
        }
    }
}

size_t pd_winograd_forward_workspace(const pd_window *window, int samples, int k, int threads)
{
    wino_shape shape = wino_shape_forward(window, samples, k, threads);
    return wino_workspace(&shape, threads);
}

void pd_winograd_forward(const pd_window *window, int samples, int k, const float *x,
                         const float *kernel, const float *bias, bool relu, float *y,
                         float *workspace, int threads)
{
    wino_shape shape = wino_shape_forward(window, samples, k, threads);
    images from = images_make(shape.h, shape.w, shape.c, samples, x);
    wino_transform_kernel(&shape, kernel, false, workspace + pd_tile_padded(shape.k), threads);
    wino_run(&shape, &from, bias, relu, NULL, y, workspace, threads);
}

size_t pd_winograd_backward_input_workspace(const pd_window *window, int samples, int k,
                                            int threads)
{
    wino_shape shape = wino_shape_input(window, samples, k, threads);
    return wino_workspace(&shape, threads);
}

void pd_winograd_backward_input(const pd_window *window, int samples, int k, const float *dy,
                                const float *kernel, const float *mask, float *dx, float *workspace,
                                int threads)
{
    wino_shape shape = wino_shape_input(window, samples, k, threads);
    images from = images_make(shape.h, shape.w, shape.c, samples, dy);
    wino_transform_kernel(&shape, kernel, true, workspace + pd_tile_padded(shape.k), threads);
    wino_run(&shape, &from, NULL, false, mask, dx, workspace, threads);
}

/* --- The gradient of the kernel: at each position the product of transformed inputs and
 * transformed dy over the tiles of a lane, transformed back to 3 x 3 for one register tile at a
 * time. --- */

typedef struct gradient_shape {
    int c, k;
    int pad_top, pad_left;
    grid grid;
    int groups; /* of the c channels, each the rows of a register tile */
    int padded; /* k, rounded up to whole vectors */
    int panel;  /* columns of a panel, the last one may have fewer */
    int tiles;  /* of a lane */
    int most;   /* tiles for which there is room */
    int block;  /* tiles in work together; orders the sums */
} gradient_shape;

static gradient_shape gradient_shape_make(const pd_window *window, int lane_samples, int k)
{
    gradient_shape shape = {.c = window->c,
                            .k = k,
                            .pad_top = window->pad_top,
                            .pad_left = window->pad_left,
                            .grid = grid_make(window->out_h, window->out_w),
                            .padded = pd_tile_padded(k)};
    int vectors = pd_tile_panel_vectors(k);
    shape.groups = pd_divide_up(window->c, pd_tile_max_rows(vectors));
    shape.panel = vectors * PD_TILE_WIDTH;
    shape.tiles = lane_samples * shape.grid.rows * shape.grid.columns;
    int channels = shape.groups * PD_TILE_WIDTH + shape.padded;
    int block = pd_max_int(GRADIENT_TILES, GRADIENT_FLOATS / (POSITIONS * channels));
    /* Two small blocks cost more than one that is too large. */
    shape.most = pd_min_int(2 * block - 1, shape.tiles);
    shape.block = pd_divide_up(shape.tiles, pd_max_int(1, shape.tiles / block));
    return shape;
}

/* Floats of a block's inputs [group][position][tile][vector], and of its dy [panel][position][tile]
 * [columns of panel]. The last position of dy is the sum of the tile, for the bias. */
static size_t gradient_input_size(const gradient_shape *shape)
{
    return (size_t)shape->groups * POSITIONS * (size_t)shape->most * PD_TILE_WIDTH;
}

static size_t gradient_block_size(const gradient_shape *shape)
{
    return gradient_input_size(shape) +
           (POSITIONS + 1) * (size_t)shape->most * (size_t)shape->padded;
}

/* What becomes of a block's sums. */
typedef enum gradient_target { GRADIENT_ADD, GRADIENT_STORE, GRADIENT_STORE_FAR } gradient_target;

/* Sends a vector, or its first `count` floats, to `to`. */
INLINE void gradient_send(int count, const float *from, gradient_target target, float *to)
{
    if (count < PD_TILE_WIDTH)
        for (int j = 0; j < count; j++)
            to[j] = target == GRADIENT_ADD ? to[j] + from[j] : from[j];
    else if (target == GRADIENT_STORE_FAR)
        pd_tile_store_far(to, *(const vector *)from);
    else if (target == GRADIENT_STORE)
        *(vector *)to = *(const vector *)from;
    else
        *(vector *)to += *(const vector *)from;
}

/* One register tile: rows channels from `first` on, columns outputs from `column` on. */
static void gradient_tile(const gradient_shape *shape, int tiles, int first, int rows, int column,
                          int width, const float *input, const float *output,
                          gradient_target target, float *dkernel)
{
    _Alignas(64) float sums[POSITIONS * (PD_TILE_SIZE + PD_TILE_WIDTH)];
    _Alignas(64) float taps[KERNEL * KERNEL * PD_TILE_WIDTH];
    size_t step = PD_TILE_SIZE + PD_TILE_WIDTH;
    pd_tile_walk walk = {{1, 1, tiles}, {0, 0, PD_TILE_WIDTH}, NULL};
    for (size_t position = 0; position < POSITIONS; position++)
        pd_tile_multiply(rows, width / PD_TILE_WIDTH,
                         input + position * (size_t)tiles * PD_TILE_WIDTH, 1, &walk,
                         output + position * (size_t)tiles * (size_t)width, sums + position * step);
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < width; v += PD_TILE_WIDTH) {
            square_transform(line_kernel_gradient, INPUT, KERNEL, sums + r * width + v,
                             (ptrdiff_t)(INPUT * step), (ptrdiff_t)step, taps, PD_TILE_WIDTH);
            int count = pd_min_int(PD_TILE_WIDTH, shape->k - column - v);
            float *to = dkernel + (size_t)(first + r) * (size_t)shape->k + column + v;
            for (int tap = 0; tap < KERNEL * KERNEL; tap++) {
                gradient_send(count, taps + tap * PD_TILE_WIDTH, target, to);
                to += (size_t)shape->c * (size_t)shape->k;
            }
        }
    }
}

/* The gradient of the bias: the sum of the tiles' sums, as a product with ones. */
static void gradient_bias(int tiles, int vectors, int columns, const float *sums,
                          gradient_target target, float *dbias)
{
    static const float one = 1;
    _Alignas(64) float total[PD_TILE_SIZE];
    pd_tile_walk walk = {{1, 1, tiles}, {0, 0, 0}, NULL};
    pd_tile_multiply(1, vectors, &one, 1, &walk, sums, total);
    for (int j = 0; j < columns; j += PD_TILE_WIDTH)
        gradient_send(pd_min_int(PD_TILE_WIDTH, columns - j), total + j, target, dbias + j);
}

/* A vector of dy of one tile, 36 positions of it and its sum. */
static void gradient_transform_output(const images *dy, const place *at, int column, float *to,
                                      size_t step)
{
    _Alignas(64) float buffer[OUTPUT * OUTPUT * PD_TILE_WIDTH];
    patch from = images_patch(dy, at->sample, at->y, at->x, column, OUTPUT, buffer);
    square_transform(line_output_gradient, OUTPUT, INPUT, from.first, from.row, from.column, to,
                     step);
    vector sum = {0};
    for (int i = 0; i < OUTPUT; i++) {
        for (int j = 0; j < OUTPUT; j++)
            sum += *(const vector *)(from.first + i * from.row + j * from.column);
    }
    *(vector *)(to + POSITIONS * step) = sum;
}

/* Part `part` of `parts` of the work on `tiles` tiles of a lane from `first` on. All parts work at
 * once. */
static void gradient_block(const gradient_shape *shape, int first, int tiles, const images *x,
                           const images *dy, float *dkernel, float *dbias, bool far, float *input,
                           int part, int parts)
{
    float *output = input + gradient_input_size(shape);
    int vectors = shape->groups + shape->padded / PD_TILE_WIDTH;
    int end = share(tiles * vectors, part + 1, parts);
    for (int unit = share(tiles * vectors, part, parts); unit < end;) {
        int tile = unit / vectors, v = unit % vectors;
        place at = grid_place(&shape->grid, first + tile);
        for (; v < shape->groups && unit < end; v++, unit++)
            wino_transform_input(
                x, &at, shape->pad_top, shape->pad_left, share(shape->c, v, shape->groups),
                input + ((size_t)v * POSITIONS * (size_t)tiles + (size_t)tile) * PD_TILE_WIDTH,
                (size_t)tiles * PD_TILE_WIDTH);
        int column = (v - shape->groups) * PD_TILE_WIDTH;
        int panel = column / shape->panel * shape->panel;
        for (; column < shape->padded && unit < end; column += PD_TILE_WIDTH, unit++) {
            if (column == panel + shape->panel)
                panel = column;
            size_t width = (size_t)pd_min_int(shape->panel, shape->padded - panel);
            gradient_transform_output(dy, &at, column,
                                      output + (size_t)panel * (POSITIONS + 1) * (size_t)tiles +
                                          (size_t)tile * width + (column - panel),
                                      (size_t)tiles * width);
        }
    }
    if (parts > 1) {
#pragma omp barrier
    }
    gradient_target target = GRADIENT_ADD;
    if (first == 0)
        target = GRADIENT_STORE;
    if (tiles == shape->tiles && far)
        target = GRADIENT_STORE_FAR;
    int units = shape->groups * pd_divide_up(shape->padded, shape->panel);
    end = share(units, part + 1, parts);
    for (int unit = share(units, part, parts); unit < end; unit++) {
        int column = unit / shape->groups * shape->panel, group = unit % shape->groups;
        int width = pd_min_int(shape->panel, shape->padded - column);
        const float *panel = output + (size_t)column * (POSITIONS + 1) * (size_t)tiles;
        int channel = share(shape->c, group, shape->groups);
        gradient_tile(shape, tiles, channel, share(shape->c, group + 1, shape->groups) - channel,
                      column, width,
                      input + (size_t)group * POSITIONS * (size_t)tiles * PD_TILE_WIDTH, panel,
                      target, dkernel);
        if (dbias && group == 0)
            gradient_bias(tiles, width / PD_TILE_WIDTH, pd_min_int(width, shape->k - column),
                          panel + POSITIONS * (size_t)tiles * (size_t)width, target,
                          dbias + column);
    }
    if (target == GRADIENT_STORE_FAR)
        pd_tile_finish_far();
    if (parts > 1) {
#pragma omp barrier
    }
}

size_t pd_winograd_backward_kernel_workspace(const pd_window *window, int lane_samples, int k,
                                             int threads)
{
    gradient_shape shape = gradient_shape_make(window, lane_samples, k);
    return (size_t)threads * gradient_block_size(&shape);
}

void pd_winograd_backward_kernel(const pd_window *window, int lanes, int lane_samples, int k,
                                 const float *x, const float *dy, float *dkernel, float *dbias,
                                 size_t stride, float *workspace, int threads)
{
    gradient_shape shape = gradient_shape_make(window, lane_samples, k);
    size_t x_lane = (size_t)lane_samples * (size_t)window->h * (size_t)window->w * (size_t)shape.c;
    size_t dy_lane =
        (size_t)lane_samples * (size_t)window->out_h * (size_t)window->out_w * (size_t)k;
    bool shared = lanes % threads != 0;
    size_t bytes = (size_t)(lanes * KERNEL * KERNEL * shape.c) * (size_t)k * sizeof *dkernel;
    bool far = pd_tile_is_far(dkernel, (size_t)k, bytes) && stride % PD_TILE_WIDTH == 0 &&
               (!dbias || (uintptr_t)dbias % sizeof(vector) == 0);
#pragma omp parallel num_threads(threads)
    {
        int part = omp_get_thread_num(), parts = omp_get_num_threads();
        /* Each thread has lanes of its own, or all have the same one. */
        int first_lane = shared ? 0 : share(lanes, part, parts);
        int end_lane = shared ? lanes : share(lanes, part + 1, parts);
        float *block = workspace + (shared ? 0 : (size_t)part * gradient_block_size(&shape));
        for (int lane = first_lane; lane < end_lane; lane++) {
            images from =
                images_make(window->h, window->w, shape.c, lane_samples, x + (size_t)lane * x_lane);
            images to = images_make(window->out_h, window->out_w, k, lane_samples,
                                    dy + (size_t)lane * dy_lane);
            for (int first = 0; first < shape.tiles; first += shape.block)
                gradient_block(&shape, first, pd_min_int(shape.block, shape.tiles - first), &from,
                               &to, dkernel + (size_t)lane * stride,
                               dbias ? dbias + (size_t)lane * stride : NULL, far, block,
                               shared ? part : 0, shared ? parts : 1);
        }
    }
}
