#include "bench.h"

#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"
#include "pneumo/base/random.h"
#include "pneumo/train/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* The job's network, planned for inference, and random images. */
typedef struct inference {
    const pd_job *job;
    int threads;
    pd_crew *crew;
    pd_network *network;
    pd_input input;
    float *x;        /* [batch][size][size][channels] */
    double *seconds; /* [rounds] */
} inference;

static pd_status set_up(inference *of, int rounds)
{
    pd_status status = PD_OK;
    const pd_job *job = of->job;
    const int batch = job->sampling.batch;
    /* Describes a data set of images of that size. */
    const pd_dataset_info info = {.height = job->input.size, .width = job->input.size};
    const pd_plan plan = {
        .lanes = 1, .lane_samples = batch, .total_lanes = 1, .threads = of->threads};
    PD_TRY(pd_crew_create(&of->crew, of->threads));
    PD_TRY(pd_setup_network(&of->network, &of->input, job, &info));
    PD_TRY(pd_network_plan(of->network, &plan, 0, false));
    pd_network_initialise(of->network, job->seed);
    size_t floats = (size_t)batch * pd_shape_size(pd_network_input(of->network));
    PD_TRY(pd_alloc(&of->x, floats, sizeof *of->x));
    PD_TRY(pd_alloc(&of->seconds, (size_t)rounds, sizeof *of->seconds));
    pd_random random = pd_random_stream(job->seed, PD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < floats; i++)
        of->x[i] = pd_random_normal(&random);
cleanup:
    return status;
}

/* Times `rounds` passes after one for warming up. */
static pd_status time_passes(inference *of, int rounds)
{
    const pd_exec exec = {.lanes = 1,
                          .lane_samples = of->job->sampling.batch,
                          .total_lanes = 1,
                          .threads = of->threads,
                          .crew = of->crew};
    for (int i = -1; i < rounds; i++) {
        const float *y;
        double start = pd_clock_now();
        pd_status status = pd_network_forward(of->network, &exec, of->x, &y);
        if (status != PD_OK)
            return status;
        if (i >= 0)
            of->seconds[i] = pd_clock_now() - start;
    }
    qsort(of->seconds, (size_t)rounds, sizeof *of->seconds, pd_compare_doubles);
    return PD_OK;
}

static void print(const inference *of, int rounds, bool json)
{
    const pd_job *job = of->job;
    struct rusage usage;
    double seconds = of->seconds[(rounds - 1) / 2];
    getrusage(RUSAGE_SELF, &usage);
    double mib = (double)usage.ru_maxrss / 1024; /* Linux counts in KiB */
    if (json)
        printf("{\"model\": \"%s\", \"batch\": %d, \"size\": %d, \"channels\": %d, "
               "\"threads\": %d, \"passes\": %d, \"seconds_per_batch\": %.9g, "
               "\"images_per_second\": %.9g, \"peak_rss_mib\": %.1f}\n",
               pd_setup_model_name(job), job->sampling.batch, of->input.size, of->input.channels,
               of->threads, rounds, seconds, job->sampling.batch / seconds, mib);
    else
        printf("job %s: model %s, inference, batch %d, input %dx%dx%d, threads %d\n\n"
               "%-12s %10.6f s, median of %d (%.6f to %.6f)\n%-12s %10.2f images/s\n"
               "%-12s %10.1f MiB\n",
               job->name, pd_setup_model_name(job), job->sampling.batch, of->input.size,
               of->input.size, of->input.channels, of->threads, "pass", seconds, rounds,
               of->seconds[0], of->seconds[rounds - 1], "speed", job->sampling.batch / seconds,
               "peak memory", mib);
}

pd_status pd_bench_inference(const pd_job *job, int threads, int rounds, bool json)
{
    inference of = {.job = job, .threads = threads};
    pd_status status = set_up(&of, rounds);
    if (status == PD_OK)
        status = time_passes(&of, rounds);
    if (status == PD_OK)
        print(&of, rounds, json);
    pd_network_destroy(&of.network);
    pd_crew_destroy(&of.crew);
    free(of.x);
    free(of.seconds);
    return status;
}
