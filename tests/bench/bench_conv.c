/* Times the convolutions of a small VGG-like network, forward and both ways backward.
 *
 * Usage: bench_conv [size [lanes [lane_samples [threads]]]], by default 112 8 8 and all cores.
 * GFLOP/s count 2 * out_h * out_w * kernel_h * kernel_w * c * k operations per sample. The first
 * line is what one core reaches in a large matrix product. */
#include "pneumo/base/clock.h"
#include "pneumo/kernels/blas.h"
#include "pneumo/kernels/conv.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { REPEATS = 5 };

static float *make_array(size_t count)
{
    float *array = aligned_alloc(64, (count * sizeof *array + 63) / 64 * 64);
    if (!array) {
        fprintf(stderr, "bench_conv: out of memory for %zu floats\n", count);
        exit(1);
    }
    for (size_t i = 0; i < count; i++)
        array[i] = (float)((i * 2654435761u >> 8) % 1000) / 1000 - 0.5f;
    return array;
}

static void bench_gemm(void)
{
    enum { N = 1024 };
    float *a = make_array(N * N), *b = make_array(N * N), *c = make_array(N * N);
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        double start = pd_clock_now();
        pd_gemm(false, false, N, N, N, 1, a, N, b, N, 0, c, N);
        double seconds = pd_clock_now() - start;
        best = seconds < best ? seconds : best;
    }
    printf("gemm %d^3, 1 thread, %s: %.1f GFLOP/s\n", N, pd_blas_core(),
           2.0 * N * N * N / best * 1e-9);
    free(a);
    free(b);
    free(c);
}

static void bench_layer(int size, int c, int k, int lanes, int lane_samples, int threads,
                        double total[3])
{
    int samples = lanes * lane_samples;
    pd_window window = pd_window_make(size, size, c, 3, 3, 1, true);
    size_t kernel_count = (size_t)9 * c * k;
    size_t workspace_count = pd_conv_forward_workspace(&window, samples, k, threads);
    size_t other = pd_conv_backward_input_workspace(&window, samples, k, threads);
    workspace_count = other > workspace_count ? other : workspace_count;
    other = pd_conv_backward_kernel_workspace(&window, lane_samples, k, threads);
    workspace_count = other > workspace_count ? other : workspace_count;

    float *x = make_array((size_t)samples * size * size * c);
    float *y = make_array((size_t)samples * size * size * k);
    float *kernel = make_array(kernel_count), *bias = make_array(k);
    float *gradient = make_array(lanes * (kernel_count + k));
    float *workspace = make_array(workspace_count);

    double flops = 2.0 * samples * size * size * kernel_count;
    printf("%4d x %-4d %4d -> %-4d", size, size, c, k);
    for (int direction = 0; direction < 3; direction++) {
        double best = 1e9;
        for (int i = 0; i < REPEATS; i++) {
            double start = pd_clock_now();
            if (direction == 0)
                pd_conv_forward(&window, samples, k, x, kernel, bias, true, y, workspace, threads);
            else if (direction == 1)
                pd_conv_backward_input(&window, samples, k, y, kernel, x, workspace, threads);
            else
                pd_conv_backward_kernel(&window, lanes, lane_samples, k, x, y, gradient,
                                        gradient + kernel_count, kernel_count + k, workspace,
                                        threads);
            double seconds = pd_clock_now() - start;
            best = seconds < best ? seconds : best;
        }
        total[direction] += best;
        printf("  %8.2f ms %6.1f", best * 1e3, flops / best * 1e-9);
    }
    printf("\n");
    free(x);
    free(y);
    free(kernel);
    free(bias);
    free(gradient);
    free(workspace);
}

int main(int argc, char **argv)
{
    pd_blas_prepare(argv);
    int size = argc > 1 ? atoi(argv[1]) : 112;
    int lanes = argc > 2 ? atoi(argv[2]) : 8;
    int lane_samples = argc > 3 ? atoi(argv[3]) : 8;
    int threads = argc > 4 ? atoi(argv[4]) : omp_get_num_procs();
    if (size < 16 || lanes < 1 || lane_samples < 1 || threads < 1) {
        fprintf(stderr, "usage: bench_conv [size >= 16 [lanes [lane_samples [threads]]]]\n");
        return 2;
    }
    bench_gemm();
    printf("%d lanes x %d samples, %d threads; ms and GFLOP/s: forward, backward input, "
           "backward kernel\n",
           lanes, lane_samples, threads);

    static const int channels[] = {24, 48, 96, 160, 256};
    double total[3] = {0};
    int c = 1;
    for (int i = 0; i < 5; i++) {
        bench_layer(size >> i, c, channels[i], lanes, lane_samples, threads, total);
        bench_layer(size >> i, channels[i], channels[i], lanes, lane_samples, threads, total);
        c = channels[i];
    }
    printf("all %24.2f ms %18.2f ms %18.2f ms\n", total[0] * 1e3, total[1] * 1e3, total[2] * 1e3);
    return 0;
}
