#include "pneumo/kernels/activation.h"

#include "element.h"
#include "pneumo/base/random.h"

#include <string.h>

/* Elements of one task of a loop, so that the precision is looked up once for many. */
enum { TASK = 1 << 14 };

static size_t task_end(size_t first, size_t n)
{
    return n - first < TASK ? n : first + TASK;
}

void pd_copy(pd_precision precision, size_t n, const void *x, void *y, int threads)
{
    const size_t size = pd_precision_bytes(precision);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t first = 0; first < n; first += TASK)
        memmove((char *)y + first * size, (const char *)x + first * size,
                (task_end(first, n) - first) * size);
}

PD_INLINE void relu(pd_precision precision, size_t first, size_t end, const void *x, void *y)
{
#pragma omp simd
    for (size_t i = first; i < end; i++) {
        float value = pd_element_load(precision, x, i);
        pd_element_store(precision, y, i, value < 0 ? 0 : value);
    }
}

void pd_relu(pd_precision of, size_t n, const void *x, void *y, int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t first = 0; first < n; first += TASK)
        PD_WITH_PRECISION(of, relu(precision, first, task_end(first, n), x, y));
}

PD_INLINE void relu_backward(pd_precision precision, size_t first, size_t end, const void *y,
                             const void *dy, void *dx)
{
#pragma omp simd
    for (size_t i = first; i < end; i++) {
        float gradient = pd_element_load(precision, dy, i);
        pd_element_store(precision, dx, i, pd_element_load(precision, y, i) > 0 ? gradient : 0);
    }
}

void pd_relu_backward(pd_precision of, size_t n, const void *y, const void *dy, void *dx,
                      int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t first = 0; first < n; first += TASK)
        PD_WITH_PRECISION(of, relu_backward(precision, first, task_end(first, n), y, dy, dx));
}

void pd_rectify(size_t n, const float *x, float slope, float limit, float *y, int threads)
{
#pragma omp parallel for simd schedule(static) num_threads(threads)
    for (size_t i = 0; i < n; i++) {
        float negative = slope * x[i], capped = x[i] > limit ? limit : x[i];
        y[i] = x[i] < 0 ? negative : capped;
    }
}

void pd_rectify_backward(size_t n, const float *x, const float *dy, float slope, float limit,
                         float *dx, int threads)
{
#pragma omp parallel for simd schedule(static) num_threads(threads)
    for (size_t i = 0; i < n; i++) {
        float negative = slope * dy[i], positive = x[i] > 0 && x[i] < limit ? dy[i] : 0;
        dx[i] = x[i] < 0 ? negative : positive;
    }
}

void pd_elu(size_t n, const float *x, float alpha, float *y, int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] > 0 ? x[i] : alpha * expm1f(x[i]);
}

void pd_elu_backward(size_t n, const float *y, const float *dy, float alpha, float *dx, int threads)
{
#pragma omp parallel for simd schedule(static) num_threads(threads)
    for (size_t i = 0; i < n; i++)
        dx[i] = dy[i] * (y[i] > 0 ? 1 : y[i] + alpha);
}

void pd_logistic(size_t n, const float *x, float *y, int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t i = 0; i < n; i++)
        y[i] = (float)pd_sigmoid((double)x[i]);
}

void pd_logistic_backward(size_t n, const float *y, const float *dy, float *dx, int threads)
{
#pragma omp parallel for simd schedule(static) num_threads(threads)
    for (size_t i = 0; i < n; i++)
        dx[i] = dy[i] * y[i] * (1 - y[i]);
}

PD_INLINE void add(pd_precision precision, size_t first, size_t end, const void *a, const void *b,
                   bool relu_after, void *y)
{
#pragma omp simd
    for (size_t i = first; i < end; i++) {
        float sum = pd_element_load(precision, a, i) + pd_element_load(precision, b, i);
        pd_element_store(precision, y, i, relu_after && sum < 0 ? 0 : sum);
    }
}

void pd_add(pd_precision of, size_t n, const void *a, const void *b, bool relu_after, void *y,
            int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t first = 0; first < n; first += TASK)
        PD_WITH_PRECISION(of, add(precision, first, task_end(first, n), a, b, relu_after, y));
}

void pd_add_bias(pd_precision of, size_t rows, size_t c, const float *bias, void *y, int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < c; j++) {
            float sum = pd_element_load(of, y, i * c + j) + bias[j];
            pd_element_store(of, y, i * c + j, sum);
        }
    }
}

/* Philox blocks drawn at once, the elements that they serve, and those of one task, a multiple. */
enum { BLOCKS = 16, DRAW = 4 * BLOCKS, DROPOUT_TASK = 256 * DRAW };

/* The results of pd_philox for BLOCKS blocks of a stream, from counter[0] = first on; block b's
 * numbers are bits[4 * b ...]. Duplicated here so that the rounds vectorise over all blocks. */
static void draw_blocks(const pd_random *stream, uint32_t first, uint32_t bits[DRAW])
{
#pragma omp simd
    for (uint32_t b = 0; b < BLOCKS; b++) {
        uint32_t c0 = first + b, c1 = stream->counter[1];
        uint32_t c2 = stream->counter[2], c3 = stream->counter[3];
        uint32_t k0 = stream->key[0], k1 = stream->key[1];
        for (int round = 0; round < 10; round++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0;
            uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
            c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
            c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
            c1 = (uint32_t)p1;
            c3 = (uint32_t)p0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        bits[(size_t)4 * b] = c0;
        bits[(size_t)4 * b + 1] = c1;
        bits[(size_t)4 * b + 2] = c2;
        bits[(size_t)4 * b + 3] = c3;
    }
}

void pd_dropout_apply(const pd_dropout *dropout, size_t samples, size_t size, const float *x,
                      float *y, int threads)
{
    const float keep_scale = 1.0f / (1.0f - dropout->rate);
    const uint32_t threshold = (uint32_t)((double)dropout->rate * 0x1p32);
    const size_t tasks = (size + DROPOUT_TASK - 1) / DROPOUT_TASK;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (size_t n = 0; n < samples; n++) {
        for (size_t task = 0; task < tasks; task++) {
            uint64_t minor = (uint64_t)dropout->layer << 40 | (dropout->first_sample + n);
            pd_random stream =
                pd_random_stream(dropout->seed, PD_PURPOSE_DROPOUT, dropout->step, minor);
            size_t end = (task + 1) * DROPOUT_TASK < size ? (task + 1) * DROPOUT_TASK : size;
            for (size_t i = task * DROPOUT_TASK; i < end; i += DRAW) {
                uint32_t bits[DRAW];
                draw_blocks(&stream, (uint32_t)(i / 4), bits);
                const float *in = x + n * size + i;
                float *out = y + n * size + i;
                size_t count = end - i < DRAW ? end - i : DRAW;
#pragma omp simd
                for (size_t k = 0; k < count; k++) {
                    float value = in[k] * keep_scale;
                    out[k] = bits[k] >= threshold ? value : 0;
                }
            }
        }
    }
}
