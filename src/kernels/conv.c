#include "pneumo/kernels/conv.h"

#include "pneumo/kernels/activation.h"

#include "pneumo/base/number.h"
#include "pointwise.h"
#include "tile.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Floats of a thread's copy of the input that leave room for the kernel and the output in a
 * second-level cache of 1 to 2 MiB. The kernel gradient uses more: for small images, all samples of
 * a lane at once, so that its large output is written only once. */
enum { CONV_FORWARD_FLOATS = 64 * 1024, CONV_KERNEL_FLOATS = 256 * 1024 };

/* Parts per thread into which the samples are cut, so that threads finish at about the same time.
 */
enum { CONV_PARTS = 4 };

/* A convolution of [h][w][c], with `zoom` - 1 zero rows and columns between its elements and a
 * frame of zeros around them, that gives [out_h][out_w][k]; and how it is cut. Both directions are
 * of this kind: forward has zoom 1; backward to the input has the forward stride as its zoom, and
 * stride 1.
 */
typedef struct conv_plan {
    int h, w, c, zoom;
    int pad_top, pad_left;
    int kernel_h, kernel_w, stride;
    int out_h, out_w, k;
    int samples; /* of all lanes; for the kernel gradient, of one lane */
    int threads;
    pd_precision precision;
    int frame_w; /* columns of the padded input that the outputs see */
    int bands;   /* bands of output rows into which a sample is cut */
    int band;    /* output rows of a band, the last one may have fewer */
    int group;   /* samples in cache together; 1 if there are bands */
} conv_plan;

/* What is in cache together: output rows of some samples. */
typedef struct conv_block {
    int first_sample, samples;
    int first_row, rows;
} conv_block;

static size_t conv_x_sample(const conv_plan *plan)
{
    return (size_t)plan->h * (size_t)plan->w * (size_t)plan->c;
}

/* Sets frame_w, bands, band and group so that the copied input, with `more` floats per output row,
 * takes about `limit` floats. */
static void conv_cut(conv_plan *plan, int most_samples, size_t limit, size_t more)
{
    plan->frame_w = (plan->out_w - 1) * plan->stride + plan->kernel_w;
    size_t row = (size_t)plan->frame_w * (size_t)plan->c;
    size_t fixed = (size_t)(plan->kernel_h - 1) * row;
    size_t per_output_row = (size_t)plan->stride * row + more;
    size_t rows = limit > fixed ? (limit - fixed) / per_output_row : 0;
    if (rows < 1)
        rows = 1;
    plan->bands = rows < (size_t)plan->out_h ? pd_divide_up(plan->out_h, (int)rows) : 1;
    plan->band = pd_divide_up(plan->out_h, plan->bands);
    plan->bands = pd_divide_up(plan->out_h, plan->band);
    plan->group = 1;
    if (plan->bands == 1) {
        size_t fit = limit / (fixed + (size_t)plan->out_h * per_output_row);
        plan->group = fit < 1 ? 1 : fit < (size_t)most_samples ? (int)fit : most_samples;
    }
}

/* Band `band` of the group of samples that starts at `first_sample`. */
static conv_block conv_block_at(const conv_plan *plan, int first_sample, int band)
{
    int first_row = band * plan->band;
    return (conv_block){first_sample, pd_min_int(plan->group, plan->samples - first_sample),
                        first_row, pd_min_int(plan->band, plan->out_h - first_row)};
}

/* Floats of the framed rows that `rows` output rows see. */
static size_t conv_frame_size(const conv_plan *plan, int rows)
{
    return (size_t)((rows - 1) * plan->stride + plan->kernel_h) * (size_t)plan->frame_w *
           (size_t)plan->c;
}

/* Copies `count` elements of x, from number `from` on. */
static void conv_copy(pd_precision precision, const void *x, size_t from, size_t count, float *to)
{
    if (precision == PD_BF16)
        pd_precision_widen(count, (const pd_bf16 *)x + from, to, 1);
    else
        memcpy(to, (const float *)x + from, count * sizeof *to);
}

/* Copies what output rows first .. first + rows - 1 of a sample, which starts at element `sample`
 * of x, see to frame[...][frame_w][c]. */
static void conv_copy_frame(const conv_plan *plan, const void *x, size_t sample, int first,
                            int rows, float *frame)
{
    size_t c = (size_t)plan->c;
    size_t row = (size_t)plan->frame_w * c;
    int top = first * plan->stride - plan->pad_top;
    int height = (rows - 1) * plan->stride + plan->kernel_h;
    int columns = pd_min_int(plan->w, pd_divide_up(plan->frame_w - plan->pad_left, plan->zoom));
    for (int i = 0; i < height; i++) {
        float *to = frame + (size_t)i * row;
        int y = top + i;
        if (y < 0 || y % plan->zoom != 0 || y / plan->zoom >= plan->h) {
            memset(to, 0, row * sizeof *to);
            continue;
        }
        size_t from = sample + (size_t)(y / plan->zoom) * (size_t)plan->w * c;
        if (plan->zoom == 1) {
            size_t left = (size_t)plan->pad_left * c;
            size_t middle = (size_t)columns * c;
            memset(to, 0, left * sizeof *to);
            conv_copy(plan->precision, x, from, middle, to + left);
            memset(to + left + middle, 0, (row - left - middle) * sizeof *to);
        } else {
            memset(to, 0, row * sizeof *to);
            for (int j = 0; j < columns; j++)
                conv_copy(plan->precision, x, from + (size_t)j * c, c,
                          to + (size_t)(plan->pad_left + j * plan->zoom) * c);
        }
    }
}

/* The frames of all samples of a block, one after the other. */
static void conv_copy_block(const conv_plan *plan, const conv_block *block, const void *x,
                            float *frames)
{
    for (int n = 0; n < block->samples; n++)
        conv_copy_frame(plan, x, (size_t)(block->first_sample + n) * conv_x_sample(plan),
                        block->first_row, block->rows,
                        frames + (size_t)n * conv_frame_size(plan, block->rows));
}

/* --- Outputs from inputs: forward, and backward to the input. --- */

static void conv_cut_samples(conv_plan *plan)
{
    conv_cut(plan, pd_divide_up(plan->samples, CONV_PARTS * plan->threads), CONV_FORWARD_FLOATS, 0);
}

static conv_plan conv_plan_forward(const pd_conv_shape *shape)
{
    const pd_window *window = &shape->window;
    conv_plan plan = {.h = window->h,
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
                      .k = shape->k,
                      .samples = pd_conv_samples(shape),
                      .threads = shape->threads,
                      .precision = shape->precision};
    conv_cut_samples(&plan);
    return plan;
}

static conv_plan conv_plan_input(const pd_conv_shape *shape)
{
    const pd_window *window = &shape->window;
    conv_plan plan = {.h = window->out_h,
                      .w = window->out_w,
                      .c = shape->k,
                      .zoom = window->stride,
                      .pad_top = window->kernel_h - 1 - window->pad_top,
                      .pad_left = window->kernel_w - 1 - window->pad_left,
                      .kernel_h = window->kernel_h,
                      .kernel_w = window->kernel_w,
                      .stride = 1,
                      .out_h = window->h,
                      .out_w = window->w,
                      .k = window->c,
                      .samples = pd_conv_samples(shape),
                      .threads = shape->threads,
                      .precision = shape->precision};
    conv_cut_samples(&plan);
    return plan;
}

static size_t conv_steps(const conv_plan *plan)
{
    return (size_t)plan->kernel_h * (size_t)plan->kernel_w * (size_t)plan->c;
}

/* Floats of the kernel in panels. */
static size_t conv_packed_size(const conv_plan *plan)
{
    return conv_steps(plan) * (size_t)pd_tile_padded(plan->k);
}

/* Floats of the frames of all threads. */
static size_t conv_run_workspace(const conv_plan *plan)
{
    return (size_t)plan->threads * (size_t)plan->group * conv_frame_size(plan, plan->band);
}

/* x [samples][h][w][c] -> y [samples][out_h][out_w][k]. */
typedef struct conv_pass {
    const conv_plan *plan;
    const void *x;
    const float *packed;
    pd_tile_output output;
} conv_pass;

/* One panel of outputs of row `row` of all samples. `frame` is the first row that it sees. */
static void conv_run_row(const conv_pass *pass, const pd_tile_panel *panel, const float *frame,
                         size_t row)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    const conv_plan *plan = pass->plan;
    const float *packed = pass->packed + (size_t)panel->first * conv_steps(plan);
    ptrdiff_t step = (ptrdiff_t)plan->stride * plan->c;
    pd_tile_walk walk = {{1, plan->kernel_h, plan->kernel_w * plan->c},
                         {0, (ptrdiff_t)plan->frame_w * plan->c, 1},
                         NULL};
    int tiles = pd_divide_up(plan->out_w, pd_tile_max_rows(panel->vectors));
    for (int tile = 0; tile < tiles; tile++) {
        int first = pd_slice_first(plan->out_w, tile, tiles);
        int rows = pd_slice_first(plan->out_w, tile + 1, tiles) - first;
        pd_tile_multiply(rows, panel->vectors, frame + first * step, step, &walk, packed, sums);
        pd_tile_store(&pass->output, panel, rows, sums, row * (size_t)plan->out_w + (size_t)first);
    }
}

static void conv_run_block(const conv_pass *pass, const conv_block *block, float *frames)
{
    const conv_plan *plan = pass->plan;
    const int panels = pd_tile_panel_count(plan->k);
    size_t frame_row = (size_t)plan->stride * (size_t)plan->frame_w * (size_t)plan->c;
    size_t frame_size = conv_frame_size(plan, block->rows);
    conv_copy_block(plan, block, pass->x, frames);
    for (int index = 0; index < panels; index++) {
        pd_tile_panel panel = pd_tile_panel_at(plan->k, index);
        for (int i = 0; i < block->samples * block->rows; i++) {
            int n = i / block->rows, row = i % block->rows;
            size_t y_at = (size_t)(block->first_sample + n) * (size_t)plan->out_h +
                          (size_t)(block->first_row + row);
            conv_run_row(pass, &panel, frames + (size_t)n * frame_size + (size_t)row * frame_row,
                         y_at);
        }
    }
}

static void conv_run(const conv_pass *pass, float *frames)
{
    const conv_plan *plan = pass->plan;
    const int samples = plan->samples, group = plan->group, bands = plan->bands;
    size_t buffer = (size_t)group * conv_frame_size(plan, plan->band);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(plan->threads)
    for (int first_sample = 0; first_sample < samples; first_sample += group) {
        for (int band = 0; band < bands; band++) {
            conv_block block = conv_block_at(plan, first_sample, band);
            conv_run_block(pass, &block, frames + (size_t)omp_get_thread_num() * buffer);
        }
    }
}

/* A pass without bias and clamping. */
static conv_pass conv_pass_make(const conv_plan *plan, const void *x, void *y, const float *packed)
{
    return (conv_pass){
        .plan = plan,
        .x = x,
        .packed = packed,
        .output = {
            .least = -INFINITY, .precision = plan->precision, .out = y, .stride = (size_t)plan->k}};
}

static void conv_pack(const conv_plan *plan, const float *kernel, bool turned, float *packed)
{
    pd_tile_pack_kernel(plan->kernel_h * plan->kernel_w, plan->c, plan->k, kernel, turned, packed,
                        plan->threads);
}

size_t pd_conv_prepared_size(const pd_conv_shape *shape)
{
    if (pd_pointwise_fits(&shape->window))
        return pd_pointwise_prepared_size(shape);
    conv_plan plan = conv_plan_forward(shape);
    return conv_packed_size(&plan);
}

void pd_conv_prepare(const pd_conv_shape *shape, const float *kernel, float *prepared)
{
    if (pd_pointwise_fits(&shape->window)) {
        pd_pointwise_prepare(shape, kernel, prepared);
        return;
    }
    conv_plan plan = conv_plan_forward(shape);
    conv_pack(&plan, kernel, false, prepared);
}

size_t pd_conv_forward_workspace(const pd_conv_shape *shape)
{
    if (pd_pointwise_fits(&shape->window))
        return pd_pointwise_forward_workspace(shape);
    conv_plan plan = conv_plan_forward(shape);
    return conv_run_workspace(&plan);
}

void pd_conv_forward(const pd_conv_shape *shape, const void *x, const float *prepared,
                     const float *bias, bool relu, void *y, float *workspace)
{
    if (pd_pointwise_fits(&shape->window)) {
        pd_pointwise_forward(shape, x, prepared, bias, relu, y, workspace);
        return;
    }
    conv_plan plan = conv_plan_forward(shape);
    conv_pass pass = conv_pass_make(&plan, x, y, prepared);
    pass.output.bias = bias;
    pass.output.least = relu ? 0 : -INFINITY;
    conv_run(&pass, workspace);
}

size_t pd_conv_backward_input_workspace(const pd_conv_shape *shape)
{
    if (pd_pointwise_fits(&shape->window))
        return pd_pointwise_backward_input_workspace(shape);
    conv_plan plan = conv_plan_input(shape);
    return conv_packed_size(&plan) + conv_run_workspace(&plan);
}

void pd_conv_backward_input(const pd_conv_shape *shape, const void *dy, const float *kernel,
                            const void *mask, void *dx, float *workspace)
{
    const pd_window *window = &shape->window;
    if (pd_pointwise_fits(window)) {
        pd_pointwise_backward_input(shape, dy, kernel, dx, workspace);
    } else {
        conv_plan plan = conv_plan_input(shape);
        conv_pack(&plan, kernel, true, workspace);
        conv_pass pass = conv_pass_make(&plan, dy, dx, workspace);
        conv_run(&pass, workspace + conv_packed_size(&plan));
    }
    size_t count =
        (size_t)pd_conv_samples(shape) * (size_t)window->h * (size_t)window->w * (size_t)window->c;
    if (mask != NULL)
        pd_relu_backward(shape->precision, count, mask, dx, dx, shape->threads);
}

/* --- The gradient of the kernel. --- */

/* As forward for one lane, but bands and groups depend only on the sizes of one lane, because they
 * set the order of the sums. The copied dy counts too. */
static conv_plan conv_plan_kernel(const pd_conv_shape *shape)
{
    conv_plan plan = conv_plan_forward(shape);
    plan.samples = shape->lane_samples;
    conv_cut(&plan, plan.samples, CONV_KERNEL_FLOATS,
             (size_t)plan.out_w * (size_t)pd_tile_padded(plan.k));
    return plan;
}

/* Floats of a thread's slice of the workspace: frames, and one panel of dy. */
static size_t conv_kernel_buffer(const conv_plan *plan)
{
    return (size_t)plan->group *
           (conv_frame_size(plan, plan->band) +
            (size_t)plan->band * (size_t)plan->out_w * (size_t)pd_tile_panel_at(plan->k, 0).width);
}

size_t pd_conv_backward_kernel_workspace(const pd_conv_shape *shape)
{
    if (pd_pointwise_fits(&shape->window))
        return pd_pointwise_backward_kernel_workspace(shape);
    conv_plan plan = conv_plan_kernel(shape);
    return (size_t)plan.threads * conv_kernel_buffer(&plan);
}

/* Slice `slice` of `slices` of one lane's gradient. */
typedef struct conv_slice {
    const conv_plan *plan;
    int slice, slices;
    const void *x, *dy;
    float *dkernel, *dbias; /* dbias may be NULL */
    float *frames, *packed; /* a block's inputs, and a panel of its dy */
} conv_slice;

/* The slice's tiles of one panel, over one block. The kernel_w * c gradients of a kernel row see
 * contiguous inputs. */
static void conv_kernel_tiles(const conv_slice *at, const conv_block *block,
                              const pd_tile_panel *panel, bool overwrite)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    const conv_plan *plan = at->plan;
    const size_t k = (size_t)plan->k;
    int span = plan->kernel_w * plan->c;
    int tiles = pd_divide_up(span, pd_tile_max_rows(panel->vectors));
    int all = plan->kernel_h * tiles;
    ptrdiff_t frame_row = (ptrdiff_t)plan->frame_w * plan->c;
    pd_tile_walk walk = {{block->samples, block->rows, plan->out_w},
                         {(ptrdiff_t)conv_frame_size(plan, block->rows), plan->stride * frame_row,
                          (ptrdiff_t)plan->stride * plan->c},
                         NULL};
    int end = pd_slice_first(all, at->slice + 1, at->slices);
    for (int i = pd_slice_first(all, at->slice, at->slices); i < end; i++) {
        int ky = i / tiles, tile = i % tiles;
        int first = pd_slice_first(span, tile, tiles);
        int rows = pd_slice_first(span, tile + 1, tiles) - first;
        pd_tile_multiply(rows, panel->vectors, at->frames + ky * frame_row + first, 1, &walk,
                         at->packed, sums);
        pd_tile_add(panel, rows, sums, overwrite,
                    at->dkernel + ((size_t)ky * (size_t)span + (size_t)first) * k, k);
    }
}

static void conv_kernel_block(const conv_slice *at, const conv_block *block)
{
    const conv_plan *plan = at->plan;
    const size_t k = (size_t)plan->k;
    const int panels = pd_tile_panel_count(plan->k);
    bool overwrite = block->first_sample == 0 && block->first_row == 0;
    int positions = block->samples * block->rows * plan->out_w;
    /* A group of several samples has all their rows, so dy is contiguous. */
    size_t first_row = (size_t)block->first_sample * (size_t)plan->out_h + (size_t)block->first_row;
    const void *dy = pd_precision_at(plan->precision, at->dy, first_row * (size_t)plan->out_w * k);
    conv_copy_block(plan, block, at->x, at->frames);
    for (int index = 0; index < panels; index++) {
        pd_tile_panel panel = pd_tile_panel_at(plan->k, index);
        pd_tile_pack(&panel, positions, plan->precision, dy, k, at->packed);
        if (at->dbias != NULL && at->slice == 0) {
            _Alignas(64) float sums[PD_TILE_SIZE];
            pd_tile_sum(positions, panel.vectors, at->packed, sums);
            pd_tile_add(&panel, 1, sums, overwrite, at->dbias, 0);
        }
        conv_kernel_tiles(at, block, &panel, overwrite);
    }
}

static void conv_kernel_slice(const conv_slice *at)
{
    const conv_plan *plan = at->plan;
    for (int first_sample = 0; first_sample < plan->samples; first_sample += plan->group) {
        for (int band = 0; band < plan->bands; band++) {
            conv_block block = conv_block_at(plan, first_sample, band);
            conv_kernel_block(at, &block);
        }
    }
}

void pd_conv_backward_kernel(const pd_conv_shape *shape, const void *x, const void *dy,
                             float *dkernel, float *dbias, size_t stride, float *workspace)
{
    if (pd_pointwise_fits(&shape->window)) {
        pd_pointwise_backward_kernel(shape, x, dy, dkernel, dbias, stride, workspace);
        return;
    }
    const int lanes = shape->lanes, threads = shape->threads;
    conv_plan plan = conv_plan_kernel(shape);
    size_t x_lane = (size_t)plan.samples * conv_x_sample(&plan);
    size_t dy_lane =
        (size_t)plan.samples * (size_t)plan.out_h * (size_t)plan.out_w * (size_t)plan.k;
    /* The number of slices gives every thread the same number of them. They cut the gradient, not
     * the sums, so they may depend on the number of threads. */
    int slices = threads / pd_gcd(lanes, threads);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (int slice = 0; slice < slices; slice++) {
            float *frames = workspace + (size_t)omp_get_thread_num() * conv_kernel_buffer(&plan);
            conv_slice at = {.plan = &plan,
                             .slice = slice,
                             .slices = slices,
                             .x = pd_precision_at(plan.precision, x, (size_t)lane * x_lane),
                             .dy = pd_precision_at(plan.precision, dy, (size_t)lane * dy_lane),
                             .dkernel = dkernel + (size_t)lane * stride,
                             .dbias = dbias != NULL ? dbias + (size_t)lane * stride : NULL,
                             .frames = frames,
                             .packed =
                                 frames + (size_t)plan.group * conv_frame_size(&plan, plan.band)};
            conv_kernel_slice(&at);
        }
    }
}
