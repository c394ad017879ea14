#include "pneumo/kernels/norm.h"

#include "vector.h"

/* Few enough rows for float sums, enough that folding the blocks costs nothing. */
enum { BLOCK_ROWS = 128 };

static size_t block_count(size_t rows)
{
    return (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
}

static size_t block_rows(size_t rows, size_t block)
{
    size_t left = rows - block * BLOCK_ROWS;
    return left < BLOCK_ROWS ? left : BLOCK_ROWS;
}

size_t pd_norm_workspace(int lanes, size_t rows, int c)
{
    return (size_t)lanes * block_count(rows) * 2 * (size_t)c;
}

/* Sums of rows of x, relative to `origin`, and of their squares. Four rows at a time: the sums are
 * then loaded and stored a quarter as often. */
static void sum_block(size_t rows, size_t c, const float *restrict x, const float *restrict origin,
                      float *restrict sum, float *restrict square)
{
    for (size_t j = 0; j < c; j++)
        sum[j] = square[j] = 0;
    size_t r = 0;
    for (; r + 4 <= rows; r += 4, x += 4 * c) {
        for (size_t j = 0; j < c; j++) {
            float d0 = x[j] - origin[j];
            float d1 = x[c + j] - origin[j];
            float d2 = x[2 * c + j] - origin[j];
            float d3 = x[3 * c + j] - origin[j];
            sum[j] += (d0 + d1) + (d2 + d3);
            square[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; r < rows; r++, x += c) {
        for (size_t j = 0; j < c; j++) {
            float d = x[j] - origin[j];
            sum[j] += d;
            square[j] += d * d;
        }
    }
}

void pd_norm_sums(const pd_norm *norm, const float *x, float *workspace, double *sums, int threads)
{
    const size_t rows = norm->rows, c = (size_t)norm->c, blocks = block_count(rows);
    const int lanes = norm->lanes;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t b = 0; b < blocks; b++) {
            const float *block = x + ((size_t)lane * rows + b * BLOCK_ROWS) * c;
            float *part = workspace + ((size_t)lane * blocks + b) * 2 * c;
            sum_block(block_rows(rows, b), c, block, block, part, part + c);
        }
    }
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t j = 0; j < c; j++) {
            double sum = 0, square = 0;
            for (size_t b = 0; b < blocks; b++) {
                const float *part = workspace + ((size_t)lane * blocks + b) * 2 * c;
                double origin = x[((size_t)lane * rows + b * BLOCK_ROWS) * c + j];
                double n = (double)block_rows(rows, b);
                sum += part[j] + n * origin;
                square += part[c + j] + origin * (2 * part[j] + n * origin);
            }
            sums[((size_t)lane * 2) * c + j] = sum;
            sums[((size_t)lane * 2 + 1) * c + j] = square;
        }
    }
}

/* dy where the ReLU passes x, else 0. Free of branches, so that loops over it vectorise. */
static inline float masked(float centered, float scale, float beta, float dy, bool relu)
{
    bool pass = !relu | (centered * scale + beta > 0);
    return pass ? dy : 0;
}

/* Sums of rows of dz and of dz * (x - mean). */
static void sum_gradient_block(const pd_norm *norm, int lane, size_t rows, const float *restrict x,
                               const float *restrict dy, float *restrict sum,
                               float *restrict product)
{
    const size_t c = (size_t)norm->c;
    const float *restrict mean = norm->mean + (size_t)lane * c;
    const float *restrict scale = norm->scale + (size_t)lane * c;
    const float *restrict beta = norm->beta;
    const bool relu = norm->relu;
    for (size_t j = 0; j < c; j++)
        sum[j] = product[j] = 0;
    size_t r = 0;
    for (; r + 4 <= rows; r += 4, x += 4 * c, dy += 4 * c) {
        for (size_t j = 0; j < c; j++) {
            float x0 = x[j] - mean[j], x1 = x[c + j] - mean[j];
            float x2 = x[2 * c + j] - mean[j], x3 = x[3 * c + j] - mean[j];
            float d0 = masked(x0, scale[j], beta[j], dy[j], relu);
            float d1 = masked(x1, scale[j], beta[j], dy[c + j], relu);
            float d2 = masked(x2, scale[j], beta[j], dy[2 * c + j], relu);
            float d3 = masked(x3, scale[j], beta[j], dy[3 * c + j], relu);
            sum[j] += (d0 + d1) + (d2 + d3);
            product[j] += (d0 * x0 + d1 * x1) + (d2 * x2 + d3 * x3);
        }
    }
    for (; r < rows; r++, x += c, dy += c) {
        for (size_t j = 0; j < c; j++) {
            float x0 = x[j] - mean[j];
            float d0 = masked(x0, scale[j], beta[j], dy[j], relu);
            sum[j] += d0;
            product[j] += d0 * x0;
        }
    }
}

void pd_norm_backward_sums(const pd_norm *norm, const float *x, const float *dy, float *workspace,
                           double *sums, int threads)
{
    const size_t rows = norm->rows, c = (size_t)norm->c, blocks = block_count(rows);
    const int lanes = norm->lanes;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t b = 0; b < blocks; b++) {
            size_t first = ((size_t)lane * rows + b * BLOCK_ROWS) * c;
            float *part = workspace + ((size_t)lane * blocks + b) * 2 * c;
            sum_gradient_block(norm, lane, block_rows(rows, b), x + first, dy + first, part,
                               part + c);
        }
    }
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t j = 0; j < 2 * c; j++) {
            double sum = 0;
            for (size_t b = 0; b < blocks; b++)
                sum += workspace[((size_t)lane * blocks + b) * 2 * c + j];
            sums[(size_t)lane * 2 * c + j] = sum;
        }
    }
}

/* --- Forward, and the gradient. --- */

/* Nontemporal stores copy results from a buffer of this many floats. */
enum { BUFFER_FLOATS = 4096 };

/* One pass over all rows. Without dy, out is the normalised x; with dy, out is the gradient. */
typedef struct norm_pass {
    const pd_norm *norm;
    const float *x, *dy;
    const float *dz_mean, *slope; /* [lanes][c] */
    float *out;
} norm_pass;

static void normalise_rows(const norm_pass *pass, int lane, size_t first, size_t rows, float *out)
{
    const pd_norm *norm = pass->norm;
    const size_t c = (size_t)norm->c;
    const float *restrict mean = norm->mean + (size_t)lane * c;
    const float *restrict scale = norm->scale + (size_t)lane * c;
    const float *restrict beta = norm->beta;
    const bool relu = norm->relu;
    for (size_t r = 0; r < rows; r++) {
        const float *restrict in = pass->x + (first + r) * c;
        float *restrict y = out + r * c;
        for (size_t j = 0; j < c; j++) {
            float value = (in[j] - mean[j]) * scale[j] + beta[j];
            bool cut = relu & (value < 0);
            y[j] = cut ? 0 : value;
        }
    }
}

/* `out` may be dy's own rows. */
static void gradient_rows(const norm_pass *pass, int lane, size_t first, size_t rows, float *out)
{
    const pd_norm *norm = pass->norm;
    const size_t c = (size_t)norm->c, lane_first = (size_t)lane * c;
    const float *restrict mean = norm->mean + lane_first;
    const float *restrict scale = norm->scale + lane_first;
    const float *restrict beta = norm->beta;
    const float *dz_mean = pass->dz_mean + lane_first, *slope = pass->slope + lane_first;
    const bool relu = norm->relu;
    const float *x = pass->x + first * c, *dy = pass->dy + first * c;
    float *dx = out;
    for (size_t r = 0; r < rows; r++, x += c, dy += c, dx += c) {
#pragma omp simd
        for (size_t j = 0; j < c; j++) {
            float centered = x[j] - mean[j];
            float dz = masked(centered, scale[j], beta[j], dy[j], relu);
            dx[j] = scale[j] * (dz - dz_mean[j] - centered * slope[j]);
        }
    }
}

/* Rows first .. first + rows - 1 of all lanes, which lie in lane `lane`, to `out`. */
static void pass_rows(const norm_pass *pass, int lane, size_t first, size_t rows, float *out)
{
    if (pass->dy != NULL)
        gradient_rows(pass, lane, first, rows, out);
    else
        normalise_rows(pass, lane, first, rows, out);
}

/* The same by way of a buffer and nontemporal stores. */
static void pass_rows_nontemporal(const norm_pass *pass, int lane, size_t first, size_t rows,
                                  float *out)
{
    _Alignas(64) float buffer[BUFFER_FLOATS];
    const size_t c = (size_t)pass->norm->c, step = BUFFER_FLOATS / c;
    for (size_t r = 0; r < rows; r += step) {
        size_t count = rows - r < step ? rows - r : step;
        pass_rows(pass, lane, first + r, count, buffer);
        pd_vector_copy_nontemporal(count * c, buffer, out + r * c);
    }
    pd_vector_fence();
}

static void run_pass(const norm_pass *pass, int threads)
{
    const pd_norm *norm = pass->norm;
    const int lanes = norm->lanes;
    const size_t rows = norm->rows, c = (size_t)norm->c, blocks = block_count(rows);
    const size_t bytes = (size_t)lanes * rows * c * sizeof(float);
    const bool nontemporal =
        c <= BUFFER_FLOATS && pd_vector_use_nontemporal(pass->out, PD_VECTOR_WIDTH, bytes);
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t b = 0; b < blocks; b++) {
            size_t first = (size_t)lane * rows + b * BLOCK_ROWS;
            if (nontemporal)
                pass_rows_nontemporal(pass, lane, first, block_rows(rows, b),
                                      pass->out + first * c);
            else
                pass_rows(pass, lane, first, block_rows(rows, b), pass->out + first * c);
        }
    }
}

void pd_norm_forward(const pd_norm *norm, const float *x, float *y, int threads)
{
    norm_pass pass = {.norm = norm, .x = x, .out = y};
    run_pass(&pass, threads);
}

void pd_norm_backward(const pd_norm *norm, const float *x, const float *dy, const float *dz_mean,
                      const float *slope, float *dx, int threads)
{
    norm_pass pass = {
        .norm = norm, .x = x, .dy = dy, .dz_mean = dz_mean, .slope = slope, .out = dx};
    run_pass(&pass, threads);
}
