#include "pneumo/kernels/conv.h"
#include "pneumo/kernels/integer.h"
#include "pneumo/kernels/pointwise.h"
#include "pneumo/kernels/tile.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Floats of a thread's copy of the input that leave room for the kernel and the output in a
 * second-level cache of 1 to 2 MiB. The kernel gradient wants more: all samples of a lane at once,
 * for small images, so that its large output is written only once. */
enum { CONV_FORWARD_FLOATS = 64 * 1024, CONV_KERNEL_FLOATS = 256 * 1024 };

/* Parts per thread into which the samples are cut, so that threads end at about the same time. */
enum { CONV_PARTS = 4 };

static int greatest_common_divisor(int a, int b)
{
    return b ? greatest_common_divisor(b, a % b) : a;
}

/* A convolution of [h][w][c] with `zoom` - 1 zero rows and columns put between its elements, in a
 * frame of zeros, that gives [out_h][out_w][k]. Both directions are of this kind: forward has zoom
 * 1, backward to the input has the forward stride as its zoom and stride 1. */
typedef struct conv_shape {
    int h, w, c, zoom;
    int pad_top, pad_left;
    int kernel_h, kernel_w, stride;
    int out_h, out_w, k;
    int frame_w; /* columns of the padded input that the outputs see */
    int bands;   /* bands of output rows into which a sample is cut */
    int band;    /* output rows of a band, the last one may have fewer */
    int group;   /* samples in cache together; 1 if there are bands */
} conv_shape;

/* Sets frame_w, bands, band and group so that the copied input, with `more` floats per output row,
 * takes about `limit` floats. */
static void conv_cut(conv_shape *shape, int most_samples, size_t limit, size_t more)
{
    shape->frame_w = (shape->out_w - 1) * shape->stride + shape->kernel_w;
    size_t row = (size_t)shape->frame_w * (size_t)shape->c;
    size_t fixed = (size_t)(shape->kernel_h - 1) * row;
    size_t per_output_row = (size_t)shape->stride * row + more;
    size_t rows = limit > fixed ? (limit - fixed) / per_output_row : 0;
    if (rows < 1)
        rows = 1;
    shape->bands = rows < (size_t)shape->out_h ? pd_divide_up(shape->out_h, (int)rows) : 1;
    shape->band = pd_divide_up(shape->out_h, shape->bands);
    shape->bands = pd_divide_up(shape->out_h, shape->band);
    shape->group = 1;
    if (shape->bands == 1) {
        size_t fit = limit / (fixed + (size_t)shape->out_h * per_output_row);
        shape->group = fit < 1 ? 1 : fit < (size_t)most_samples ? (int)fit : most_samples;
    }
}

/* Floats of the framed rows that `rows` output rows see. */
static size_t conv_frame_size(const conv_shape *shape, int rows)
{
    return (size_t)((rows - 1) * shape->stride + shape->kernel_h) * (size_t)shape->frame_w *
           (size_t)shape->c;
}

/* Copies what output rows first .. first + rows - 1 of a sample see to frame[...][frame_w][c]. */
static void conv_copy_frame(const conv_shape *shape, const float *x, int first, int rows,
                            float *frame)
{
    size_t c = (size_t)shape->c;
    size_t row = (size_t)shape->frame_w * c;
    int top = first * shape->stride - shape->pad_top;
    int height = (rows - 1) * shape->stride + shape->kernel_h;
    int columns = pd_min_int(shape->w, pd_divide_up(shape->frame_w - shape->pad_left, shape->zoom));
    for (int i = 0; i < height; i++) {
        float *to = frame + (size_t)i * row;
        int y = top + i;
        if (y < 0 || y % shape->zoom != 0 || y / shape->zoom >= shape->h) {
            memset(to, 0, row * sizeof *to);
            continue;
        }
        const float *from = x + (size_t)(y / shape->zoom) * (size_t)shape->w * c;
        if (shape->zoom == 1) {
            size_t left = (size_t)shape->pad_left * c;
            size_t middle = (size_t)columns * c;
            memset(to, 0, left * sizeof *to);
            memcpy(to + left, from, middle * sizeof *to);
            memset(to + left + middle, 0, (row - left - middle) * sizeof *to);
        } else {
            memset(to, 0, row * sizeof *to);
            for (int j = 0; j < columns; j++)
                memcpy(to + (size_t)(shape->pad_left + j * shape->zoom) * c, from + (size_t)j * c,
                       c * sizeof *to);
        }
    }
}

/* --- Outputs from inputs: forward, and backward to the input. --- */

static conv_shape conv_shape_forward(const pd_window *window, int samples, int k, int threads)
{
    conv_shape shape = {.h = window->h,
                        .w = window->w,
                        .c = window->c,
                        .zoom = 1,
                        .pad_top = window->pad_top,
                        .pad_left = window->pad_left,
                        .kernel_h = window->kernel_h,
                        .kernel_w = window->kernel_w,
                        .stride = window->stride,
                        .out_h = window->out_h,
                        .out_w = window->out_w,
                        .k = k};
    conv_cut(&shape, pd_divide_up(samples, CONV_PARTS * threads), CONV_FORWARD_FLOATS, 0);
    return shape;
}

static conv_shape conv_shape_input(const pd_window *window, int samples, int k, int threads)
{
    conv_shape shape = {.h = window->out_h,
                        .w = window->out_w,
                        .c = k,
                        .zoom = window->stride,
                        .pad_top = window->kernel_h - 1 - window->pad_top,
                        .pad_left = window->kernel_w - 1 - window->pad_left,
                        .kernel_h = window->kernel_h,
                        .kernel_w = window->kernel_w,
                        .stride = 1,
                        .out_h = window->h,
                        .out_w = window->w,
                        .k = window->c};
    conv_cut(&shape, pd_divide_up(samples, CONV_PARTS * threads), CONV_FORWARD_FLOATS, 0);
    return shape;
}

/* Floats of the kernel in panels, and of the bias behind it. */
static size_t conv_packed_size(const conv_shape *shape)
{
    return ((size_t)shape->kernel_h * (size_t)shape->kernel_w * (size_t)shape->c + 1) *
           (size_t)pd_tile_padded(shape->k);
}

static size_t conv_run_workspace(const conv_shape *shape, int threads)
{
    return conv_packed_size(shape) +
           (size_t)threads * (size_t)shape->group * conv_frame_size(shape, shape->band);
}

/* Packs kernel[kernel_h][kernel_w][c][k] into panels [kernel_h * kernel_w * c][columns of panel].
 * With `turned`, kernel is [kernel_h][kernel_w][k][c] and is turned by 180 degrees. */
static void conv_pack_kernel(const conv_shape *shape, const float *kernel, bool turned,
                             float *packed, int threads)
{
    int taps = shape->kernel_h * shape->kernel_w;
    int c = shape->c, k = shape->k;
    int padded = pd_tile_padded(k);
    int panel_width = pd_tile_panel_vectors(k) * PD_TILE_WIDTH;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int first = 0; first < padded; first += panel_width) {
        for (int tap = 0; tap < taps; tap++) {
            int width = pd_min_int(panel_width, padded - first);
            int columns = pd_min_int(width, k - first);
            float *panel = packed + (size_t)first * (size_t)taps * (size_t)c +
                           (size_t)tap * (size_t)c * (size_t)width;
            if (!turned) {
                pd_tile_pack(c, columns, width, kernel + (size_t)tap * c * k + first, (size_t)k,
                             panel);
                continue;
            }
            const float *from = kernel + (size_t)(taps - 1 - tap) * c * k + (size_t)first * c;
            for (int i = 0; i < c; i++) {
                for (int j = 0; j < width; j++)
                    panel[(size_t)i * width + j] = j < columns ? from[(size_t)j * c + i] : 0;
            }
        }
    }
}

/* Writes a tile of sums [rows][width], plus bias, but no less than `least`, to y[rows][columns],
 * rows k floats apart. */
static void conv_store(int rows, int width, int columns, const float *sums, const float *bias,
                       float least, float *y, size_t k)
{
    for (int r = 0; r < rows; r++) {
        const float *from = sums + (size_t)r * (size_t)width;
        float *to = y + (size_t)r * k;
        for (int j = 0; j < columns; j++) {
            float sum = from[j] + bias[j];
            to[j] = sum < least ? least : sum;
        }
    }
}

/* One panel of outputs of one row. frame points to the first row that output row sees. */
static void conv_run_row(const conv_shape *shape, const float *frame, const float *panel,
                         int vectors, int columns, const float *bias, float least, float *y)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    ptrdiff_t step = (ptrdiff_t)shape->stride * shape->c;
    pd_tile_walk walk = {{1, shape->kernel_h, shape->kernel_w * shape->c},
                         {0, (ptrdiff_t)shape->frame_w * shape->c, 1},
                         NULL};
    int tiles = pd_divide_up(shape->out_w, pd_tile_max_rows(vectors));
    for (int tile = 0; tile < tiles; tile++) {
        int first = tile * shape->out_w / tiles;
        int rows = (tile + 1) * shape->out_w / tiles - first;
        pd_tile_multiply(rows, vectors, frame + first * step, step, &walk, panel, sums);
        conv_store(rows, vectors * PD_TILE_WIDTH, columns, sums, bias, least,
                   y + (size_t)first * (size_t)shape->k, (size_t)shape->k);
    }
}

/* x [samples][h][w][c] -> y [samples][out_h][out_w][k]. The workspace is the packed kernel and
 * bias, then a frame per thread. */
static void conv_run(const conv_shape *shape, int samples, const float *x, const float *bias,
                     bool relu, float *y, float *workspace, int threads)
{
    size_t x_sample = (size_t)shape->h * (size_t)shape->w * (size_t)shape->c;
    size_t y_row = (size_t)shape->out_w * (size_t)shape->k;
    size_t steps = (size_t)shape->kernel_h * (size_t)shape->kernel_w * (size_t)shape->c;
    size_t frame_row = (size_t)shape->stride * (size_t)shape->frame_w * (size_t)shape->c;
    size_t frame_size = (size_t)shape->group * conv_frame_size(shape, shape->band);
    int padded = pd_tile_padded(shape->k);
    int panel_width = pd_tile_panel_vectors(shape->k) * PD_TILE_WIDTH;
    float least = relu ? 0 : -INFINITY;
    float *packed_bias = workspace + steps * (size_t)padded;
    for (int j = 0; j < padded; j++)
        packed_bias[j] = bias && j < shape->k ? bias[j] : 0;
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int first_sample = 0; first_sample < samples; first_sample += shape->group) {
        for (int band = 0; band < shape->bands; band++) {
            float *frame =
                workspace + conv_packed_size(shape) + (size_t)omp_get_thread_num() * frame_size;
            int first_row = band * shape->band;
            int rows = pd_min_int(shape->band, shape->out_h - first_row);
            int group = pd_min_int(shape->group, samples - first_sample);
            size_t sample_size = conv_frame_size(shape, rows);
            for (int n = 0; n < group; n++)
                conv_copy_frame(shape, x + (size_t)(first_sample + n) * x_sample, first_row, rows,
                                frame + (size_t)n * sample_size);
            for (int first = 0; first < padded; first += panel_width) {
                int vectors = pd_min_int(panel_width, padded - first) / PD_TILE_WIDTH;
                int columns = pd_min_int(panel_width, shape->k - first);
                const float *panel = workspace + (size_t)first * steps;
                for (int i = 0; i < group * rows; i++) {
                    int n = i / rows, row = i % rows;
                    size_t y_at = (size_t)(first_sample + n) * (size_t)shape->out_h +
                                  (size_t)(first_row + row);
                    conv_run_row(shape, frame + (size_t)n * sample_size + (size_t)row * frame_row,
                                 panel, vectors, columns, packed_bias + first, least,
                                 y + y_at * y_row + first);
                }
            }
        }
    }
}

size_t pd_conv_forward_workspace(const pd_window *window, int samples, int k, int threads)
{
    if (pd_pointwise_fits(window))
        return pd_pointwise_forward_workspace(window, samples, k);
    conv_shape shape = conv_shape_forward(window, samples, k, threads);
    return conv_run_workspace(&shape, threads);
}

void pd_conv_forward(const pd_window *window, int samples, int k, const float *x,
                     const float *kernel, const float *bias, bool relu, float *y, float *workspace,
                     int threads)
{
    if (pd_pointwise_fits(window)) {
        pd_pointwise_forward(window, samples, k, x, kernel, bias, relu, y, workspace, threads);
        return;
    }
    conv_shape shape = conv_shape_forward(window, samples, k, threads);
    conv_pack_kernel(&shape, kernel, false, workspace, threads);
    conv_run(&shape, samples, x, bias, relu, y, workspace, threads);
}

size_t pd_conv_backward_input_workspace(const pd_window *window, int samples, int k, int threads)
{
    if (pd_pointwise_fits(window))
        return pd_pointwise_backward_input_workspace(window, samples, k);
    conv_shape shape = conv_shape_input(window, samples, k, threads);
    return conv_run_workspace(&shape, threads);
}

void pd_conv_backward_input(const pd_window *window, int samples, int k, const float *dy,
                            const float *kernel, float *dx, float *workspace, int threads)
{
    if (pd_pointwise_fits(window)) {
        pd_pointwise_backward_input(window, samples, k, dy, kernel, dx, workspace, threads);
        return;
    }
    conv_shape shape = conv_shape_input(window, samples, k, threads);
    conv_pack_kernel(&shape, kernel, true, workspace, threads);
    conv_run(&shape, samples, dy, NULL, false, dx, workspace, threads);
}

/* --- The gradient of the kernel. --- */

/* As forward, but bands and groups depend on nothing but the sizes of one lane: they order the
 * sums. The copied dy counts too. */
static conv_shape conv_shape_kernel(const pd_window *window, int lane_samples, int k)
{
    conv_shape shape = conv_shape_forward(window, 1, k, 1);
    conv_cut(&shape, lane_samples, CONV_KERNEL_FLOATS,
             (size_t)shape.out_w * (size_t)pd_tile_padded(k));
    return shape;
}

/* Floats of a thread's part of the workspace: frames and panels of dy. */
static size_t conv_kernel_buffer(const conv_shape *shape)
{
    return (size_t)shape->group *
           (conv_frame_size(shape, shape->band) +
            (size_t)shape->band * (size_t)shape->out_w * (size_t)pd_tile_padded(shape->k));
}

size_t pd_conv_backward_kernel_workspace(const pd_window *window, int lane_samples, int k,
                                         int threads)
{
    if (pd_pointwise_fits(window))
        return pd_pointwise_backward_kernel_workspace(window, lane_samples, k, threads);
    conv_shape shape = conv_shape_kernel(window, lane_samples, k);
    return (size_t)threads * conv_kernel_buffer(&shape);
}

/* Adds a tile of sums [rows][width] to out[rows][columns], or overwrites it. */
static void conv_add(int rows, int width, int columns, const float *sums, bool overwrite,
                     float *out, size_t k)
{
    for (int r = 0; r < rows; r++) {
        const float *from = sums + (size_t)r * (size_t)width;
        float *to = out + (size_t)r * k;
        if (overwrite) {
            for (int j = 0; j < columns; j++)
                to[j] = from[j];
        } else {
            for (int j = 0; j < columns; j++)
                to[j] += from[j];
        }
    }
}

/* Tiles first_tile .. end_tile - 1 of the kernel gradient of `group` framed samples, of which
 * `rows` output rows are at hand. A kernel row's kernel_w * c gradients see contiguous inputs. */
static void conv_kernel_tiles(const conv_shape *shape, int group, int rows, const float *frame,
                              const float *packed, int vectors, int columns, int first_tile,
                              int end_tile, int tiles, bool overwrite, float *dkernel)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    int span = shape->kernel_w * shape->c;
    ptrdiff_t frame_row = (ptrdiff_t)shape->frame_w * shape->c;
    pd_tile_walk walk = {{group, rows, shape->out_w},
                         {(ptrdiff_t)conv_frame_size(shape, rows), shape->stride * frame_row,
                          (ptrdiff_t)shape->stride * shape->c},
                         NULL};
    for (int i = first_tile; i < end_tile; i++) {
        int ky = i / tiles, tile = i % tiles;
        int first = (int)((long long)tile * span / tiles);
        int count = (int)((long long)(tile + 1) * span / tiles) - first;
        pd_tile_multiply(count, vectors, frame + ky * frame_row + first, 1, &walk, packed, sums);
        conv_add(count, vectors * PD_TILE_WIDTH, columns, sums, overwrite,
                 dkernel + ((size_t)ky * (size_t)span + (size_t)first) * (size_t)shape->k,
                 (size_t)shape->k);
    }
}

/* The gradient of the bias: the sum of dy over all positions, as a product with ones. */
static void conv_bias_tile(int positions, const float *packed, int vectors, int columns,
                           bool overwrite, float *dbias)
{
    static const float one = 1;
    _Alignas(64) float sums[PD_TILE_SIZE];
    pd_tile_walk walk = {{1, 1, positions}, {0, 0, 0}, NULL};
    pd_tile_multiply(1, vectors, &one, 1, &walk, packed, sums);
    conv_add(1, vectors * PD_TILE_WIDTH, columns, sums, overwrite, dbias, 0);
}

/* Slice `slice` of `slices` of one lane's gradient. */
static void conv_kernel_slice(const conv_shape *shape, int lane_samples, int slice, int slices,
                              const float *x, const float *dy, float *dkernel, float *dbias,
                              float *buffer)
{
    size_t x_sample = (size_t)shape->h * (size_t)shape->w * (size_t)shape->c;
    size_t k = (size_t)shape->k;
    int padded = pd_tile_padded(shape->k);
    int panel_width = pd_tile_panel_vectors(shape->k) * PD_TILE_WIDTH;
    float *packed = buffer + (size_t)shape->group * conv_frame_size(shape, shape->band);
    for (int first_sample = 0; first_sample < lane_samples; first_sample += shape->group) {
        int group = pd_min_int(shape->group, lane_samples - first_sample);
        for (int band = 0; band < shape->bands; band++) {
            bool overwrite = first_sample == 0 && band == 0;
            int first_row = band * shape->band;
            int rows = pd_min_int(shape->band, shape->out_h - first_row);
            int positions = group * rows * shape->out_w;
            /* A group of several samples has all their rows, so dy is contiguous. */
            const float *block =
                dy + ((size_t)first_sample * (size_t)shape->out_h + (size_t)first_row) *
                         (size_t)shape->out_w * k;
            for (int n = 0; n < group; n++)
                conv_copy_frame(shape, x + (size_t)(first_sample + n) * x_sample, first_row, rows,
                                buffer + (size_t)n * conv_frame_size(shape, rows));
            for (int first = 0; first < padded; first += panel_width) {
                int width = pd_min_int(panel_width, padded - first);
                int columns = pd_min_int(width, shape->k - first);
                int vectors = width / PD_TILE_WIDTH;
                int tiles = pd_divide_up(shape->kernel_w * shape->c, pd_tile_max_rows(vectors));
                int all = shape->kernel_h * tiles;
                pd_tile_pack(positions, columns, width, block + first, k, packed);
                if (dbias && slice == 0)
                    conv_bias_tile(positions, packed, vectors, columns, overwrite, dbias + first);
                conv_kernel_tiles(shape, group, rows, buffer, packed, vectors, columns,
                                  slice * all / slices, (slice + 1) * all / slices, tiles,
                                  overwrite, dkernel + first);
            }
        }
    }
}

void pd_conv_backward_kernel(const pd_window *window, int lanes, int lane_samples, int k,
                             const float *x, const float *dy, float *dkernel, float *dbias,
                             size_t stride, float *workspace, int threads)
{
    if (pd_pointwise_fits(window)) {
        pd_pointwise_backward_kernel(window, lanes, lane_samples, k, x, dy, dkernel, dbias, stride,
                                     workspace, threads);
        return;
    }
    conv_shape shape = conv_shape_kernel(window, lane_samples, k);
    size_t x_lane = (size_t)lane_samples * (size_t)shape.h * (size_t)shape.w * (size_t)shape.c;
    size_t dy_lane = (size_t)lane_samples * (size_t)shape.out_h * (size_t)shape.out_w * (size_t)k;
    /* So many slices that every thread gets the same number of them. They cut the gradient, not the
     * sums, so they may depend on the threads. */
    int slices = threads / greatest_common_divisor(lanes, threads);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (int slice = 0; slice < slices; slice++)
            conv_kernel_slice(&shape, lane_samples, slice, slices, x + (size_t)lane * x_lane,
                              dy + (size_t)lane * dy_lane, dkernel + (size_t)lane * stride,
                              dbias ? dbias + (size_t)lane * stride : NULL,
                              workspace +
                                  (size_t)omp_get_thread_num() * conv_kernel_buffer(&shape));
    }
}
