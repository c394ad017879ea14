#include "pneumo/kernels/norm.h"

#include "element.h"

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

/* Sums of the rows of x from element `at` on, relative to the first, and of their squares. Four
 * rows at a time: the sums are then loaded and stored a quarter as often. */
PD_INLINE void sum_block(pd_precision precision, size_t rows, size_t c, const void *restrict x,
                         size_t at, float *restrict sum, float *restrict square)
{
    const size_t first = at;
    for (size_t j = 0; j < c; j++)
        sum[j] = square[j] = 0;
    size_t r = 0;
    for (; r + 4 <= rows; r += 4, at += 4 * c) {
        for (size_t j = 0; j < c; j++) {
            float origin = pd_element_load(precision, x, first + j);
            float d0 = pd_element_load(precision, x, at + j) - origin;
            float d1 = pd_element_load(precision, x, at + c + j) - origin;
            float d2 = pd_element_load(precision, x, at + 2 * c + j) - origin;
            float d3 = pd_element_load(precision, x, at + 3 * c + j) - origin;
            sum[j] += (d0 + d1) + (d2 + d3);
            square[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; r < rows; r++, at += c) {
        for (size_t j = 0; j < c; j++) {
            float d =
                pd_element_load(precision, x, at + j) - pd_element_load(precision, x, first + j);
            sum[j] += d;
            square[j] += d * d;
        }
    }
}

void pd_norm_sums(const pd_norm *norm, const void *x, float *workspace, double *sums, int threads)
{
    const size_t rows = norm->rows, c = (size_t)norm->c, blocks = block_count(rows);
    const int lanes = norm->lanes;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t b = 0; b < blocks; b++) {
            size_t first = ((size_t)lane * rows + b * BLOCK_ROWS) * c;
            float *part = workspace + ((size_t)lane * blocks + b) * 2 * c;
            PD_WITH_PRECISION(norm->precision, sum_block(precision, block_rows(rows, b), c, x,
                                                         first, part, part + c));
        }
    }
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t j = 0; j < c; j++) {
            double sum = 0, square = 0;
            for (size_t b = 0; b < blocks; b++) {
                const float *part = workspace + ((size_t)lane * blocks + b) * 2 * c;
                double origin = pd_element_load(norm->precision, x,
                                                ((size_t)lane * rows + b * BLOCK_ROWS) * c + j);
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

typedef struct gradient_input {
    const void *x, *dy;
} gradient_input;

/* Sums of the rows of dz and of dz * (x - mean) from element `at` of x and dy on. */
PD_INLINE void sum_gradient_block(pd_precision precision, const pd_norm *norm, int lane,
                                  size_t rows, const gradient_input *of, size_t at,
                                  float *restrict sum, float *restrict product)
{
    const size_t c = (size_t)norm->c;
    const float *restrict mean = norm->mean + (size_t)lane * c;
    const float *restrict scale = norm->scale + (size_t)lane * c;
    const float *restrict beta = norm->beta;
    const void *restrict x = of->x, *restrict dy = of->dy;
    const bool relu = norm->relu;
    for (size_t j = 0; j < c; j++)
        sum[j] = product[j] = 0;
    size_t r = 0;
    for (; r + 4 <= rows; r += 4, at += 4 * c) {
        for (size_t j = 0; j < c; j++) {
            const size_t i0 = at + j, i1 = i0 + c, i2 = i1 + c, i3 = i2 + c;
            float x0 = pd_element_load(precision, x, i0) - mean[j];
            float x1 = pd_element_load(precision, x, i1) - mean[j];
            float x2 = pd_element_load(precision, x, i2) - mean[j];
            float x3 = pd_element_load(precision, x, i3) - mean[j];
            float d0 = masked(x0, scale[j], beta[j], pd_element_load(precision, dy, i0), relu);
            float d1 = masked(x1, scale[j], beta[j], pd_element_load(precision, dy, i1), relu);
            float d2 = masked(x2, scale[j], beta[j], pd_element_load(precision, dy, i2), relu);
            float d3 = masked(x3, scale[j], beta[j], pd_element_load(precision, dy, i3), relu);
            sum[j] += (d0 + d1) + (d2 + d3);
            product[j] += (d0 * x0 + d1 * x1) + (d2 * x2 + d3 * x3);
        }
    }
    for (; r < rows; r++, at += c) {
        for (size_t j = 0; j < c; j++) {
            float x0 = pd_element_load(precision, x, at + j) - mean[j];
            float d0 = masked(x0, scale[j], beta[j], pd_element_load(precision, dy, at + j), relu);
            sum[j] += d0;
            product[j] += d0 * x0;
        }
    }
}

void pd_norm_backward_sums(const pd_norm *norm, const void *x, const void *dy, float *workspace,
                           double *sums, int threads)
{
    const gradient_input of = {x, dy};
    const size_t rows = norm->rows, c = (size_t)norm->c, blocks = block_count(rows);
    const int lanes = norm->lanes;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t b = 0; b < blocks; b++) {
            size_t first = ((size_t)lane * rows + b * BLOCK_ROWS) * c;
            float *part = workspace + ((size_t)lane * blocks + b) * 2 * c;
            PD_WITH_PRECISION(norm->precision,
                              sum_gradient_block(precision, norm, lane, block_rows(rows, b), &of,
                                                 first, part, part + c));
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
    const void *x, *dy;
    const float *dz_mean, *slope; /* [lanes][c] */
    void *out;
} norm_pass;

/* Rows of a lane. `first` counts from the first row of lane 0. */
typedef struct norm_rows {
    int lane;
    size_t first, count;
} norm_rows;

/* `out` has the precision `to`. */
PD_INLINE void normalise_rows(pd_precision precision, const norm_pass *pass, const norm_rows *rows,
                              pd_precision to, void *restrict out)
{
    const pd_norm *norm = pass->norm;
    const size_t c = (size_t)norm->c;
    const float *restrict mean = norm->mean + (size_t)rows->lane * c;
    const float *restrict scale = norm->scale + (size_t)rows->lane * c;
    const float *restrict beta = norm->beta;
    const void *restrict x = pass->x;
    const bool relu = norm->relu;
    for (size_t r = 0; r < rows->count; r++) {
        const size_t at = (rows->first + r) * c;
        for (size_t j = 0; j < c; j++) {
            float value = (pd_element_load(precision, x, at + j) - mean[j]) * scale[j] + beta[j];
            bool cut = relu & (value < 0);
            pd_element_store(to, out, r * c + j, cut ? 0 : value);
        }
    }
}

/* `out` may be dy's own rows. */
PD_INLINE void gradient_rows(pd_precision precision, const norm_pass *pass, const norm_rows *rows,
                             pd_precision to, void *out)
{
    const pd_norm *norm = pass->norm;
    const size_t c = (size_t)norm->c, lane_first = (size_t)rows->lane * c;
    const float *restrict mean = norm->mean + lane_first;
    const float *restrict scale = norm->scale + lane_first;
    const float *restrict beta = norm->beta;
    const float *dz_mean = pass->dz_mean + lane_first, *slope = pass->slope + lane_first;
    const bool relu = norm->relu;
    for (size_t r = 0; r < rows->count; r++) {
        const size_t at = (rows->first + r) * c;
#pragma omp simd
        for (size_t j = 0; j < c; j++) {
            float centered = pd_element_load(precision, pass->x, at + j) - mean[j];
            float dz = masked(centered, scale[j], beta[j],
                              pd_element_load(precision, pass->dy, at + j), relu);
            pd_element_store(to, out, r * c + j,
                             scale[j] * (dz - dz_mean[j] - centered * slope[j]));
        }
    }
}

PD_INLINE void pass_rows(pd_precision precision, const norm_pass *pass, const norm_rows *rows,
                         pd_precision to, void *out)
{
    if (pass->dy != NULL)
        gradient_rows(precision, pass, rows, to, out);
    else
        normalise_rows(precision, pass, rows, to, out);
}

/* The same by way of a buffer and nontemporal stores. */
PD_INLINE void pass_rows_nontemporal(pd_precision precision, const norm_pass *pass,
                                     const norm_rows *rows)
{
    _Alignas(64) float buffer[BUFFER_FLOATS];
    const size_t c = (size_t)pass->norm->c, step = BUFFER_FLOATS / c;
    for (size_t r = 0; r < rows->count; r += step) {
        size_t count = rows->count - r < step ? rows->count - r : step;
        norm_rows part = {rows->lane, rows->first + r, count};
        pass_rows(precision, pass, &part, PD_FLOAT32, buffer);
        pd_elements_copy_nontemporal(precision, count * c, buffer,
                                     pd_precision_at(precision, pass->out, part.first * c));
    }
    pd_vector_fence();
}

PD_INLINE void pass_block(pd_precision precision, const norm_pass *pass, const norm_rows *rows,
                          bool nontemporal)
{
    if (nontemporal)
        pass_rows_nontemporal(precision, pass, rows);
    else
        pass_rows(precision, pass, rows, precision,
                  pd_precision_at(precision, pass->out, rows->first * (size_t)pass->norm->c));
}

static void run_pass(const norm_pass *pass, int threads)
{
    const pd_norm *norm = pass->norm;
    const int lanes = norm->lanes;
    const size_t rows = norm->rows, c = (size_t)norm->c, blocks = block_count(rows);
    const size_t bytes = (size_t)lanes * rows * c * pd_precision_bytes(norm->precision);
    const bool nontemporal =
        c <= BUFFER_FLOATS &&
        pd_vector_use_nontemporal(pass->out, c * pd_precision_bytes(norm->precision), bytes);
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (size_t b = 0; b < blocks; b++) {
            norm_rows block = {lane, (size_t)lane * rows + b * BLOCK_ROWS, block_rows(rows, b)};
            PD_WITH_PRECISION(norm->precision, pass_block(precision, pass, &block, nontemporal));
        }
    }
}

void pd_norm_forward(const pd_norm *norm, const void *x, void *y, int threads)
{
    norm_pass pass = {.norm = norm, .x = x, .out = y};
    run_pass(&pass, threads);
}

void pd_norm_backward(const pd_norm *norm, const void *x, const void *dy, const float *dz_mean,
                      const float *slope, void *dx, int threads)
{
    norm_pass pass = {
        .norm = norm, .x = x, .dy = dy, .dz_mean = dz_mean, .slope = slope, .out = dx};
    run_pass(&pass, threads);
}
