/* Compares the speed of direct and Winograd convolution, 3 x 3, forward and both ways backward.
 *
 * Usage: bench_conv [vgg16|cnn-deep [size [lanes [lane_samples [threads]]]]], by default vgg16 224
 * 8 1 and all cores. GFLOP/s are effective: 2 * out_h * out_w * 9 * c * k operations per sample,
 * however they are computed. The methods are timed alternately, and the fastest of several runs
 * counts: wall-clock time, or CPU time with one thread. An asterisk marks the method that the
 * network uses. The first line is the speed of one core in a large matrix product, the last the
 * time of the whole network. */
#include "pneumo/base/clock.h"
#include "pneumo/kernels/blas.h"
#include "pneumo/kernels/conv.h"
#include "pneumo/kernels/winograd.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPEATS = 7, DIRECTIONS = 3, METHODS = 2 };

/* A convolution of images of size >> shift, which the network has `count` times. */
typedef struct bench_case {
    int shift, c, k, count;
} bench_case;

static const bench_case vgg16[] = {{0, 3, 64, 1},    {0, 64, 64, 1},   {1, 64, 128, 1},
                                   {1, 128, 128, 1}, {2, 128, 256, 1}, {2, 256, 256, 2},
                                   {3, 256, 512, 1}, {3, 512, 512, 2}, {4, 512, 512, 3}};
static const bench_case deep[] = {
    {0, 1, 24, 1},  {0, 24, 24, 1},  {1, 24, 48, 1},   {1, 48, 48, 1},   {2, 48, 96, 1},
    {2, 96, 96, 1}, {3, 96, 160, 1}, {3, 160, 160, 1}, {4, 160, 256, 1}, {4, 256, 256, 1}};

static float *make_array(size_t count)
{
    float *array = aligned_alloc(64, (count * sizeof *array + 63) / 64 * 64);
    if (array == NULL) {
        fprintf(stderr, "bench_conv: out of memory for %zu floats\n", count);
        exit(1);
    }
    for (size_t i = 0; i < count; i++)
        array[i] = (float)((i * 2654435761u >> 8) % 1000) / 1000 - 0.5f;
    return array;
}

static double now(int threads)
{
    if (threads > 1)
        return pd_clock_now();
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void bench_gemm(void)
{
    enum { N = 1024 };
    float *a = make_array(N * N), *b = make_array(N * N), *c = make_array(N * N);
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        double start = now(1);
        pd_gemm(false, false, N, N, N, 1, a, N, b, N, 0, c, N);
        double seconds = now(1) - start;
        best = seconds < best ? seconds : best;
    }
    printf("gemm %d^3, 1 thread, %s: %.1f GFLOP/s\n", N, pd_blas_core(),
           2.0 * N * N * N / best * 1e-9);
    free(a);
    free(b);
    free(c);
}

/* One layer's sizes and arrays. */
typedef struct bench_layer {
    pd_conv_shape shape;
    size_t kernel_count;
    float *x, *y, *kernel, *prepared, *bias, *gradient, *workspace;
} bench_layer;

static size_t prepared_count(const bench_layer *at)
{
    size_t direct = pd_conv_prepared_size(&at->shape),
           winograd = pd_winograd_prepared_size(&at->shape);
    return direct > winograd ? direct : winograd;
}

static size_t workspace_count(const bench_layer *at)
{
    size_t counts[] = {pd_conv_forward_workspace(&at->shape),
                       pd_conv_backward_input_workspace(&at->shape),
                       pd_conv_backward_kernel_workspace(&at->shape),
                       pd_winograd_forward_workspace(&at->shape),
                       pd_winograd_backward_input_workspace(&at->shape),
                       pd_winograd_backward_kernel_workspace(&at->shape)};
    size_t most = 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        most = counts[i] > most ? counts[i] : most;
    return most;
}

static void run(const bench_layer *at, int direction, bool winograd)
{
    if (direction == 0) {
        (winograd ? pd_winograd_prepare : pd_conv_prepare)(&at->shape, at->kernel, at->prepared);
        (winograd ? pd_winograd_forward : pd_conv_forward)(&at->shape, at->x, at->prepared,
                                                           at->bias, true, at->y, at->workspace);
    } else if (direction == 1)
        (winograd ? pd_winograd_backward_input : pd_conv_backward_input)(
            &at->shape, at->y, at->kernel, NULL, at->x, at->workspace);
    else
        (winograd ? pd_winograd_backward_kernel : pd_conv_backward_kernel)(
            &at->shape, at->x, at->y, at->gradient, at->gradient + at->kernel_count,
            at->kernel_count + (size_t)at->shape.k, at->workspace);
}

/* Prints a line and adds the seconds to total[direction][method]; the last method is the network's
 * choice. */
static void bench_run(const bench_case *at, int size, int lanes, int lane_samples, int threads,
                      double total[DIRECTIONS][METHODS + 1])
{
    bench_layer layer = {.shape = {.window = pd_window_make(size, size, at->c, 3, 3, 1, true),
                                   .k = at->k,
                                   .lanes = lanes,
                                   .lane_samples = lane_samples,
                                   .threads = threads},
                         .kernel_count = (size_t)9 * at->c * at->k};
    size_t pixels = (size_t)pd_conv_samples(&layer.shape) * size * size;
    layer.x = make_array(pixels * at->c);
    layer.y = make_array(pixels * at->k);
    layer.kernel = make_array(layer.kernel_count);
    layer.bias = make_array(at->k);
    layer.gradient = make_array(lanes * (layer.kernel_count + at->k));
    layer.prepared = make_array(prepared_count(&layer));
    layer.workspace = make_array(workspace_count(&layer));

    double flops = 2.0 * (double)pixels * (double)layer.kernel_count;
    printf("%3d x %-3d %4d -> %-4d", size, size, at->c, at->k);
    for (int direction = 0; direction < DIRECTIONS; direction++) {
        double best[METHODS] = {1e9, 1e9};
        for (int i = 0; i < REPEATS * METHODS; i++) {
            double start = now(threads);
            run(&layer, direction, i % METHODS);
            double seconds = now(threads) - start;
            best[i % METHODS] = seconds < best[i % METHODS] ? seconds : best[i % METHODS];
        }
        bool choice = pd_winograd_suits(&layer.shape.window, at->k);
        for (int method = 0; method < METHODS; method++)
            total[direction][method] += at->count * best[method];
        total[direction][METHODS] += at->count * best[choice];
        printf("  %7.1f%c %7.1f%c", flops / best[0] * 1e-9, choice ? ' ' : '*',
               flops / best[1] * 1e-9, choice ? '*' : ' ');
    }
    printf("\n");
    free(layer.x);
    free(layer.y);
    free(layer.kernel);
    free(layer.bias);
    free(layer.gradient);
    free(layer.prepared);
    free(layer.workspace);
}

int main(int argc, char **argv)
{
    pd_blas_prepare(argv);
    bool is_vgg = argc < 2 || strcmp(argv[1], "vgg16") == 0;
    int size = argc > 2 ? atoi(argv[2]) : is_vgg ? 224 : 112;
    int lanes = argc > 3 ? atoi(argv[3]) : 8;
    int lane_samples = argc > 4 ? atoi(argv[4]) : 1;
    int threads = argc > 5 ? atoi(argv[5]) : omp_get_num_procs();
    if ((!is_vgg && strcmp(argv[1], "cnn-deep") != 0) || size < 16 || lanes < 1 ||
        lane_samples < 1 || threads < 1) {
        fprintf(stderr, "usage: bench_conv [vgg16|cnn-deep [size >= 16 [lanes [lane_samples "
                        "[threads]]]]]\n");
        return 2;
    }
    bench_gemm();
    printf("%d lanes x %d samples, %d threads; effective GFLOP/s\n", lanes, lane_samples, threads);
    printf("%22s  %16s  %16s  %16s\n%22s", "", "forward", "backward input", "backward kernel", "");
    for (int direction = 0; direction < DIRECTIONS; direction++)
        printf("  %8s %8s", "direct", "winograd");
    printf("\n");

    const bench_case *cases = is_vgg ? vgg16 : deep;
    size_t count = is_vgg ? sizeof vgg16 / sizeof *vgg16 : sizeof deep / sizeof *deep;
    double total[DIRECTIONS][METHODS + 1] = {{0}};
    for (size_t i = 0; i < count; i++)
        bench_run(&cases[i], size >> cases[i].shift, lanes, lane_samples, threads, total);
    printf("%-22s", "all, ms");
    for (int direction = 0; direction < DIRECTIONS; direction++)
        printf("  %7.1f  %7.1f ", total[direction][0] * 1e3, total[direction][1] * 1e3);
    printf("\n%-22s", "as chosen, ms");
    for (int direction = 0; direction < DIRECTIONS; direction++)
        printf("  %16.1f ", total[direction][METHODS] * 1e3);
    printf("\n");
    return 0;
}
