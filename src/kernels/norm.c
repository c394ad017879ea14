#include "pneumo/kernels/norm.h"

/* Short enough for float sums, long enough that folding the blocks costs nothing. */
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

void pd_norm_forward(const pd_norm *norm, const float *x, float *y, int threads)
{
    const size_t rows = norm->rows, c = (size_t)norm->c, blocks = block_count(rows);
    const int lanes = norm->lanes;
    const bool relu = norm->relu;
    const float *restrict beta = norm->beta;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t b = 0; b < blocks; b++) {
            const float *restrict mean = norm->mean + (size_t)lane * c;
            const float *restrict scale = norm->scale + (size_t)lane * c;
            size_t first = ((size_t)lane * rows + b * BLOCK_ROWS) * c;
            for (size_t r = 0; r < block_rows(rows, b); r++) {
                const float *restrict in = x + first + r * c;
                float *restrict out = y + first + r * c;
                for (size_t j = 0; j < c; j++) {
                    float value = (in[j] - mean[j]) * scale[j] + beta[j];
                    bool cut = relu & (value < 0);
                    out[j] = cut ? 0 : value;
                }
            }
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

void pd_norm_backward(const pd_norm *norm, const float *x, const float *dy, const float *dz_mean,
                      const float *slope, float *dx, int threads)
{
    const size_t rows = norm->rows, c = (size_t)norm->c, blocks = block_count(rows);
    const int lanes = norm->lanes;
    const bool relu = norm->relu;
    const float *restrict beta = norm->beta;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t b = 0; b < blocks; b++) {
            const float *restrict mean = norm->mean + (size_t)lane * c;
            const float *restrict scale = norm->scale + (size_t)lane * c;
            const float *restrict lane_dz_mean = dz_mean + (size_t)lane * c;
            const float *restrict lane_slope = slope + (size_t)lane * c;
            size_t first = ((size_t)lane * rows + b * BLOCK_ROWS) * c;
            for (size_t r = 0; r < block_rows(rows, b); r++) {
                const float *in = x + first + r * c;
                const float *out = dy + first + r * c;
                float *gradient = dx + first + r * c;
#pragma omp simd
                for (size_t j = 0; j < c; j++) {
                    float centered = in[j] - mean[j];
                    float dz = masked(centered, scale[j], beta[j], out[j], relu);
                    gradient[j] = scale[j] * (dz - lane_dz_mean[j] - centered * lane_slope[j]);
                }
            }
        }
    }
}
