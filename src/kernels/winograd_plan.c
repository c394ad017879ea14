#include "winograd_plan.h"

#include "tile.h"

/* Floats between the arrays of two positions, so that they do not all map to the same few sets of a
 * cache. */
enum { SKEW = PD_VECTOR_WIDTH };

/* Each thread reads all of a transformed kernel of at most SMALL_KERNEL floats, and its own blocks
 * of tiles, BLOCK_FLOATS but at least BLOCK_TILES, fit beside it into a second-level cache of 2
 * MiB. A larger kernel comes from memory, which pays off only for LARGE_BLOCK_TILES per thread.
 * Measured on a processor with AVX-512. */
enum { SMALL_KERNEL = 600 * 1024, BLOCK_FLOATS = 256 * 1024 };
enum { BLOCK_TILES = 56, LARGE_BLOCK_TILES = 128 };

/* Small kernels stay in a thread's cache beside its own block. Of large ones each thread reads a
 * slice, for one block that is as large as those of all threads. */
static void plan_cut(pd_winograd_plan *plan)
{
    plan->grid = pd_winograd_grid_make(plan->out_h, plan->out_w);
    plan->tiles = plan->samples * pd_winograd_grid_tiles(&plan->grid);
    int channels = pd_tile_padded(plan->c) + pd_tile_padded(plan->k);
    bool large = (long long)POSITIONS * plan->c * plan->k > SMALL_KERNEL;
    int tiles =
        large ? LARGE_BLOCK_TILES : pd_max_int(BLOCK_TILES, BLOCK_FLOATS / (POSITIONS * channels));
    plan->shared = large || plan->tiles < (int64_t)4 * plan->threads * tiles;
    plan->block =
        pd_winograd_block_tiles(plan->shared ? plan->threads * tiles : tiles, plan->tiles);
}

pd_winograd_plan pd_winograd_plan_forward(const pd_conv_shape *shape)
{
    const pd_window *window = &shape->window;
    pd_winograd_plan plan = {.h = window->h,
                             .w = window->w,
                             .c = window->c,
                             .pad_top = window->pad_top,
                             .pad_left = window->pad_left,
                             .out_h = window->out_h,
                             .out_w = window->out_w,
                             .k = shape->k,
                             .samples = pd_conv_samples(shape),
                             .threads = shape->threads,
                             .precision = shape->precision};
    plan_cut(&plan);
    return plan;
}

pd_winograd_plan pd_winograd_plan_input(const pd_conv_shape *shape)
{
    const pd_window *window = &shape->window;
    pd_winograd_plan plan = {.h = window->out_h,
                             .w = window->out_w,
                             .c = shape->k,
                             .pad_top = KERNEL - 1 - window->pad_top,
                             .pad_left = KERNEL - 1 - window->pad_left,
                             .out_h = window->h,
                             .out_w = window->w,
                             .k = window->c,
                             .samples = pd_conv_samples(shape),
                             .threads = shape->threads,
                             .precision = shape->precision};
    plan_cut(&plan);
    return plan;
}

size_t pd_winograd_plan_kernel_step(const pd_winograd_plan *plan)
{
    return (size_t)plan->c * (size_t)pd_tile_padded(plan->k) + SKEW;
}

size_t pd_winograd_plan_input_step(const pd_winograd_plan *plan)
{
    return (size_t)plan->block * (size_t)pd_tile_padded(plan->c) + SKEW;
}

size_t pd_winograd_plan_output_step(const pd_winograd_plan *plan)
{
    return (size_t)plan->block * (size_t)pd_tile_padded(plan->k) + SKEW;
}

size_t pd_winograd_plan_kernel_size(const pd_winograd_plan *plan)
{
    return POSITIONS * pd_winograd_plan_kernel_step(plan);
}

size_t pd_winograd_plan_block_size(const pd_winograd_plan *plan)
{
    return POSITIONS * (pd_winograd_plan_input_step(plan) + pd_winograd_plan_output_step(plan));
}

size_t pd_winograd_plan_workspace(const pd_winograd_plan *plan)
{
    return (size_t)pd_tile_padded(plan->k) +
           (size_t)(plan->shared ? 1 : plan->threads) * pd_winograd_plan_block_size(plan);
}
