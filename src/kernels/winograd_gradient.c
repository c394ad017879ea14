/* The gradient of the kernel: at each position the product of transformed inputs and transformed dy
 * over the tiles of a lane, transformed back to 3 x 3 one register tile at a time. */
#include "pneumo/kernels/winograd.h"

#include "tile.h"
#include "winograd_images.h"

#include <omp.h>

/* Blocks have GRADIENT_FLOATS, but at least GRADIENT_TILES. Measured on a processor with AVX-512.
 */
enum { GRADIENT_FLOATS = 256 * 1024, GRADIENT_TILES = 42 };

/* The channels of a register tile's rows are kept in one vector. */
_Static_assert((int)PD_TILE_ROWS <= (int)PD_VECTOR_WIDTH,
               "a tile has no more rows than a vector has floats");

typedef struct gradient_plan {
    int c, k;
    int pad_top, pad_left;
    pd_winograd_grid grid;
    int groups;    /* of the c channels, each the rows of a register tile */
    int padded;    /* k, rounded up to whole vectors */
    int64_t tiles; /* of a lane */
    int most;      /* tiles that the workspace holds */
    int block;     /* tiles that are computed together; sets the order of the sums */
} gradient_plan;

static gradient_plan gradient_plan_make(const pd_conv_shape *shape)
{
    const pd_window *window = &shape->window;
    gradient_plan plan = {.c = window->c,
                          .k = shape->k,
                          .pad_top = window->pad_top,
                          .pad_left = window->pad_left,
                          .grid = pd_winograd_grid_make(window->out_h, window->out_w),
                          .padded = pd_tile_padded(shape->k)};
    plan.groups = pd_divide_up(window->c, pd_tile_max_rows(pd_tile_panel_vectors(shape->k)));
    plan.tiles = shape->lane_samples * pd_winograd_grid_tiles(&plan.grid);
    int channels = plan.groups * PD_VECTOR_WIDTH + plan.padded;
    int block = pd_max_int(GRADIENT_TILES, GRADIENT_FLOATS / (POSITIONS * channels));
    /* Two small blocks cost more than one that is too large. */
    plan.most = pd_winograd_block_tiles(2 * block - 1, plan.tiles);
    int64_t blocks = plan.tiles < block ? 1 : plan.tiles / block;
    plan.block = (int)((plan.tiles + blocks - 1) / blocks);
    return plan;
}

/* Floats of a block's inputs [group][position][tile][vector]. */
static size_t gradient_input_size(const gradient_plan *plan)
{
    return (size_t)plan->groups * POSITIONS * (size_t)plan->most * PD_VECTOR_WIDTH;
}

/* The same with its dy [panel][position][tile][columns of panel]. The last position of dy is the
 * sum of the tile, for the bias. */
static size_t gradient_block_size(const gradient_plan *plan)
{
    return gradient_input_size(plan) + (POSITIONS + 1) * (size_t)plan->most * (size_t)plan->padded;
}

/* How a block's sums are combined with those of the lane's earlier blocks. */
typedef enum gradient_mode {
    GRADIENT_ADD,
    GRADIENT_STORE,
    GRADIENT_STORE_NONTEMPORAL
} gradient_mode;

/* One lane. */
typedef struct gradient_lane {
    const gradient_plan *plan;
    pd_winograd_images x, dy;
    float *dkernel, *dbias; /* dbias may be NULL */
    bool nontemporal;       /* stores to both, if they are written only once */
} gradient_lane;

/* A block of tiles, and the slice of its work that the calling thread does, while other threads do
 * the others. */
typedef struct gradient_block {
    int64_t first;
    int tiles;
    float *input, *output;
    gradient_mode mode;
    int slice, slices;
} gradient_block;

/* Writes a vector, or its first `count` floats, to `to`. */
PD_INLINE void gradient_write(int count, const float *from, gradient_mode mode, float *to)
{
    if (count < PD_VECTOR_WIDTH)
        for (int j = 0; j < count; j++)
            to[j] = mode == GRADIENT_ADD ? to[j] + from[j] : from[j];
    else if (mode == GRADIENT_STORE_NONTEMPORAL)
        pd_vector_store_nontemporal(to, *(const pd_vector *)from);
    else if (mode == GRADIENT_STORE)
        *(pd_vector *)to = *(const pd_vector *)from;
    else
        *(pd_vector *)to += *(const pd_vector *)from;
}

/* The dy of a block's panel. */
static const float *gradient_panel(const gradient_block *block, const pd_tile_panel *panel)
{
    return block->output + (size_t)panel->first * (POSITIONS + 1) * (size_t)block->tiles;
}

/* One register tile: the channels of one group and the outputs of one panel. */
static void gradient_tile(const gradient_lane *lane, const gradient_block *block, int group,
                          const pd_tile_panel *panel)
{
    enum { STEP = PD_TILE_SIZE + PD_VECTOR_WIDTH };
    _Alignas(64) float sums[POSITIONS * STEP];
    _Alignas(64) float taps[KERNEL * KERNEL * PD_VECTOR_WIDTH];
    const gradient_plan *plan = lane->plan;
    const size_t tiles = (size_t)block->tiles, k = (size_t)plan->k, c = (size_t)plan->c;
    const gradient_mode mode = block->mode;
    const int first = pd_slice_first(plan->c, group, plan->groups);
    const int rows = pd_slice_first(plan->c, group + 1, plan->groups) - first;
    const float *input = block->input + (size_t)group * POSITIONS * tiles * PD_VECTOR_WIDTH;
    const float *output = gradient_panel(block, panel);
    pd_tile_walk walk = pd_tile_walk_line(block->tiles, PD_VECTOR_WIDTH);
    for (size_t position = 0; position < POSITIONS; position++)
        pd_tile_multiply(rows, panel->vectors, input + position * tiles * PD_VECTOR_WIDTH, 1, &walk,
                         output + position * tiles * (size_t)panel->width, sums + position * STEP);
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < panel->width; v += PD_VECTOR_WIDTH) {
            pd_winograd_patch patch = {sums + (ptrdiff_t)r * panel->width + v,
                                       (ptrdiff_t)INPUT * STEP, STEP};
            pd_winograd_transform(pd_winograd_line_kernel_gradient, INPUT, KERNEL, patch, taps,
                                  PD_VECTOR_WIDTH);
            int count = pd_min_int(PD_VECTOR_WIDTH, plan->k - panel->first - v);
            float *to = lane->dkernel + (size_t)(first + r) * k + panel->first + v;
            for (int tap = 0; tap < KERNEL * KERNEL; tap++, to += c * k)
                gradient_write(count, taps + (ptrdiff_t)tap * PD_VECTOR_WIDTH, mode, to);
        }
    }
}

/* The gradient of the bias: the sum of the tiles' sums. */
static void gradient_bias(const gradient_lane *lane, const gradient_block *block,
                          const pd_tile_panel *panel)
{
    _Alignas(64) float total[PD_TILE_SIZE];
    const float *sums =
        gradient_panel(block, panel) + POSITIONS * (size_t)block->tiles * (size_t)panel->width;
    pd_tile_sum(block->tiles, panel->vectors, sums, total);
    for (int j = 0; j < panel->columns; j += PD_VECTOR_WIDTH)
        gradient_write(pd_min_int(PD_VECTOR_WIDTH, panel->columns - j), total + j, block->mode,
                       lane->dbias + panel->first + j);
}

/* Transforms a vector of dy of one tile to its 36 positions and its sum. */
static void gradient_transform_output(const pd_winograd_images *dy, const pd_winograd_place *at,
                                      int column, float *to, size_t step)
{
    _Alignas(64) float buffer[OUTPUT * OUTPUT * PD_VECTOR_WIDTH];
    pd_winograd_patch patch = pd_winograd_images_patch(dy, at, column, OUTPUT, buffer);
    pd_winograd_transform(pd_winograd_line_output_gradient, OUTPUT, INPUT, patch, to, step);
    pd_vector sum = {0};
    for (int i = 0; i < OUTPUT; i++) {
        for (int j = 0; j < OUTPUT; j++)
            sum += *(const pd_vector *)(patch.first + i * patch.row + j * patch.column);
    }
    *(pd_vector *)(to + POSITIONS * step) = sum;
}

/* The inputs and the dy of the slice's tiles. */
static void gradient_transform(const gradient_lane *lane, const gradient_block *block)
{
    const gradient_plan *plan = lane->plan;
    const size_t tiles = (size_t)block->tiles;
    const int panel_width = pd_tile_panel_width(plan->k);
    const int vectors = plan->groups + plan->padded / PD_VECTOR_WIDTH;
    const int64_t units = (int64_t)block->tiles * vectors;
    int64_t end = pd_slice_first(units, block->slice + 1, block->slices);
    int64_t unit = pd_slice_first(units, block->slice, block->slices);
    while (unit < end) {
        int tile = (int)(unit / vectors), v = (int)(unit % vectors);
        pd_winograd_place out = pd_winograd_grid_place(&plan->grid, block->first + tile);
        pd_winograd_place in = {out.sample, out.y - plan->pad_top, out.x - plan->pad_left};
        for (; v < plan->groups && unit < end; v++, unit++)
            pd_winograd_images_transform(
                &lane->x, &in, pd_slice_first(plan->c, v, plan->groups),
                block->input + ((size_t)v * POSITIONS * tiles + (size_t)tile) * PD_VECTOR_WIDTH,
                tiles * PD_VECTOR_WIDTH);
        int column = (v - plan->groups) * PD_VECTOR_WIDTH;
        int panel = column / panel_width * panel_width;
        for (; column < plan->padded && unit < end; column += PD_VECTOR_WIDTH, unit++) {
            if (column == panel + panel_width)
                panel = column;
            size_t width = (size_t)pd_min_int(panel_width, plan->padded - panel);
            gradient_transform_output(&lane->dy, &out, column,
                                      block->output + (size_t)panel * (POSITIONS + 1) * tiles +
                                          (size_t)tile * width + (column - panel),
                                      tiles * width);
        }
    }
}

static void gradient_multiply(const gradient_lane *lane, const gradient_block *block)
{
    const gradient_plan *plan = lane->plan;
    int units = plan->groups * pd_tile_panel_count(plan->k);
    int end = pd_slice_first(units, block->slice + 1, block->slices);
    for (int unit = pd_slice_first(units, block->slice, block->slices); unit < end; unit++) {
        int group = unit % plan->groups;
        pd_tile_panel panel = pd_tile_panel_at(plan->k, unit / plan->groups);
        gradient_tile(lane, block, group, &panel);
        if (lane->dbias != NULL && group == 0)
            gradient_bias(lane, block, &panel);
    }
    if (block->mode == GRADIENT_STORE_NONTEMPORAL)
        pd_vector_fence();
}

/* All blocks of a lane, at `input` in the workspace. If there are several slices, all threads of
 * the team call it. */
static void gradient_run_lane(const gradient_lane *lane, float *input, int slice, int slices)
{
    const gradient_plan *plan = lane->plan;
    for (int64_t first = 0; first < plan->tiles; first += plan->block) {
        gradient_block block = {.first = first,
                                .tiles = pd_winograd_block_tiles(plan->block, plan->tiles - first),
                                .input = input,
                                .output = input + gradient_input_size(plan),
                                .mode = first == 0 ? GRADIENT_STORE : GRADIENT_ADD,
                                .slice = slice,
                                .slices = slices};
        if (block.tiles == plan->tiles && lane->nontemporal)
            block.mode = GRADIENT_STORE_NONTEMPORAL;
        gradient_transform(lane, &block);
        if (slices > 1) {
#pragma omp barrier
        }
        gradient_multiply(lane, &block);
        if (slices > 1) {
#pragma omp barrier
        }
    }
}

size_t pd_winograd_backward_kernel_workspace(const pd_conv_shape *shape)
{
    gradient_plan plan = gradient_plan_make(shape);
    return (size_t)shape->threads * gradient_block_size(&plan);
}

/* Whether every vector of all lanes' gradients can be stored with nontemporal stores, and should
 * be. */
static bool gradient_nontemporal(const pd_conv_shape *shape, const float *dkernel,
                                 const float *dbias, size_t stride)
{
    size_t k = (size_t)shape->k;
    size_t bytes =
        (size_t)shape->lanes * KERNEL * KERNEL * (size_t)shape->window.c * k * sizeof *dkernel;
    return pd_vector_use_nontemporal(dkernel, k * sizeof *dkernel, bytes) &&
           stride % PD_VECTOR_WIDTH == 0 &&
           (dbias == NULL || (uintptr_t)dbias % sizeof(pd_vector) == 0);
}

void pd_winograd_backward_kernel(const pd_conv_shape *shape, const void *x, const void *dy,
                                 float *dkernel, float *dbias, size_t stride, float *workspace)
{
    const pd_window w = shape->window;
    const pd_precision stored = shape->precision;
    const int lanes = shape->lanes, samples = shape->lane_samples, k = shape->k;
    gradient_plan plan = gradient_plan_make(shape);
    size_t x_lane = (size_t)samples * (size_t)w.h * (size_t)w.w * (size_t)w.c;
    size_t dy_lane = (size_t)samples * (size_t)w.out_h * (size_t)w.out_w * (size_t)k;
    bool nontemporal = gradient_nontemporal(shape, dkernel, dbias, stride);
    /* Threads share every lane, unless all have the same number of lanes of their own. */
    bool shared = lanes % shape->threads != 0;
#pragma omp parallel num_threads(shape->threads)
    {
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        int first = shared ? 0 : pd_slice_first(lanes, thread, threads);
        int end = shared ? lanes : pd_slice_first(lanes, thread + 1, threads);
        float *input = workspace + (shared ? 0 : (size_t)thread * gradient_block_size(&plan));
        for (int lane = first; lane < end; lane++) {
            gradient_lane of = {
                .plan = &plan,
                .x = pd_winograd_images_make(w.h, w.w, w.c, samples, stored,
                                             pd_precision_at(stored, x, (size_t)lane * x_lane)),
                .dy = pd_winograd_images_make(w.out_h, w.out_w, k, samples, stored,
                                              pd_precision_at(stored, dy, (size_t)lane * dy_lane)),
                .dkernel = dkernel + (size_t)lane * stride,
                .dbias = dbias != NULL ? dbias + (size_t)lane * stride : NULL,
                .nontemporal = nontemporal};
            gradient_run_lane(&of, input, shared ? thread : 0, shared ? threads : 1);
        }
    }
}
