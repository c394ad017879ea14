#include "pneumo/kernels/norm.h"
#include "pneumo/kernels/tile.h"

/* Short enough for float sums, long enough that folding the blocks costs nothing. */
enum { BLOCK_ROWS = 128 };

/* Results on their way to memory, around the caches, are put together here. */
enum { BUFFER_FLOATS = 4096 };

/* Rows of c floats that are put together at a time. */
static size_t buffer_rows(size_t c)
{
    return c < BUFFER_FLOATS ? BUFFER_FLOATS / c : 1;
}

/* Whether results are worth it, and fit. */
static bool is_far(const pd_norm *norm, const float *to)
{
    size_t c = (size_t)norm->c, bytes = (size_t)norm->lanes * norm->rows * c * sizeof *to;
    return c <= BUFFER_FLOATS && pd_tile_is_far(to, PD_TILE_WIDTH, bytes);
}

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

/* Adds rows of x, relative to `origin`, and their squares. Four rows at a time: the sums then are
 * loaded and stored a quarter as often. */
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

static void normalise(const pd_norm *norm, int lane, size_t rows, const float *restrict x,
                      float *restrict y)
{
    const size_t c = (size_t)norm->c;
    const float *restrict mean = norm->mean + (size_t)lane * c;
    const float *restrict scale = norm->scale + (size_t)lane * c;
    const float *restrict beta = norm->beta;
    const bool relu = norm->relu;
    for (size_t r = 0; r < rows; r++) {
        const float *restrict in = x + r * c;
        float *restrict out = y + r * c;
        for (size_t j = 0; j < c; j++) {
            float value = (in[j] - mean[j]) * scale[j] + beta[j];
            bool cut = relu & (value < 0);
            out[j] = cut ? 0 : value;
        }
    }
}

void pd_norm_forward(const pd_norm *norm, const float *x, float *y, int threads)
{
    const size_t rows = norm->rows, c = (size_t)norm->c, blocks = block_count(rows);
    const int lanes = norm->lanes;
    const bool far = is_far(norm, y);
    const size_t step = far ? buffer_rows(c) : BLOCK_ROWS;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t b = 0; b < blocks; b++) {
            _Alignas(64) float buffer[BUFFER_FLOATS];
            size_t first = (size_t)lane * rows + b * BLOCK_ROWS, end = first + block_rows(rows, b);
            for (size_t r = first; r < end; r += step) {
                size_t count = end - r < step ? end - r : step;
                normalise(norm, lane, count, x + r * c, far ? buffer : y + r * c);
                if (far)
                    pd_tile_copy_far(count * c, buffer, y + r * c);
            }
            if (far)
                pd_tile_finish_far();
        }
    }
}

/* dy where the ReLU let x pass, else 0. Free of branches, so that loops over it vectorise. */
static inline float masked(float centered, float scale, float beta, float dy, bool relu)
{
    bool pass = !relu | (centered * scale + beta > 0);
    return pass ? dy : 0;
}

/* Adds rows of dz and of dz * (x - mean). */
static void sum_gradient_block(size_t rows, size_t c, const float *restrict x,
                               const float *restrict dy, const float *restrict mean,
                               const float *restrict scale, const float *restrict beta, bool relu,
                               float *restrict sum, float *restrict product)
{
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
            sum_gradient_block(block_rows(rows, b), c, x + first, dy + first,
                               norm->mean + (size_t)lane * c, norm->scale + (size_t)lane * c,
                               norm->beta, norm->relu, part, part + c);
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

/* The gradient of rows of lane `lane` of x. */
static void gradient_rows(const pd_norm *norm, int lane, size_t rows, const float *x,
                          const float *dy, const float *dz_mean, const float *slope, float *dx)
{
    const size_t c = (size_t)norm->c, lane_first = (size_t)lane * c;
    const float *restrict mean = norm->mean + lane_first;
    const float *restrict scale = norm->scale + lane_first;
    const float *restrict beta = norm->beta;
    const bool relu = norm->relu;
    dz_mean += lane_first;
    slope += lane_first;
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * c;
        const float *out = dy + r * c;
        float *gradient = dx + r * c;
#pragma omp simd
        for (size_t j = 0; j < c; j++) {
            float centered = in[j] - mean[j];
            float dz = masked(centered, scale[j], beta[j], out[j], relu);
            gradient[j] = scale[j] * (dz - dz_mean[j] - centered * slope[j]);
        }
    }
}

void pd_norm_backward(const pd_norm *norm, const float *x, const float *dy, const float *dz_mean,
                      const float *slope, float *dx, int threads)
{
    const size_t rows = norm->rows, c = (size_t)norm->c, blocks = block_count(rows);
    const int lanes = norm->lanes;
    const bool far = is_far(norm, dx);
    const size_t step = far ? buffer_rows(c) : BLOCK_ROWS;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t b = 0; b < blocks; b++) {
            _Alignas(64) float buffer[BUFFER_FLOATS];
            size_t first = (size_t)lane * rows + b * BLOCK_ROWS, end = first + block_rows(rows, b);
            for (size_t r = first; r < end; r += step) {
                size_t count = end - r < step ? end - r : step;
                gradient_rows(norm, lane, count, x + r * c, dy + r * c, dz_mean, slope,
                              far ? buffer : dx + r * c);
                if (far)
                    pd_tile_copy_far(count * c, buffer, dx + r * c);
            }
            if (far)
                pd_tile_finish_far();
        }
    }
}
