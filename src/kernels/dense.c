#include "pneumo/kernels/dense.h"
#include "pneumo/kernels/blas.h"
#include "pneumo/kernels/integer.h"
#include "pneumo/kernels/tile.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Inputs that are summed at a stretch, and that a thread takes at a time. */
enum { DENSE_CHUNK = 512 };

/* Floats from one sample to the next in a thread's copy of a chunk. More than the chunk, so that
 * the rows of a tile do not all fall into the same few sets of the first-level cache. */
enum { DENSE_PITCH = DENSE_CHUNK + 16 };

/* Floats of a thread's copies: a chunk of x, and one panel of a chunk of the weights. */
static size_t dense_buffer(int samples)
{
    return (size_t)samples * DENSE_PITCH + (size_t)DENSE_CHUNK * PD_TILE_VECTORS * PD_TILE_WIDTH;
}

size_t pd_dense_forward_workspace(int samples, int inputs, int units, int threads)
{
    size_t partial = (size_t)pd_divide_up(inputs, DENSE_CHUNK) * (size_t)samples * (size_t)units;
    return partial + (size_t)threads * dense_buffer(samples);
}

/* Sums of chunk [first, first + count) of the inputs -> partial [samples][units]. */
static void dense_chunk(int samples, int inputs, int units, int first, int count, const float *x,
                        const float *weights, float *partial, float *buffer)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    float *panel = buffer + (size_t)samples * DENSE_PITCH;
    pd_tile_walk walk = {{1, 1, count}, {0, 0, 1}, NULL};
    int padded = pd_tile_padded(units);
    int panel_width = pd_tile_panel_vectors(units) * PD_TILE_WIDTH;
    for (int n = 0; n < samples; n++)
        memcpy(buffer + (size_t)n * DENSE_PITCH, x + (size_t)n * (size_t)inputs + first,
               (size_t)count * sizeof *x);
    for (int unit = 0; unit < padded; unit += panel_width) {
        int width = pd_min_int(panel_width, padded - unit);
        int columns = pd_min_int(width, units - unit);
        int most = pd_tile_max_rows(width / PD_TILE_WIDTH);
        pd_tile_pack(count, columns, width, weights + (size_t)first * (size_t)units + unit,
                     (size_t)units, panel);
        for (int n = 0; n < samples; n += most) {
            int rows = pd_min_int(most, samples - n);
            pd_tile_multiply(rows, width / PD_TILE_WIDTH, buffer + (size_t)n * DENSE_PITCH,
                             DENSE_PITCH, &walk, panel, sums);
            for (int r = 0; r < rows; r++)
                memcpy(partial + (size_t)(n + r) * (size_t)units + unit, sums + r * width,
                       (size_t)columns * sizeof *sums);
        }
    }
}

void pd_dense_forward(int samples, int inputs, int units, const float *x, const float *weights,
                      const float *bias, bool relu, float *y, float *workspace, int threads)
{
    int chunks = pd_divide_up(inputs, DENSE_CHUNK);
    size_t outputs = (size_t)samples * (size_t)units;
    float *buffers = workspace + (size_t)chunks * outputs;
    float least = relu ? 0 : -INFINITY;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic)
        for (int chunk = 0; chunk < chunks; chunk++) {
            int first = chunk * DENSE_CHUNK;
            dense_chunk(samples, inputs, units, first, pd_min_int(DENSE_CHUNK, inputs - first), x,
                        weights, workspace + (size_t)chunk * outputs,
                        buffers + (size_t)omp_get_thread_num() * dense_buffer(samples));
        }
#pragma omp for schedule(static)
        for (int n = 0; n < samples; n++) {
            float *row = y + (size_t)n * (size_t)units;
            memcpy(row, workspace + (size_t)n * (size_t)units, (size_t)units * sizeof *row);
            for (int chunk = 1; chunk < chunks; chunk++) {
                const float *part = workspace + (size_t)chunk * outputs + (size_t)n * (size_t)units;
                for (int j = 0; j < units; j++)
                    row[j] += part[j];
            }
            for (int j = 0; j < units; j++) {
                float sum = bias ? row[j] + bias[j] : row[j];
                row[j] = sum < least ? least : sum;
            }
        }
    }
}

void pd_dense_backward_input(int lanes, int lane_samples, int inputs, int units, const float *dy,
                             const float *weights, float *dx, int threads)
{
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int first = 0; first < inputs; first += DENSE_CHUNK) {
        /* Lane by lane, because the bits of a product's row may depend on the number of rows. The
         * chunk's weights stay in cache. */
        for (int lane = 0; lane < lanes; lane++) {
            size_t sample = (size_t)lane * (size_t)lane_samples;
            pd_gemm(false, true, lane_samples, pd_min_int(DENSE_CHUNK, inputs - first), units, 1,
                    dy + sample * (size_t)units, units, weights + (size_t)first * (size_t)units,
                    units, 0, dx + sample * (size_t)inputs + first, inputs);
        }
    }
}

/* Gradients of the weights of inputs [first, first + count) for one lane and one panel. */
static void dense_weights_tiles(int lane_samples, int inputs, int units, int first, int count,
                                const float *x, const float *panel, int width, int columns,
                                float *dweights)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    pd_tile_walk walk = {{1, 1, lane_samples}, {0, 0, inputs}, NULL};
    int most = pd_tile_max_rows(width / PD_TILE_WIDTH);
    for (int i = first; i < first + count; i += most) {
        int rows = pd_min_int(most, first + count - i);
        pd_tile_multiply(rows, width / PD_TILE_WIDTH, x + i, 1, &walk, panel, sums);
        for (int r = 0; r < rows; r++)
            memcpy(dweights + (size_t)(i + r) * (size_t)units, sums + r * width,
                   (size_t)columns * sizeof *sums);
    }
}

size_t pd_dense_backward_weights_workspace(int lanes, int lane_samples, int units)
{
    return (size_t)lanes * (size_t)lane_samples * (size_t)pd_tile_padded(units);
}

void pd_dense_backward_weights(int lanes, int lane_samples, int inputs, int units, const float *x,
                               const float *dy, float *dweights, float *dbias, size_t stride,
                               float *workspace, int threads)
{
    static const float one = 1;
    size_t samples = (size_t)lane_samples;
    int padded = pd_tile_padded(units);
    int panel_width = pd_tile_panel_vectors(units) * PD_TILE_WIDTH;

    /* dy in panels, lane by lane; the bias' gradient is its sum, a product with ones. */
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        _Alignas(64) float sums[PD_TILE_SIZE];
        pd_tile_walk walk = {{1, 1, lane_samples}, {0, 0, 0}, NULL};
        for (int unit = 0; unit < padded; unit += panel_width) {
            int width = pd_min_int(panel_width, padded - unit);
            int columns = pd_min_int(width, units - unit);
            float *panel = workspace + samples * ((size_t)lane * (size_t)padded + (size_t)unit);
            pd_tile_pack(lane_samples, columns, width,
                         dy + (size_t)lane * samples * (size_t)units + unit, (size_t)units, panel);
            if (dbias) {
                pd_tile_multiply(1, width / PD_TILE_WIDTH, &one, 1, &walk, panel, sums);
                memcpy(dbias + (size_t)lane * stride + unit, sums, (size_t)columns * sizeof *sums);
            }
        }
    }
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (int first = 0; first < inputs; first += DENSE_CHUNK) {
            for (int unit = 0; unit < padded; unit += panel_width) {
                int width = pd_min_int(panel_width, padded - unit);
                dense_weights_tiles(
                    lane_samples, inputs, units, first, pd_min_int(DENSE_CHUNK, inputs - first),
                    x + (size_t)lane * samples * (size_t)inputs,
                    workspace + samples * ((size_t)lane * (size_t)padded + (size_t)unit), width,
                    pd_min_int(width, units - unit), dweights + (size_t)lane * stride + unit);
            }
        }
    }
}
