/* pneumo-dist bench: times the training steps of a job on random images. */
#include "bench.h"
#include "command.h"
#include "job.h"
#include "pneumo/base/log.h"
#include "pneumo/train/benchmark.h"
#include "pneumo/train/threads.h"

typedef struct arguments {
    pd_overrides overrides;
    int steps;
    bool layers, inference, json;
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
    {"layers", 0, PD_OPTION_FLAG, offsetof(arguments, layers), NULL,
     .help =
         "also list every layer, with its share of this machine's peaks, which are measured first"},
    {"inference", 0, PD_OPTION_FLAG, offsetof(arguments, inference), NULL,
     .help = "time the network alone in inference, a batch at a time, on one rank"},
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
    pd_bench measured = {0};
    (void)count;
    if (given->json)
        pd_log_set_quiet(true);
    if (given->inference && (given->layers || pd_comm_size(comm) > 1))
        return pd_fail_usage("--inference times the whole network on one rank; leave out %s",
                             given->layers ? "--layers" : "mpirun");
    PD_TRY(choose_job(comm, &job, operands[0], &given->overrides));
    if (given->inference)
        return pd_bench_inference(&job, pd_threads_choose(comm, job.threads), given->steps,
                                  given->json);
    pd_comm_set_watchdog(comm, job.watchdog_seconds, NULL);
    /* Describes a data set of images of that size. */
    const pd_dataset_info info = {.height = job.input.size, .width = job.input.size};
    PD_TRY(pd_step_set_up(&step, comm, &job, &info, pd_threads_choose(comm, job.threads)));
    pd_benchmark_fill(&step);
    PD_TRY(pd_bench_measure(&measured, &step, given->steps, given->layers));
    if (pd_comm_rank(comm) == 0 && given->json)
        pd_bench_print_json(&measured, &step, given->steps);
    else if (pd_comm_rank(comm) == 0)
        pd_bench_print(&measured, &step, given->steps);
cleanup:
    pd_step_tear_down(&step);
    pd_bench_free(&measured);
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
        "normalisation and of the loss over the ranks (a layer's seconds include them), "
        "'lane fold' adds the gradients of one rank's lanes. GFLOP/s count a multiply-add of the "
        "layer's definition as two operations, however it is computed.\n\n"
        "--layers shows a roofline. The peaks are those that all ranks reach together: of products "
        "of large matrices in float32, and of reading and writing arrays that no cache holds. A "
        "layer's GB/s count its inputs, outputs and weights once each, in the precision in which "
        "they are stored, however often they are moved, so work that is left to a cache can "
        "exceed the peak; so can Winograd convolutions and products of bfloat16 exceed that of "
        "GFLOP/s. limit names the peak that bounds the layer: the one at which it would take "
        "longer.",
    .examples = "mpirun -np 2 pneumo-dist bench cnn-deep --batch 16 --threads 1",
    .operands = {{"JOB", PD_COMPLETE_JOBS}},
    .options = options,
    .options_size = sizeof(arguments),
    .defaults = &defaults,
    .run = run,
};
