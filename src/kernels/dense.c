#include "pneumo/kernels/dense.h"

#include "pneumo/kernels/blas.h"

#include "pneumo/base/number.h"
#include "tile.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Inputs that are summed into one partial result, by one thread. */
enum { DENSE_CHUNK = 512 };

/* Floats from one sample to the next in a thread's copy of a chunk. More than the chunk, so that
 * the rows of a tile do not all map to the same few sets of the first-level cache. */
enum { DENSE_PITCH = DENSE_CHUNK + 16 };

static int dense_samples(const pd_dense_shape *shape)
{
    return shape->lanes * shape->lane_samples;
}

/* Floats of all outputs. */
static size_t dense_outputs(const pd_dense_shape *shape)
{
    return (size_t)dense_samples(shape) * (size_t)shape->units;
}

static int dense_chunks(const pd_dense_shape *shape)
{
    return pd_divide_up(shape->inputs, DENSE_CHUNK);
}

/* Floats of a thread's copies: a chunk of x, and one panel of a chunk of the weights. */
static size_t dense_buffer(int samples)
{
    return (size_t)samples * DENSE_PITCH + (size_t)DENSE_CHUNK * PD_TILE_VECTORS * PD_VECTOR_WIDTH;
}

size_t pd_dense_forward_workspace(const pd_dense_shape *shape)
{
    return (size_t)dense_chunks(shape) * dense_outputs(shape) +
           (size_t)shape->threads * dense_buffer(dense_samples(shape));
}

/* The sums over the inputs of one chunk -> partial [samples][units]. */
static void dense_chunk(const pd_dense_shape *shape, int chunk, const float *x,
                        const float *weights, float *partial, float *buffer)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    const int samples = dense_samples(shape), panels = pd_tile_panel_count(shape->units);
    const size_t units = (size_t)shape->units;
    int first = chunk * DENSE_CHUNK, count = pd_min_int(DENSE_CHUNK, shape->inputs - first);
    float *packed = buffer + (size_t)samples * DENSE_PITCH;
    pd_tile_walk walk = pd_tile_walk_line(count, 1);
    for (int n = 0; n < samples; n++)
        memcpy(buffer + (size_t)n * DENSE_PITCH, x + (size_t)n * (size_t)shape->inputs + first,
               (size_t)count * sizeof *x);
    for (int index = 0; index < panels; index++) {
        pd_tile_panel panel = pd_tile_panel_at(shape->units, index);
        int most = pd_tile_max_rows(panel.vectors);
        pd_tile_pack(&panel, count, PD_FLOAT32, weights + (size_t)first * units, units, packed);
        for (int n = 0; n < samples; n += most) {
            int rows = pd_min_int(most, samples - n);
            pd_tile_multiply(rows, panel.vectors, buffer + (size_t)n * DENSE_PITCH, DENSE_PITCH,
                             &walk, packed, sums);
            pd_tile_add(&panel, rows, sums, true, partial + (size_t)n * units, units);
        }
    }
}

/* y [units] of sample n = the sum of its partial results, in order, plus bias, but at least
 * `least`.
 */
static void dense_fold(const pd_dense_shape *shape, int n, const float *partial, const float *bias,
                       float least, float *y)
{
    const int units = shape->units, chunks = dense_chunks(shape);
    partial += (size_t)n * (size_t)units;
    memcpy(y, partial, (size_t)units * sizeof *y);
    for (int chunk = 1; chunk < chunks; chunk++) {
        partial += dense_outputs(shape);
        for (int j = 0; j < units; j++)
            y[j] += partial[j];
    }
    for (int j = 0; j < units; j++) {
        float sum = bias != NULL ? y[j] + bias[j] : y[j];
        y[j] = sum < least ? least : sum;
    }
}

void pd_dense_forward(const pd_dense_shape *shape, const float *x, const float *weights,
                      const float *bias, bool relu, float *y, float *workspace)
{
    const int samples = dense_samples(shape), chunks = dense_chunks(shape);
    const size_t outputs = dense_outputs(shape);
    float *buffers = workspace + (size_t)chunks * outputs;
    float least = relu ? 0 : -INFINITY;
#pragma omp parallel num_threads(shape->threads)
    {
#pragma omp for schedule(dynamic)
        for (int chunk = 0; chunk < chunks; chunk++)
            dense_chunk(shape, chunk, x, weights, workspace + (size_t)chunk * outputs,
                        buffers + (size_t)omp_get_thread_num() * dense_buffer(samples));
#pragma omp for schedule(static)
        for (int n = 0; n < samples; n++)
            dense_fold(shape, n, workspace, bias, least, y + (size_t)n * (size_t)shape->units);
    }
}

void pd_dense_backward_input(const pd_dense_shape *shape, const float *dy, const float *weights,
                             float *dx)
{
    const int inputs = shape->inputs, units = shape->units;
#pragma omp parallel for schedule(dynamic) num_threads(shape->threads)
    for (int first = 0; first < inputs; first += DENSE_CHUNK) {
        /* Lane by lane, because the bits of a product's row may depend on the number of rows. The
         * chunk's weights stay in cache. */
        for (int lane = 0; lane < shape->lanes; lane++) {
            size_t sample = (size_t)lane * (size_t)shape->lane_samples;
            pd_gemm(false, true, shape->lane_samples, pd_min_int(DENSE_CHUNK, inputs - first),
                    units, 1, dy + sample * (size_t)units, units,
                    weights + (size_t)first * (size_t)units, units, 0,
                    dx + sample * (size_t)inputs + first, inputs);
        }
    }
}

/* dy of a lane -> packed, panel after panel, and its sum over the samples -> dbias (or NULL). */
static void dense_pack_lane(const pd_dense_shape *shape, const float *dy, float *packed,
                            float *dbias)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    const int samples = shape->lane_samples, panels = pd_tile_panel_count(shape->units);
    for (int index = 0; index < panels; index++) {
        pd_tile_panel panel = pd_tile_panel_at(shape->units, index);
        float *to = packed + (size_t)samples * (size_t)panel.first;
        pd_tile_pack(&panel, samples, PD_FLOAT32, dy, (size_t)shape->units, to);
        if (dbias != NULL) {
            pd_tile_sum(samples, panel.vectors, to, sums);
            pd_tile_add(&panel, 1, sums, true, dbias, 0);
        }
    }
}

/* The gradients of the weights of one chunk of inputs, for one lane's x and packed dy. */
static void dense_weights_chunk(const pd_dense_shape *shape, int chunk, const float *x,
                                const float *packed, float *dweights)
{
    _Alignas(64) float sums[PD_TILE_SIZE];
    const int panels = pd_tile_panel_count(shape->units);
    const size_t units = (size_t)shape->units;
    pd_tile_walk walk = pd_tile_walk_line(shape->lane_samples, shape->inputs);
    int first = chunk * DENSE_CHUNK, end = pd_min_int(first + DENSE_CHUNK, shape->inputs);
    for (int index = 0; index < panels; index++) {
        pd_tile_panel panel = pd_tile_panel_at(shape->units, index);
        int most = pd_tile_max_rows(panel.vectors);
        for (int i = first; i < end; i += most) {
            int rows = pd_min_int(most, end - i);
            pd_tile_multiply(rows, panel.vectors, x + i, 1, &walk,
                             packed + (size_t)shape->lane_samples * (size_t)panel.first, sums);
            pd_tile_add(&panel, rows, sums, true, dweights + (size_t)i * units, units);
        }
    }
}

/* Floats of one lane's packed dy. */
static size_t dense_packed_lane(const pd_dense_shape *shape)
{
    return (size_t)shape->lane_samples * (size_t)pd_tile_padded(shape->units);
}

size_t pd_dense_backward_weights_workspace(const pd_dense_shape *shape)
{
    return (size_t)shape->lanes * dense_packed_lane(shape);
}

void pd_dense_backward_weights(const pd_dense_shape *shape, const float *x, const float *dy,
                               float *dweights, float *dbias, size_t stride, float *workspace)
{
    const int lanes = shape->lanes, chunks = dense_chunks(shape);
    const size_t samples = (size_t)shape->lane_samples;
#pragma omp parallel for schedule(static) num_threads(shape->threads)
    for (int lane = 0; lane < lanes; lane++)
        dense_pack_lane(shape, dy + (size_t)lane * samples * (size_t)shape->units,
                        workspace + (size_t)lane * dense_packed_lane(shape),
                        dbias != NULL ? dbias + (size_t)lane * stride : NULL);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(shape->threads)
    for (int lane = 0; lane < lanes; lane++) {
        for (int chunk = 0; chunk < chunks; chunk++)
            dense_weights_chunk(shape, chunk, x + (size_t)lane * samples * (size_t)shape->inputs,
                                workspace + (size_t)lane * dense_packed_lane(shape),
                                dweights + (size_t)lane * stride);
    }
}
