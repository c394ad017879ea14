#include "bench.h"

#include "peaks.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/train/benchmark.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* The times measured on this rank, one row per step; row 0 is the warm-up. */
typedef struct clocks {
    int rows, layers;
    double *seconds;       /* [rows], of the slowest rank */
    double *parts;         /* [rows][PD_STEP_PARTS] */
    pd_layer_times *layer; /* [rows][layers] */
} clocks;

/* Times step `row`. Collective. */
static pd_status time_step(pd_step *step, clocks *out, int row)
{
    pd_layer_times *layer = out->layer + (size_t)row * (size_t)out->layers;
    pd_status status = pd_benchmark_step(step, row, layer, &out->seconds[row]);
    memcpy(out->parts + (size_t)row * PD_STEP_PARTS, step->seconds, sizeof step->seconds);
    return status;
}

/* Times all steps. Collective. */
static pd_status time_steps(pd_step *step, clocks *out, int steps)
{
    pd_status status = PD_OK;
    pd_progress progress;
    out->rows = steps + 1;
    out->layers = pd_network_layer_count(step->network);
    size_t rows = (size_t)out->rows, layers = (size_t)out->layers;
    status = pd_alloc(&out->seconds, rows, sizeof *out->seconds);
    if (status == PD_OK)
        status = pd_alloc(&out->parts, rows * PD_STEP_PARTS, sizeof *out->parts);
    if (status == PD_OK)
        status = pd_alloc(&out->layer, rows * layers, sizeof *out->layer);
    PD_TRY(pd_comm_agree(step->comm, status));
    pd_progress_begin(&progress, "timing", 0, (uint64_t)out->rows);
    for (int i = 0; i < out->rows && status == PD_OK; i++) {
        status = time_step(step, out, i);
        pd_progress_update(&progress, (uint64_t)i + 1, NULL);
    }
    pd_progress_end(&progress);
cleanup:
    return status;
}

static const double *sorting;

static int compare_rows(const void *a, const void *b)
{
    double left = sorting[*(const int *)a], right = sorting[*(const int *)b];
    return (left > right) - (left < right);
}

/* Finds the row of the median step; for an even number, the faster of the two in the middle. */
static pd_status find_median(const clocks *clock, pd_bench *out, int *row)
{
    int *rows = NULL;
    pd_status status = pd_alloc(&rows, (size_t)clock->rows, sizeof *rows);
    if (status != PD_OK)
        return status;
    int timed = clock->rows - 1;
    for (int i = 0; i < timed; i++)
        rows[i] = i + 1;
    sorting = clock->seconds;
    qsort(rows, (size_t)timed, sizeof *rows, compare_rows);
    *row = rows[(timed - 1) / 2];
    out->seconds = clock->seconds[*row];
    out->fastest = clock->seconds[rows[0]];
    out->slowest = clock->seconds[rows[timed - 1]];
    free(rows);
    return PD_OK;
}

static pd_bench_row *find_kind(pd_bench *out, const char *name)
{
    for (int i = 0; i < out->kind_count; i++)
        if (strcmp(out->kinds[i].name, name) == 0)
            return &out->kinds[i];
    pd_bench_row *added = &out->kinds[out->kind_count++];
    *added = (pd_bench_row){.name = name, .kind = name};
    return added;
}

static void add_work(pd_bench_work *to, const pd_bench_work *work)
{
    to->seconds += work->seconds;
    to->flops += work->flops;
    to->bytes += work->bytes;
}

/* The operations and bytes of layer `index` in a step of the whole batch. */
static pd_bench_row count_work(const pd_step *step, int index)
{
    const pd_layer *layer = pd_network_layer(step->network, index);
    const pd_sampling *sampling = &step->job->sampling;
    const int ranks = pd_comm_size(step->comm);
    pd_bench_row row = {.name = layer->name, .kind = layer->type->name, .layers = 1};
    pd_network_flops(step->network, index, &row.forward.flops, &row.backward.flops);
    row.forward.flops *= sampling->batch;
    row.backward.flops *= sampling->batch;
    pd_network_bytes(step->network, index, (double)sampling->batch / ranks,
                     (double)sampling->lanes / ranks, &row.forward.bytes, &row.backward.bytes);
    row.forward.bytes *= ranks;
    row.backward.bytes *= ranks;
    return row;
}

/* Sets layers and kinds from times[ranks][layers]. */
static void sum_layers(pd_bench *out, const pd_step *step, const pd_layer_times *times)
{
    int ranks = pd_comm_size(step->comm);
    double fold = 0;
    for (int i = 0; i < out->layer_count; i++) {
        pd_bench_row *row = &out->layers[i];
        *row = count_work(step, i);
        for (int rank = 0; rank < ranks; rank++) {
            const pd_layer_times *at = &times[rank * out->layer_count + i];
            row->forward.seconds += at->forward / ranks;
            row->backward.seconds += at->backward / ranks;
            fold += at->fold / ranks;
        }
        pd_bench_row *kind = find_kind(out, row->kind);
        kind->layers++;
        add_work(&kind->forward, &row->forward);
        add_work(&kind->backward, &row->backward);
    }
    find_kind(out, "lane fold")->backward.seconds = fold;
}

/* Computes mean, minimum and maximum of each part over parts[ranks][PD_STEP_PARTS]. */
static void sum_parts(pd_bench *out, int ranks, const double *parts)
{
    for (int i = 0; i < PD_STEP_PARTS; i++) {
        out->least[i] = out->most[i] = parts[i];
        for (int rank = 0; rank < ranks; rank++) {
            double seconds = parts[rank * PD_STEP_PARTS + i];
            out->parts[i] += seconds / ranks;
            out->least[i] = fmin(out->least[i], seconds);
            out->most[i] = fmax(out->most[i], seconds);
        }
    }
}

static double peak_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024; /* Linux counts in KiB */
}

/* Gathers the times of all ranks on rank 0. Collective. */
static pd_status collect(pd_bench *out, const pd_step *step, const clocks *clock)
{
    pd_status status = PD_OK;
    pd_comm *comm = step->comm;
    void *parts = NULL, *times = NULL;
    size_t size, layers = (size_t)clock->layers;
    int row = 0;
    status = find_median(clock, out, &row);
    out->layer_count = clock->layers;
    if (status == PD_OK)
        status = pd_alloc(&out->layers, layers, sizeof *out->layers);
    if (status == PD_OK)
        status = pd_alloc(&out->kinds, layers + 1, sizeof *out->kinds);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_comm_gather(comm, clock->parts + (size_t)row * PD_STEP_PARTS,
                          PD_STEP_PARTS * sizeof(double), &parts, &size));
    PD_TRY(pd_comm_gather(comm, clock->layer + (size_t)row * layers,
                          layers * sizeof(pd_layer_times), &times, &size));
    if (pd_comm_rank(comm) == 0) {
        sum_parts(out, pd_comm_size(comm), parts);
        sum_layers(out, step, times);
    }
    PD_TRY(pd_comm_max(comm, peak_mib(), &out->peak_mib));
cleanup:
    free(parts);
    free(times);
    return status;
}

/* Measures the peaks of all ranks at the same time. Collective. */
static pd_status measure_peaks(pd_bench *out, const pd_step *step)
{
    pd_status status = PD_OK;
    void *all = NULL;
    size_t total;
    double own[2];
    PD_TRY(pd_comm_barrier(step->comm));
    own[0] = pd_peaks_gflops(PD_PEAKS_SIDE, step->threads);
    PD_TRY(pd_comm_barrier(step->comm));
    own[1] = pd_peaks_gbytes(step->threads);
    if (own[0] <= 0 || own[1] <= 0)
        status = pd_fail("not enough memory to measure the peaks of this machine");
    PD_TRY(pd_comm_agree(step->comm, status));
    PD_TRY(pd_comm_gather(step->comm, own, sizeof own, &all, &total));
    const double *peaks = all; /* [ranks][2]; NULL on other ranks */
    for (size_t i = 0; peaks != NULL && i < total / sizeof own; i++) {
        out->peak_gflops += peaks[2 * i];
        out->peak_gbytes += peaks[2 * i + 1];
    }
    out->has_peaks = true;
cleanup:
    free(all);
    return status;
}

pd_status pd_bench_measure(pd_bench *out, pd_step *step, int steps, bool peaks)
{
    pd_status status = PD_OK;
    clocks clock = {0};
    *out = (pd_bench){0};
    if (peaks)
        PD_TRY(measure_peaks(out, step));
    PD_TRY(time_steps(step, &clock, steps));
    status = collect(out, step, &clock);
cleanup:
    free(clock.seconds);
    free(clock.parts);
    free(clock.layer);
    return status;
}

void pd_bench_free(pd_bench *bench)
{
    free(bench->layers);
    free(bench->kinds);
}
