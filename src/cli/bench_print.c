#include "bench.h"

#include "peaks.h"
#include "pneumo/base/text.h"
#include "pneumo/comm/reduction.h"
#include "pneumo/kernels/blas.h"
#include "pneumo/kernels/instructions.h"
#include "pneumo/train/setup.h"

#include <math.h>
#include <stdio.h>

static const char *const part_names[PD_STEP_PARTS] = {
    [PD_STEP_FORWARD] = "forward",       [PD_STEP_BACKWARD] = "backward",
    [PD_STEP_REDUCTION] = "reduction",   [PD_STEP_WAITING] = "waiting",
    [PD_STEP_STATISTICS] = "statistics", [PD_STEP_UPDATE] = "update"};

/* The time of a step that its parts do not cover: a step takes as long as its slowest rank, but the
 * parts are means over the ranks. */
static double rest(const pd_bench *of)
{
    double sum = 0;
    for (int i = 0; i < PD_STEP_PARTS; i++)
        sum += of->parts[i];
    return of->seconds - sum;
}

/* 1e9 per second; NAN if nothing is counted. */
static double rate_of(double count, double seconds)
{
    return count > 0 && seconds > 0 ? count / seconds * 1e-9 : (double)NAN;
}

static double gflops(const pd_bench_work *work)
{
    return rate_of(work->flops, work->seconds);
}

static void print_rate(double rate)
{
    if (isnan(rate))
        printf(" %9s", "-");
    else
        printf(" %9.1f", rate);
}

static void print_json_rate(const char *key, double rate)
{
    if (isnan(rate))
        printf(", \"%s\": null", key);
    else
        printf(", \"%s\": %.9g", key, rate);
}

static void print_parts(const pd_bench *of, int ranks)
{
    printf("\n%-12s %10s %7s", "part", "seconds", "share");
    if (ranks > 1)
        printf(" %12s %12s", "lowest rank", "highest rank");
    for (int i = 0; i < PD_STEP_PARTS; i++) {
        printf("\n%-12s %10.6f %6.1f%%", part_names[i], of->parts[i],
               100 * of->parts[i] / of->seconds);
        if (ranks > 1)
            printf(" %12.6f %12.6f", of->least[i], of->most[i]);
    }
    printf("\n%-12s %10.6f %6.1f%%\n", "rest", rest(of), 100 * rest(of) / of->seconds);
}

/* Seconds forward and backward. */
static double both(const pd_bench_row *row)
{
    return row->forward.seconds + row->backward.seconds;
}

static void print_kinds(const pd_bench *of)
{
    printf("\n%-12s %6s %10s %10s %7s %19s\n", "", "", "seconds", "seconds", "",
           "GFLOP/s   GFLOP/s");
    printf("%-12s %6s %10s %10s %7s %9s %9s\n", "layer kind", "layers", "forward", "backward",
           "share", "forward", "backward");
    for (int i = 0; i < of->kind_count; i++) {
        const pd_bench_row *at = &of->kinds[i];
        char layers[16] = "-";
        if (at->layers > 0)
            snprintf(layers, sizeof layers, "%d", at->layers);
        printf("%-12s %6s %10.6f %10.6f %6.1f%%", at->name, layers, at->forward.seconds,
               at->backward.seconds, 100 * both(at) / of->seconds);
        print_rate(gflops(&at->forward));
        print_rate(gflops(&at->backward));
        printf("\n");
    }
}

/* A rate with its share of the peak; NAN prints as "-". */
static void print_share(double rate, double peak)
{
    if (isnan(rate))
        printf(" %8s %6s", "-", "-");
    else
        printf(" %8.1f %5.0f%%", rate, 100 * rate / peak);
}

/* One direction of a layer. The roofline (Williams et al., doi:10.1145/1498765.1498785): what would
 * take longer at the peaks limits it. */
static void print_work(const pd_bench *of, const char *name, const char *way,
                       const pd_bench_work *work)
{
    bool computes = work->flops / of->peak_gflops > work->bytes / of->peak_gbytes;
    if (work->seconds <= 0)
        return;
    printf("%-20.20s %-8s %8.3f", name, way, 1000 * work->seconds);
    print_share(gflops(work), of->peak_gflops);
    print_share(rate_of(work->bytes, work->seconds), of->peak_gbytes);
    printf(" %s\n", computes ? "compute" : "memory");
}

static void print_layers(const pd_bench *of)
{
    printf(
        "\npeaks        %10.1f GFLOP/s, products of %d x %d floats; %.1f GB/s, a triad of %d MiB "
        "per rank\n\n",
        of->peak_gflops, PD_PEAKS_SIDE, PD_PEAKS_SIDE, of->peak_gbytes, PD_PEAKS_MIB);
    printf("%-20s %-8s %8s %8s %6s %8s %6s %s\n", "layer", "", "ms", "GFLOP/s", "peak", "GB/s",
           "peak", "limit");
    for (int i = 0; i < of->layer_count; i++) {
        print_work(of, of->layers[i].name, "forward", &of->layers[i].forward);
        print_work(of, "", "backward", &of->layers[i].backward);
    }
}

void pd_bench_print(const pd_bench *of, const pd_step *step, int steps)
{
    const pd_job *job = step->job;
    int ranks = pd_comm_size(step->comm);
    char frozen[PD_SETUP_FROZEN];
    size_t parameters;
    pd_network_weights(step->network, &parameters);
    printf("job %s: model %s, %zu parameters, input %dx%dx%d\n", job->name,
           pd_setup_model_name(job), parameters, step->input.size, step->input.size,
           step->input.channels);
    if (pd_setup_frozen(frozen, step->network)[0] != '\0')
        printf("frozen: %s\n", frozen);
    printf("batch %d in %d lanes over %d rank%s of %d thread%s; reduction %s; kernels for %s, "
           "OpenBLAS for %s\n\n",
           job->sampling.batch, job->sampling.lanes, ranks, pd_text_plural(ranks), step->threads,
           pd_text_plural(step->threads), pd_reduction_names[job->reduction],
           pd_instructions_name(), pd_blas_core());
    printf("%-12s %10.6f s, median of %d (%.6f to %.6f)\n", "step", of->seconds, steps, of->fastest,
           of->slowest);
    printf("%-12s %10.2f images/s\n", "speed", job->sampling.batch / of->seconds);
    printf("%-12s %10.1f MiB%s\n", "peak memory", of->peak_mib,
           ranks == 1 ? "" : " of the largest rank");
    print_parts(of, ranks);
    print_kinds(of);
    if (of->has_peaks)
        print_layers(of);
}

static void print_json_kinds(const pd_bench *of)
{
    for (int i = 0; i < of->kind_count; i++) {
        const pd_bench_row *at = &of->kinds[i];
        printf("%s\"%s\": {\"layers\": %d, \"forward\": %.9g, \"backward\": %.9g, "
               "\"share\": %.9g",
               i == 0 ? "" : ", ", at->name, at->layers, at->forward.seconds, at->backward.seconds,
               both(at) / of->seconds);
        print_json_rate("forward_gflops", gflops(&at->forward));
        print_json_rate("backward_gflops", gflops(&at->backward));
        printf("}");
    }
}

static void print_json_work(const char *way, const pd_bench_work *work)
{
    printf(", \"%s\": {\"seconds\": %.9g, \"flops\": %.9g, \"bytes\": %.9g}", way, work->seconds,
           work->flops, work->bytes);
}

static void print_json_layers(const pd_bench *of)
{
    printf(", \"peaks\": {\"gflops\": %.9g, \"gbytes\": %.9g}, \"layers\": [", of->peak_gflops,
           of->peak_gbytes);
    for (int i = 0; i < of->layer_count; i++) {
        printf("%s{\"name\": \"%s\", \"kind\": \"%s\"", i == 0 ? "" : ", ", of->layers[i].name,
               of->layers[i].kind);
        print_json_work("forward", &of->layers[i].forward);
        print_json_work("backward", &of->layers[i].backward);
        printf("}");
    }
    printf("]");
}

void pd_bench_print_json(const pd_bench *of, const pd_step *step, int steps)
{
    const pd_job *job = step->job;
    size_t parameters;
    pd_network_weights(step->network, &parameters);
    printf("{\"model\": \"%s\", \"parameters\": %zu, \"frozen\": %zu, \"batch\": %d, \"size\": %d, "
           "\"channels\": %d, \"lanes\": %d, \"threads\": %d, \"ranks\": %d, "
           "\"reduction\": \"%s\", \"steps\": %d, \"seconds_per_step\": %.9g, "
           "\"seconds_fastest\": %.9g, \"seconds_slowest\": %.9g, \"images_per_second\": %.9g, "
           "\"peak_rss_mib\": %.1f, \"parts\": {",
           pd_setup_model_name(job), parameters, pd_network_frozen(step->network).weights,
           job->sampling.batch, job->input.size, job->input.channels, job->sampling.lanes,
           step->threads, pd_comm_size(step->comm), pd_reduction_names[job->reduction], steps,
           of->seconds, of->fastest, of->slowest, job->sampling.batch / of->seconds, of->peak_mib);
    for (int i = 0; i < PD_STEP_PARTS; i++)
        printf("\"%s\": %.9g, ", part_names[i], of->parts[i]);
    printf("\"rest\": %.9g}, \"kinds\": {", rest(of));
    print_json_kinds(of);
    printf("}");
    if (of->has_peaks)
        print_json_layers(of);
    printf("}\n");
}
