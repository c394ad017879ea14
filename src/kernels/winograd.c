#include "pneumo/kernels/winograd.h"

#include "tile.h"
#include "winograd_kernel.h"

#include <math.h>
#include <omp.h>

bool pd_winograd_suits(const pd_window *window, int k)
{
    /* With fewer channels the transforms take longer than the products save; with fewer tiles of a
     * sample the transform of the kernel does. Narrow vectors multiply more slowly, so they need
     * fewer tiles. Measured: tests/bench/bench_conv.c. */
    enum { LEAST_CHANNELS = 16, LEAST_TILES_OF_SAMPLE = PD_VECTOR_WIDTH < 16 ? 4 : 9 };
    pd_winograd_grid grid = pd_winograd_grid_make(window->out_h, window->out_w);
    return window->kernel_h == KERNEL && window->kernel_w == KERNEL && window->stride == 1 &&
           window->c >= LEAST_CHANNELS && k >= LEAST_CHANNELS &&
           pd_winograd_grid_tiles(&grid) >= LEAST_TILES_OF_SAMPLE;
}

/* x [samples][h][w][c] -> y [samples][out_h][out_w][k]. */
typedef struct wino_pass {
    const pd_winograd_plan *plan;
    pd_winograd_images x;
    const float *bias;   /* [k], padded to whole vectors */
    const float *kernel; /* transformed */
    float least;         /* smaller outputs become `least` */
    const void *mask;    /* outputs become 0 where it is not positive; NULL: none */
    bool nontemporal;    /* stores to y, which are floats */
    void *y;
} wino_pass;

/* A block of tiles: its transformed inputs and outputs; and the slice of its work that the calling
 * thread does, while other threads do the others. */
typedef struct wino_block {
    int64_t first;
    int tiles;
    float *input;  /* [position][tile][c, padded] */
    float *output; /* [position][panel][tile][columns of panel] */
    int slice, slices;
} wino_block;

static void wino_transform_inputs(const wino_pass *pass, const wino_block *block)
{
    const pd_winograd_plan *plan = pass->plan;
    const size_t pitch = (size_t)pd_tile_padded(plan->c), step = pd_winograd_plan_input_step(plan);
    const int vectors = (int)pitch / PD_VECTOR_WIDTH;
    /* Tile by tile: a division for each vector would take as long as a part of its transform. */
    const int64_t units = (int64_t)block->tiles * vectors;
    int64_t end = pd_slice_first(units, block->slice + 1, block->slices);
    int64_t unit = pd_slice_first(units, block->slice, block->slices);
    while (unit < end) {
        int tile = (int)(unit / vectors);
        pd_winograd_place at = pd_winograd_grid_place(&plan->grid, block->first + tile);
        at.y -= plan->pad_top;
        at.x -= plan->pad_left;
        for (int v = (int)(unit % vectors); v < vectors && unit < end; v++, unit++)
            pd_winograd_images_transform(
                &pass->x, &at, v * PD_VECTOR_WIDTH,
                block->input + (size_t)tile * pitch + (size_t)v * PD_VECTOR_WIDTH, step);
    }
}

/* The panel of the transformed kernel that unit `unit` of the products reads. */
static const float *wino_panel(const wino_pass *pass, int unit)
{
    const pd_winograd_plan *plan = pass->plan;
    int panels = pd_tile_panel_count(plan->k);
    return pass->kernel + (size_t)(unit / panels) * pd_winograd_plan_kernel_step(plan) +
           (size_t)(unit % panels) * (size_t)pd_tile_panel_width(plan->k) * (size_t)plan->c;
}

/* Position by position, panel by panel. */
static void wino_multiply(const wino_pass *pass, const wino_block *block)
{
    const pd_winograd_plan *plan = pass->plan;
    const int c = plan->c, tiles = block->tiles, panels = pd_tile_panel_count(plan->k);
    const int pitch = pd_tile_padded(c);
    const int64_t units = (int64_t)POSITIONS * panels;
    int end = pd_slice_first(units, block->slice + 1, block->slices);
    int unit = pd_slice_first(units, block->slice, block->slices);
    pd_tile_walk walk = pd_tile_walk_line(c, 1);
    const float *right = wino_panel(pass, unit);
    for (; unit < end; unit++) {
        size_t position = (size_t)(unit / panels);
        pd_tile_panel panel = pd_tile_panel_at(plan->k, unit % panels);
        const float *left = block->input + position * pd_winograd_plan_input_step(plan);
        const float *next = unit + 1 < end ? wino_panel(pass, unit + 1) : right;
        float *to = block->output + position * pd_winograd_plan_output_step(plan) +
                    (size_t)panel.first * (size_t)tiles;
        int parts = pd_divide_up(tiles, pd_tile_max_rows(panel.vectors));
        for (int part = 0; part < parts; part++) {
            int row = pd_slice_first(tiles, part, parts);
            int rows = pd_slice_first(tiles, part + 1, parts) - row;
            /* Large kernels come from memory, so each panel is prefetched during the one before. */
            walk.prefetch = pd_tile_prefetch(next, c, panel.vectors, part);
            pd_tile_multiply(rows, panel.vectors, left + (size_t)row * (size_t)pitch, pitch, &walk,
                             right, to + (size_t)row * (size_t)panel.width);
        }
        right = next;
    }
}

/* `sum` where it is at least `least` or NaN; else `least`. */
PD_INLINE pd_vector clamp_vector(pd_vector sum, pd_vector least)
{
    pd_vector_mask below = sum < least;
    return (pd_vector)((below & (pd_vector_mask)least) | (~below & (pd_vector_mask)sum));
}

/* Stores a vector of outputs, or its first `count` elements, at element `offset`. */
PD_INLINE void wino_store_vector(pd_precision precision, const wino_pass *pass, size_t offset,
                                 pd_vector sum, int count)
{
    const void *mask = pass->mask;
    if (count < PD_VECTOR_WIDTH) {
        for (int n = 0; n < count; n++) {
            size_t i = offset + (size_t)n;
            bool cut = mask != NULL && !(pd_element_load(precision, mask, i) > 0);
            pd_element_store(precision, pass->y, i, cut ? 0 : sum[n]);
        }
        return;
    }
    if (mask != NULL)
        sum = pd_vector_select(pd_vector_load(precision, mask, (ptrdiff_t)offset) > 0, sum);
    if (precision == PD_FLOAT32 && pass->nontemporal)
        pd_vector_store_nontemporal((float *)pass->y + offset, sum);
    else
        pd_vector_store(precision, pass->y, (ptrdiff_t)offset, sum);
}

/* Transforms a vector of outputs of the tile at `at`, columns from `column` on, back, and stores
 * what lies within y. `from` is its first position. */
PD_INLINE void wino_store(pd_precision precision, const wino_pass *pass,
                          const pd_winograd_place *at, int column, const float *from)
{
    const pd_winograd_plan *plan = pass->plan;
    const ptrdiff_t step = (ptrdiff_t)pd_winograd_plan_output_step(plan);
    _Alignas(64) float buffer[OUTPUT * OUTPUT * PD_VECTOR_WIDTH];
    pd_winograd_transform(pd_winograd_line_output, INPUT, OUTPUT,
                          (pd_winograd_patch){from, INPUT * step, step}, buffer, PD_VECTOR_WIDTH);
    const size_t k = (size_t)plan->k, row_size = (size_t)plan->out_w * k;
    int rows = pd_min_int(OUTPUT, plan->out_h - at->y);
    int columns = pd_min_int(OUTPUT, plan->out_w - at->x);
    int count = pd_min_int(PD_VECTOR_WIDTH, plan->k - column);
    size_t first = ((size_t)at->sample * (size_t)plan->out_h + (size_t)at->y) * row_size +
                   (size_t)at->x * k + (size_t)column;
    pd_vector bias = *(const pd_vector *)(pass->bias + column);
    pd_vector least = (pd_vector){0} + pass->least;
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
            size_t offset = first + (size_t)i * row_size + (size_t)j * k;
            pd_vector sum =
                *(const pd_vector *)(buffer + ((ptrdiff_t)i * OUTPUT + j) * PD_VECTOR_WIDTH);
            wino_store_vector(precision, pass, offset, clamp_vector(sum + bias, least), count);
        }
    }
}

static void wino_store_outputs(const wino_pass *pass, const wino_block *block)
{
    const pd_winograd_plan *plan = pass->plan;
    const int padded = pd_tile_padded(plan->k), vectors = padded / PD_VECTOR_WIDTH;
    const int panel_width = pd_tile_panel_width(plan->k);
    const size_t tiles = (size_t)block->tiles;
    const int64_t units = (int64_t)block->tiles * vectors;
    int64_t end = pd_slice_first(units, block->slice + 1, block->slices);
    int64_t unit = pd_slice_first(units, block->slice, block->slices);
    while (unit < end) {
        int tile = (int)(unit / vectors), column = (int)(unit % vectors) * PD_VECTOR_WIDTH;
        int panel = column / panel_width * panel_width;
        pd_winograd_place at = pd_winograd_grid_place(&plan->grid, block->first + tile);
        for (; column < padded && unit < end; column += PD_VECTOR_WIDTH, unit++) {
            if (column == panel + panel_width)
                panel = column;
            size_t width = (size_t)pd_min_int(panel_width, padded - panel);
            const float *from =
                block->output + (size_t)panel * tiles + (size_t)tile * width + (column - panel);
            PD_WITH_PRECISION(plan->precision, wino_store(precision, pass, &at, column, from));
        }
    }
    if (pass->nontemporal)
        pd_vector_fence();
}

/* The block of tiles from `first` on, at `input` in the workspace. If there are several slices, all
 * threads of the team call it. */
static void wino_run_block(const wino_pass *pass, int64_t first, float *input, int slice,
                           int slices)
{
    const pd_winograd_plan *plan = pass->plan;
    wino_block block = {.first = first,
                        .tiles = pd_winograd_block_tiles(plan->block, plan->tiles - first),
                        .input = input,
                        .output = input + POSITIONS * pd_winograd_plan_input_step(plan),
                        .slice = slice,
                        .slices = slices};
    wino_transform_inputs(pass, &block);
    if (slices > 1) {
#pragma omp barrier
    }
    wino_multiply(pass, &block);
    if (slices > 1) {
#pragma omp barrier
    }
    wino_store_outputs(pass, &block);
}

static void wino_run(const wino_pass *pass, float *blocks)
{
    const pd_winograd_plan *plan = pass->plan;
#pragma omp parallel num_threads(plan->threads)
    {
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        if (plan->shared) {
            for (int64_t first = 0; first < plan->tiles; first += plan->block)
                wino_run_block(pass, first, blocks, thread, threads);
        } else {
            float *own = blocks + (size_t)thread * pd_winograd_plan_block_size(plan);
#pragma omp for schedule(dynamic)
            for (int64_t first = 0; first < plan->tiles; first += plan->block)
                wino_run_block(pass, first, own, 0, 1);
        }
    }
}

/* A pass without clamping and mask. `padded` gets the padded bias (bias may be NULL). */
static wino_pass wino_pass_make(const pd_winograd_plan *plan, const void *x, const float *kernel,
                                const float *bias, void *y, float *padded)
{
    const size_t row = (size_t)plan->k * sizeof(float);
    const size_t pixels = (size_t)plan->tiles * OUTPUT * OUTPUT;
    const bool floats = plan->precision == PD_FLOAT32;
    for (int j = 0; j < pd_tile_padded(plan->k); j++)
        padded[j] = bias != NULL && j < plan->k ? bias[j] : 0;
    return (wino_pass){
        .plan = plan,
        .x = pd_winograd_images_make(plan->h, plan->w, plan->c, plan->samples, plan->precision, x),
        .bias = padded,
        .kernel = kernel,
        .least = -INFINITY,
        .nontemporal = floats && pd_vector_use_nontemporal(y, row, pixels * row),
        .y = y};
}

size_t pd_winograd_prepared_size(const pd_conv_shape *shape)
{
    pd_winograd_plan plan = pd_winograd_plan_forward(shape);
    return pd_winograd_plan_kernel_size(&plan);
}

void pd_winograd_prepare(const pd_conv_shape *shape, const float *kernel, float *prepared)
{
    pd_winograd_plan plan = pd_winograd_plan_forward(shape);
    pd_winograd_kernel_transform(&plan, kernel, false, prepared);
}

size_t pd_winograd_forward_workspace(const pd_conv_shape *shape)
{
    pd_winograd_plan plan = pd_winograd_plan_forward(shape);
    return pd_winograd_plan_workspace(&plan);
}

void pd_winograd_forward(const pd_conv_shape *shape, const void *x, const float *prepared,
                         const float *bias, bool relu, void *y, float *workspace)
{
    pd_winograd_plan plan = pd_winograd_plan_forward(shape);
    wino_pass pass = wino_pass_make(&plan, x, prepared, bias, y, workspace);
    if (relu)
        pass.least = 0;
    wino_run(&pass, workspace + pd_tile_padded(plan.k));
}

size_t pd_winograd_backward_input_workspace(const pd_conv_shape *shape)
{
    pd_winograd_plan plan = pd_winograd_plan_input(shape);
    return pd_winograd_plan_kernel_size(&plan) + pd_winograd_plan_workspace(&plan);
}

/* The workspace starts with the transformed kernel. */
void pd_winograd_backward_input(const pd_conv_shape *shape, const void *dy, const float *kernel,
                                const void *mask, void *dx, float *workspace)
{
    pd_winograd_plan plan = pd_winograd_plan_input(shape);
    float *rest = workspace + pd_winograd_plan_kernel_size(&plan);
    wino_pass pass = wino_pass_make(&plan, dy, workspace, NULL, dx, rest);
    pass.mask = mask;
    pd_winograd_kernel_transform(&plan, kernel, true, workspace);
    wino_run(&pass, rest + pd_tile_padded(plan.k));
}
