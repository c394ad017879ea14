/* pneumo-dist bench: times the training steps of a job on random images. */
#include "command.h"
#include "job.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/comm/reduction.h"
#include "pneumo/kernels/blas.h"
#include "pneumo/kernels/instructions.h"
#include "pneumo/train/benchmark.h"
#include "pneumo/train/setup.h"
#include "pneumo/train/step.h"
#include "pneumo/train/threads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char *const part_names[PD_STEP_PARTS] = {
    [PD_STEP_FORWARD] = "forward",       [PD_STEP_BACKWARD] = "backward",
    [PD_STEP_REDUCTION] = "reduction",   [PD_STEP_WAITING] = "waiting",
    [PD_STEP_STATISTICS] = "statistics", [PD_STEP_UPDATE] = "update"};

/* The layers of one type, or the row "lane fold". */
typedef struct kind {
    const char *name;
    int layers;
    double forward, backward;             /* seconds, mean over the ranks */
    double forward_flops, backward_flops; /* of the whole batch */
} kind;

/* The results, set on rank 0. Parts and kinds are those of the median step. */
typedef struct figures {
    double seconds, fastest, slowest; /* of a step on its slowest rank */
    double parts[PD_STEP_PARTS];      /* mean over the ranks */
    double least[PD_STEP_PARTS], most[PD_STEP_PARTS];
    kind *kinds; /* [kind_count] */
    int kind_count;
    double peak_mib; /* of the largest rank */
} figures;

/* The times measured on this rank, one row per step; row 0 is the warm-up. */
typedef struct clocks {
    int rows, layers;
    double *seconds;       /* [rows], of the slowest rank */
    double *parts;         /* [rows][PD_STEP_PARTS] */
    pd_layer_times *layer; /* [rows][layers] */
} clocks;

/* --- Measuring --- */

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
static pd_status find_median(const clocks *clock, figures *out, int *row)
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

static kind *find_kind(figures *out, const char *name)
{
    for (int i = 0; i < out->kind_count; i++)
        if (strcmp(out->kinds[i].name, name) == 0)
            return &out->kinds[i];
    kind *added = &out->kinds[out->kind_count++];
    *added = (kind){.name = name};
    return added;
}

/* Sums the layers of each kind over times[ranks][layers]. */
static void sum_kinds(figures *out, const pd_step *step, const pd_layer_times *times)
{
    int ranks = pd_comm_size(step->comm), layers = pd_network_layer_count(step->network);
    double fold = 0;
    for (int i = 0; i < layers; i++) {
        kind *of = find_kind(out, pd_network_layer(step->network, i)->type->name);
        double forward, backward;
        pd_network_flops(step->network, i, &forward, &backward);
        of->layers++;
        of->forward_flops += forward * step->job->sampling.batch;
        of->backward_flops += backward * step->job->sampling.batch;
        for (int rank = 0; rank < ranks; rank++) {
            const pd_layer_times *at = &times[rank * layers + i];
            of->forward += at->forward / ranks;
            of->backward += at->backward / ranks;
            fold += at->fold / ranks;
        }
    }
    find_kind(out, "lane fold")->backward = fold;
}

/* Computes mean, minimum and maximum of each part over parts[ranks][PD_STEP_PARTS]. */
static void sum_parts(figures *out, int ranks, const double *parts)
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
static pd_status collect(figures *out, const pd_step *step, const clocks *clock)
{
    pd_status status = PD_OK;
    pd_comm *comm = step->comm;
    void *parts = NULL, *times = NULL;
    size_t size, layers = (size_t)clock->layers;
    int row = 0;
    status = find_median(clock, out, &row);
    if (status == PD_OK)
        status = pd_alloc(&out->kinds, layers + 1, sizeof *out->kinds);
    PD_TRY(pd_comm_agree(comm, status));
    PD_TRY(pd_comm_gather(comm, clock->parts + (size_t)row * PD_STEP_PARTS,
                          PD_STEP_PARTS * sizeof(double), &parts, &size));
    PD_TRY(pd_comm_gather(comm, clock->layer + (size_t)row * layers,
                          layers * sizeof(pd_layer_times), &times, &size));
    if (pd_comm_rank(comm) == 0) {
        sum_parts(out, pd_comm_size(comm), parts);
        sum_kinds(out, step, times);
    }
    PD_TRY(pd_comm_max(comm, peak_mib(), &out->peak_mib));
cleanup:
    free(parts);
    free(times);
    return status;
}

/* --- Printing --- */

/* The time of a step that its parts do not cover: a step takes as long as its slowest rank, but the
 * parts are means over the ranks. */
static double rest(const figures *of)
{
    double sum = 0;
    for (int i = 0; i < PD_STEP_PARTS; i++)
        sum += of->parts[i];
    return of->seconds - sum;
}

/* NAN if no operations are counted. */
static double gflops(double flops, double seconds)
{
    return flops > 0 && seconds > 0 ? flops / seconds * 1e-9 : (double)NAN;
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

static void print_parts(const figures *of, int ranks)
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

static void print_kinds(const figures *of)
{
    printf("\n%-12s %6s %10s %10s %7s %19s\n", "", "", "seconds", "seconds", "",
           "GFLOP/s   GFLOP/s");
    printf("%-12s %6s %10s %10s %7s %9s %9s\n", "layer kind", "layers", "forward", "backward",
           "share", "forward", "backward");
    for (int i = 0; i < of->kind_count; i++) {
        const kind *at = &of->kinds[i];
        char layers[16] = "-";
        if (at->layers > 0)
            snprintf(layers, sizeof layers, "%d", at->layers);
        printf("%-12s %6s %10.6f %10.6f %6.1f%%", at->name, layers, at->forward, at->backward,
               100 * (at->forward + at->backward) / of->seconds);
        print_rate(gflops(at->forward_flops, at->forward));
        print_rate(gflops(at->backward_flops, at->backward));
        printf("\n");
    }
}

static void print_tables(const pd_step *step, const figures *of, int steps)
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
           job->sampling.batch, job->sampling.lanes, ranks, ranks == 1 ? "" : "s", step->threads,
           step->threads == 1 ? "" : "s", pd_reduction_names[job->reduction],
           pd_instructions_name(), pd_blas_core());
    printf("%-12s %10.6f s, median of %d (%.6f to %.6f)\n", "step", of->seconds, steps, of->fastest,
           of->slowest);
    printf("%-12s %10.2f images/s\n", "speed", job->sampling.batch / of->seconds);
    printf("%-12s %10.1f MiB%s\n", "peak memory", of->peak_mib,
           ranks == 1 ? "" : " of the largest rank");
    print_parts(of, ranks);
    print_kinds(of);
}

static void print_json(const pd_step *step, const figures *of, int steps)
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
    for (int i = 0; i < of->kind_count; i++) {
        const kind *at = &of->kinds[i];
        printf("%s\"%s\": {\"layers\": %d, \"forward\": %.9g, \"backward\": %.9g, "
               "\"share\": %.9g",
               i == 0 ? "" : ", ", at->name, at->layers, at->forward, at->backward,
               (at->forward + at->backward) / of->seconds);
        print_json_rate("forward_gflops", gflops(at->forward_flops, at->forward));
        print_json_rate("backward_gflops", gflops(at->backward_flops, at->backward));
        printf("}");
    }
    printf("}}\n");
}

/* --- The command --- */

typedef struct arguments {
    pd_overrides overrides;
    int steps;
    bool json;
} arguments;

static const arguments defaults = {.steps = 5};

static const pd_option options[] = {
    {"batch", 'b', PD_OPTION_JOB_KEY, offsetof(arguments, overrides), "N",
     "set train.batch: images per step over all ranks", .key = "train.batch"},
    {"size", 0, PD_OPTION_JOB_KEY, offsetof(arguments, overrides), "N",
     "set data.size: side of the images", .key = "data.size"},
    {"channels", 0, PD_OPTION_JOB_KEY, offsetof(arguments, overrides), "N",
     "set data.channels: 1 or 3", .key = "data.channels"},
    PD_OPTION_JOB_THREADS(arguments, overrides),
    {"steps", 'n', PD_OPTION_INT, offsetof(arguments, steps), "N",
     "steps to time after one warm-up step (default 5)", .low = 1, .high = 10000},
    PD_OPTION_SET(arguments, overrides),
    {"json", 0, PD_OPTION_FLAG, offsetof(arguments, json), NULL,
     .help = "print one line of JSON instead of tables"},
    {0}};

/* Reads the job for a benchmark. Collective. */
static pd_status choose_job(pd_comm *comm, pd_job *job, const char *name,
                            const pd_overrides *overrides)
{
    /* No epoch has to be filled, so a batch may be larger than one. */
    static const char *const first[] = {"train.epoch_images=0"};
    pd_status status = pd_command_read_job(job, comm, name, first, 1, overrides);
    if (status == PD_OK && job->input.size == 0)
        status = pd_fail_usage("%s: data.size = 0 means 'as packed', but bench reads no data set; "
                               "give --size",
                               name);
    return status;
}

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    const arguments *given = values;
    pd_job job;
    pd_step step = {0};
    clocks clock = {0};
    figures measured = {0};
    (void)count;
    if (given->json)
        pd_log_set_quiet(true);
    PD_TRY(choose_job(comm, &job, operands[0], &given->overrides));
    pd_comm_set_watchdog(comm, job.watchdog_seconds, NULL);
    /* Describes a data set of images of that size. */
    const pd_dataset_info info = {.height = job.input.size, .width = job.input.size};
    PD_TRY(pd_step_set_up(&step, comm, &job, &info, pd_threads_choose(comm, job.threads)));
    pd_benchmark_fill(&step);
    PD_TRY(time_steps(&step, &clock, given->steps));
    PD_TRY(collect(&measured, &step, &clock));
    if (pd_comm_rank(comm) == 0 && given->json)
        print_json(&step, &measured, given->steps);
    else if (pd_comm_rank(comm) == 0)
        print_tables(&step, &measured, given->steps);
cleanup:
    pd_step_tear_down(&step);
    free(clock.seconds);
    free(clock.parts);
    free(clock.layer);
    free(measured.kinds);
    return status;
}

const pd_command pd_command_bench = {
    .name = "bench",
    .summary = "time the training steps of a job on random images",
    .description =
        "Times whole training steps of JOB, a path such as jobs/cnn.ini or the name of a job such "
        "as "
        "cnn, on random images: forward, loss, backward, lane sum of the gradient, update. Reads "
        "and writes no data.\n\n"
        "A step takes as long as its slowest rank. Parts and layer kinds are those of the median "
        "step, averaged over the ranks: 'reduction' is work on the lane sum of the gradient, "
        "'waiting' is time blocked until that sum is complete, 'statistics' are the sums of batch "
        "normalisation and of the loss over the ranks (a layer's seconds include them), 'lane "
        "fold' "
        "adds the gradients of one rank's lanes. GFLOP/s count a multiply-add of the layer's "
        "definition as two operations, however it is computed.",
    .examples = "mpirun -np 2 pneumo-dist bench cnn-deep --batch 16 --threads 1",
    .operands = {{"JOB", PD_COMPLETE_JOBS}},
    .options = options,
    .options_size = sizeof(arguments),
    .defaults = &defaults,
    .run = run,
};
