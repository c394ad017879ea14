#include "winograd_kernel.h"

#include "tile.h"
#include "transpose.h"

enum { TAPS = KERNEL * KERNEL };

/* Rows of a square block of a kernel: its columns are one vector. */
enum { SQUARE = PD_VECTOR_WIDTH };

/* A kernel being transformed. */
typedef struct kernel_pass {
    const pd_winograd_plan *plan;
    const float *kernel;
    bool turned;
    bool nontemporal; /* stores to `transformed` */
    float *transformed;
} kernel_pass;

/* Block `block`'s first row and column; blocks are numbered row by row. */
static int block_row(const pd_winograd_plan *plan, int block)
{
    return block / pd_divide_up(plan->k, PD_VECTOR_WIDTH) * SQUARE;
}

static int block_column(const pd_winograd_plan *plan, int block)
{
    return block % pd_divide_up(plan->k, PD_VECTOR_WIDTH) * PD_VECTOR_WIDTH;
}

static int block_count(const pd_winograd_plan *plan)
{
    return pd_divide_up(plan->c, SQUARE) * pd_divide_up(plan->k, PD_VECTOR_WIDTH);
}

/* Prefetches row `row` of all taps of a block: its cache lines are too far apart for the hardware
 * prefetcher. */
PD_INLINE void prefetch_row(const kernel_pass *pass, int block, int row)
{
    const ptrdiff_t c = pass->plan->c, k = pass->plan->k;
    ptrdiff_t first = block_row(pass->plan, block), column = block_column(pass->plan, block);
    const float *from =
        pass->kernel + (pass->turned ? (column + row) * c + first : (first + row) * k + column);
    for (int tap = 0; tap < TAPS; tap++)
        __builtin_prefetch(from + tap * c * k, 0, 2);
}

/* The taps of a turned kernel's block, each transposed -> buffer[tap][row][column]. */
static void transpose_taps(const kernel_pass *pass, int first, int rows, int column, float *buffer)
{
    const size_t c = (size_t)pass->plan->c, k = (size_t)pass->plan->k;
    int columns = pd_min_int(PD_VECTOR_WIDTH, pass->plan->k - column);
    for (size_t tap = 0; tap < TAPS; tap++)
        pd_transpose(pass->kernel + ((TAPS - 1 - tap) * k + (size_t)column) * c + first, c, columns,
                     rows, buffer + tap * SQUARE * PD_VECTOR_WIDTH, PD_VECTOR_WIDTH);
}

/* Transforms one row of a block, a patch of 3 x 3 taps, to `row`. */
PD_INLINE void transform_row(const kernel_pass *pass, pd_winograd_patch patch, float *row)
{
    const size_t step = pd_winograd_plan_kernel_step(pass->plan);
    if (!pass->nontemporal) {
        pd_winograd_transform(pd_winograd_line_kernel, KERNEL, INPUT, patch, row, step);
        return;
    }
    _Alignas(64) float result[POSITIONS * PD_VECTOR_WIDTH];
    pd_winograd_transform(pd_winograd_line_kernel, KERNEL, INPUT, patch, result, PD_VECTOR_WIDTH);
    for (size_t position = 0; position < POSITIONS; position++)
        pd_vector_store_nontemporal(row + position * step,
                                    *(const pd_vector *)(result + position * PD_VECTOR_WIDTH));
}

static void transform_block(const kernel_pass *pass, int block)
{
    const pd_winograd_plan *plan = pass->plan;
    const pd_winograd_place origin = {0};
    /* A kernel is an image of 3 x 3 pixels with c * k channels. */
    pd_winograd_images image = pd_winograd_images_make(KERNEL, KERNEL, (ptrdiff_t)plan->c * plan->k,
                                                       1, PD_FLOAT32, pass->kernel);
    _Alignas(64) float buffer[TAPS * SQUARE * PD_VECTOR_WIDTH];
    int first = block_row(plan, block), column = block_column(plan, block);
    int rows = pd_min_int(SQUARE, plan->c - first);
    int next = pd_min_int(block + 1, block_count(plan) - 1);
    pd_tile_panel panel = pd_tile_panel_at(plan->k, column / pd_tile_panel_width(plan->k));
    float *to = pass->transformed + (size_t)panel.first * (size_t)plan->c + (column - panel.first);
    if (pass->turned)
        transpose_taps(pass, first, rows, column, buffer);
    for (int i = 0; i < rows; i++) {
        prefetch_row(pass, next, i);
        pd_winograd_patch patch = {buffer + (ptrdiff_t)i * PD_VECTOR_WIDTH,
                                   (ptrdiff_t)KERNEL * SQUARE * PD_VECTOR_WIDTH,
                                   (ptrdiff_t)SQUARE * PD_VECTOR_WIDTH};
        if (!pass->turned)
            patch = pd_winograd_images_patch(
                &image, &origin, ((ptrdiff_t)first + i) * plan->k + column, KERNEL, buffer);
        transform_row(pass, patch, to + (size_t)(first + i) * (size_t)panel.width);
    }
}

void pd_winograd_kernel_transform(const pd_winograd_plan *plan, const float *kernel, bool turned,
                                  float *transformed)
{
    const size_t step = pd_winograd_plan_kernel_step(plan);
    const int blocks = block_count(plan);
    kernel_pass pass = {.plan = plan,
                        .kernel = kernel,
                        .turned = turned,
                        .nontemporal = pd_vector_use_nontemporal(transformed, step * sizeof(float),
                                                                 POSITIONS * step * sizeof(float)),
                        .transformed = transformed};
#pragma omp parallel num_threads(plan->threads)
    {
#pragma omp for schedule(static) nowait
        for (int block = 0; block < blocks; block++)
            transform_block(&pass, block);
        if (pass.nontemporal)
            pd_vector_fence();
    }
}
