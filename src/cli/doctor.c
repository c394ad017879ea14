/* pneumo-dist doctor: checks whether a job can run here, measures its speed, and predicts that on
 * other numbers of ranks. */
#include "doctor.h"
#include "command.h"
#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"
#include "pneumo/base/stop.h"
#include "pneumo/base/text.h"
#include "pneumo/comm/group.h"
#include "pneumo/io/file.h"
#include "pneumo/train/setup.h"
#include "pneumo/train/threads.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_IMAGES = 128 };

/* --- Facts --- */

/* Reads some images of this rank's slice of the data set. */
static pd_status read_images(pd_doctor *doctor, const pd_dataset *dataset)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    size_t image_bytes = (size_t)info->height * (size_t)info->width;
    int64_t rank = pd_comm_rank(doctor->comm), ranks = pd_comm_size(doctor->comm);
    int64_t first = pd_slice_first(info->count, rank, ranks);
    int64_t count = pd_slice_first(info->count, rank + 1, ranks) - first;
    uint8_t *images = NULL;
    int64_t ids[READ_IMAGES];
    if (count > READ_IMAGES)
        count = READ_IMAGES;
    for (int64_t i = 0; i < count; i++)
        ids[i] = first + i;
    PD_TRY(pd_alloc(&images, (size_t)count, image_bytes));
    double start = pd_clock_now();
    PD_TRY(pd_dataset_read(dataset, ids, count, images));
    doctor->own.read_seconds = pd_clock_now() - start;
    doctor->own.read_bytes = (double)count * (double)image_bytes;
cleanup:
    free(images);
    return status;
}

/* Opens the data set on every rank; all ranks use rank 0's description of it. Without a data set,
 * the images have the size of the network's input. Collective. */
static pd_status query_data(pd_doctor *doctor)
{
    pd_status status = PD_OK;
    pd_dataset *dataset = NULL;
    double start = pd_clock_now();
    pd_status opened = pd_setup_dataset(&dataset, &doctor->job);
    doctor->own.open = pd_clock_now() - start;
    if (opened == PD_OK)
        opened = read_images(doctor, dataset);
    if (opened != PD_OK)
        snprintf(doctor->own.data_error, sizeof doctor->own.data_error, "%s", pd_error_message());
    if (dataset != NULL) {
        doctor->info = *pd_dataset_get_info(dataset);
        snprintf(doctor->own.digest, sizeof doctor->own.digest, "%s", doctor->info.digest);
    } else {
        doctor->info =
            (pd_dataset_info){.height = doctor->job.input.size, .width = doctor->job.input.size};
    }
    pd_dataset_destroy(&dataset);
    doctor->has_data = doctor->info.count > 0;
    PD_TRY(pd_comm_broadcast(doctor->comm, &doctor->info, sizeof doctor->info, 0));
    PD_TRY(pd_comm_broadcast(doctor->comm, &doctor->has_data, sizeof doctor->has_data, 0));
cleanup:
    return status;
}

/* Plans the job without allocating it. */
static void plan_job(pd_doctor *doctor)
{
    pd_facts *own = &doctor->own;
    pd_status status = pd_comm_set_lanes(doctor->comm, doctor->job.sampling.lanes);
    if (status == PD_OK && doctor->info.height == 0)
        status = pd_fail("data.size = 0 means 'as packed', but there is no data set: give --data, "
                         "or --set data.size=N");
    const char *weights = doctor->job.weights;
    if (status == PD_OK && weights[0] != '\0' && pd_comm_rank(doctor->comm) == 0 &&
        !pd_file_exists(weights))
        status = pd_fail("%s: the file of model.weights does not exist", weights);
    if (status == PD_OK)
        status = pd_footprint_plan(&own->footprint, doctor->comm, &doctor->job, &doctor->info,
                                   doctor->threads);
    doctor->planned = status == PD_OK;
    doctor->checkpoint_bytes = own->footprint.file;
    if (status != PD_OK)
        snprintf(own->plan_error, sizeof own->plan_error, "%s", pd_error_message());
}

/* Rank 0 tests the folder and writes a file there, which the other ranks try to read. Collective.
 */
static pd_status query_folder(pd_doctor *doctor)
{
    pd_status status = PD_OK;
    char *folder = NULL, *path = NULL, *shared = NULL;
    unsigned char *seen = NULL;
    size_t size = 0;
    pd_facts *own = &doctor->own;
    if (pd_comm_rank(doctor->comm) == 0) {
        pd_status tried = pd_storage_folder(&folder, doctor->job.folder);
        if (tried == PD_OK)
            tried = pd_storage_try(&doctor->storage, folder, (size_t)doctor->checkpoint_bytes);
        if (tried == PD_OK)
            tried = pd_format(&path, "%s/.pneumo-doctor-seen-%ld", folder, (long)getpid());
        if (tried == PD_OK)
            pd_stop_remove_file(path);
        if (tried == PD_OK)
            tried = pd_file_write(path, path, strlen(path));
        if (tried != PD_OK)
            snprintf(own->folder_error, sizeof own->folder_error, "%s", pd_error_message());
    }
    PD_TRY(pd_comm_broadcast_text(doctor->comm, &shared, own->folder_error[0] == '\0' ? path : NULL,
                                  0));
    if (shared != NULL && pd_file_read(&seen, &size, shared, 4096) != PD_OK)
        snprintf(own->folder_error, sizeof own->folder_error, "%s", pd_error_message());
    PD_TRY(pd_comm_barrier(doctor->comm));
    if (path != NULL)
        pd_file_discard(path);
cleanup:
    free(folder);
    free(path);
    free(shared);
    free(seen);
    return status;
}

/* What helps where rank 0 cannot write. */
static const char *find_remedy(const char *error)
{
    bool full = strstr(error, strerror(ENOSPC)) != NULL || strstr(error, strerror(EDQUOT)) != NULL;
    return full ? "free space" : "make it writable";
}

static void check_folder(pd_doctor *doctor)
{
    const double slow = 1;   /* seconds */
    const double copies = 4; /* last.h5, previous.h5, best.h5, and the file being written */
    const pd_storage *disk = &doctor->storage;
    const char *folder = doctor->job.folder;
    pd_checks *checks = &doctor->checks;
    char free_text[16], need[16], path[600];
    for (int rank = 0; rank < pd_comm_size(doctor->comm); rank++) {
        const pd_facts *facts = &doctor->all[rank];
        if (facts->folder_error[0] == '\0')
            continue;
        if (rank == 0)
            pd_checks_add(checks, PD_CHECK_FAIL, "run folder",
                          "%s (rank 0 on %s): %s, or give another folder with --run",
                          facts->folder_error, facts->host, find_remedy(facts->folder_error));
        else
            pd_checks_add(checks, PD_CHECK_FAIL, "run folder",
                          "rank %d on %s cannot read what rank 0 on %s writes (%s): put %s on a "
                          "file system that all hosts share",
                          rank, facts->host, doctor->all[0].host, facts->folder_error, folder);
        return;
    }
    pd_check_bytes(free_text, disk->free_bytes);
    pd_check_bytes(need, copies * doctor->checkpoint_bytes);
    snprintf(path, sizeof path, "%s/last.h5", folder);
    if (disk->free_bytes < copies * doctor->checkpoint_bytes)
        pd_checks_add(checks, PD_CHECK_FAIL, "run folder",
                      "%s has %s free, but four checkpoints take %s: free space, or give "
                      "another folder with --run",
                      folder, free_text, need);
    else if (disk->flush > slow)
        pd_checks_add(checks, PD_CHECK_WARN, "run folder",
                      "%s: writing and flushing a small file takes %.1f s: give a folder on a "
                      "faster disk with --run, or raise run.checkpoint_minutes",
                      folder, disk->flush);
    else
        pd_checks_add(checks, PD_CHECK_OK, "run folder",
                      "%s: %s free, four checkpoints take %s; written at %.0f MB/s, a small file "
                      "in %.1f ms",
                      folder, free_text, need, 1e-6 * disk->write, 1e3 * disk->flush);
    if (!disk->locks)
        pd_checks_add(checks, PD_CHECK_WARN, "file locks",
                      "%s does not support file locks: nothing keeps two runs from writing here at "
                      "once",
                      folder);
    if (pd_file_exists(path))
        pd_checks_add(
            checks, PD_CHECK_WARN, "run folder",
            "%s already contains a run: continue it with --resume, or give another folder "
            "with --run",
            folder);
}

/* Reports how the ranks of a host sum gradients. */
static void check_sharing(pd_doctor *doctor, int host_ranks)
{
    const char *obstacle = pd_comm_group_obstacle(doctor->comm);
    int group = pd_comm_group_size(doctor->comm);
    if (obstacle[0] != '\0')
        pd_checks_add(
            &doctor->checks, PD_CHECK_WARN, "shared sums",
            "the ranks of a host do not sum gradients in shared memory, so each sends its "
            "whole gradient: %s",
            obstacle);
    else if (group > 1)
        pd_checks_add(&doctor->checks, PD_CHECK_OK, "shared sums",
                      "groups of %d ranks sum gradients in shared memory", group);
    else if (host_ranks > 1)
        pd_checks_add(&doctor->checks, PD_CHECK_OK, "shared sums", "none: run.share_ranks = %d",
                      doctor->job.share_ranks);
}

/* Gathers the facts and checks them. Collective. */
static pd_status examine(pd_doctor *doctor)
{
    pd_status status = PD_OK;
    void *all = NULL;
    size_t size;
    int ranks = pd_comm_size(doctor->comm), hosts;
    pd_checks *checks = &doctor->checks;
    pd_facts_look(&doctor->own, doctor->comm, doctor->threads);
    PD_TRY(query_data(doctor));
    PD_TRY(pd_comm_set_group_size(doctor->comm, doctor->job.share_ranks));
    plan_job(doctor);
    PD_TRY(query_folder(doctor));
    PD_TRY(pd_comm_gather(doctor->comm, &doctor->own, sizeof doctor->own, &all, &size));
    doctor->all = all;
    if (doctor->all != NULL) {
        const pd_facts *facts = doctor->all;
        int host_ranks = pd_facts_host_ranks(facts, ranks, &hosts);
        pd_checks_add(checks, PD_CHECK_OK, "ranks", "%d on %d host%s, at most %d on one", ranks,
                      hosts, pd_text_plural(hosts), host_ranks);
        check_sharing(doctor, host_ranks);
        pd_check_programs(checks, facts, ranks);
        pd_check_processors(checks, facts, ranks);
        pd_check_binding(checks, facts, ranks);
        pd_check_products(checks, facts, ranks);
        pd_check_data(checks, facts, ranks, &doctor->job, &doctor->info);
        check_folder(doctor);
        int before = checks->failures;
        pd_check_lanes(checks, facts, ranks, &doctor->job);
        if (doctor->planned)
            pd_check_memory(checks, facts, ranks);
        doctor->fits = checks->failures == before;
    }
    PD_TRY(pd_comm_broadcast(doctor->comm, &doctor->fits, sizeof doctor->fits, 0));
cleanup:
    return status;
}

/* --- The network and the step --- */

static pd_status measure_network(pd_doctor *doctor)
{
    int hosts;
    pd_status status = pd_probe_run(&doctor->probe, doctor->comm, doctor->job.share_ranks);
    const pd_probe *probe = &doctor->probe;
    int ranks = pd_comm_size(doctor->comm);
    if (status != PD_OK || pd_comm_rank(doctor->comm) != 0)
        return status;
    pd_facts_host_ranks(doctor->all, ranks, &hosts);
    if (ranks == 1)
        pd_checks_add(&doctor->checks, PD_CHECK_OK, "network",
                      "not measured with one rank; start doctor like the job, with mpirun or srun");
    else
        pd_checks_add(&doctor->checks, PD_CHECK_OK, "network",
                      "%s: a sum of one number takes %.1f us, a message %.1f us of work; the "
                      "exact sum of 16 MiB goes at %.2f GB/s",
                      hosts == 1 ? "within one host" : "between hosts", 1e6 * probe->sum,
                      1e6 * probe->overhead, 1e-9 * probe->allreduce);
    return status;
}

/* --- Results --- */

static void print_json_text(const char *text)
{
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            printf("\\%c", *at);
        else if (*at < 0x20)
            printf("\\u%04x", *at);
        else
            putchar(*at);
    }
    putchar('"');
}

static void print_json(const pd_doctor *doctor)
{
    static const char *const states[] = {"ok", "warn", "fail"};
    const pd_checks *checks = &doctor->checks;
    printf("{\"job\": ");
    print_json_text(doctor->job.name);
    printf(", \"model\": \"%s\", \"ranks\": %d, \"threads\": %d, \"failures\": %d, \"warnings\": "
           "%d, \"checks\": [",
           pd_setup_model_name(&doctor->job), pd_comm_size(doctor->comm), doctor->threads,
           checks->failures, checks->warnings);
    for (int i = 0; i < checks->count; i++) {
        printf("%s{\"name\": \"%s\", \"state\": \"%s\", \"text\": ", i == 0 ? "" : ", ",
               checks->list[i].name, states[checks->list[i].state]);
        print_json_text(checks->list[i].text);
        printf("}");
    }
    printf("], \"memory_bytes\": %.0f, \"checkpoint_bytes\": %.0f, ", doctor->own.footprint.total,
           doctor->checkpoint_bytes);
    if (doctor->stepped)
        pd_doctor_forecast_print_json(doctor);
    else
        printf("\"measured\": null, \"predictions\": []");
    printf("}\n");
}

/* Prints the results. PD_FAILED if a check failed. Collective. */
static pd_status conclude(pd_doctor *doctor)
{
    pd_status status = PD_OK;
    const pd_checks *checks = &doctor->checks;
    if (pd_comm_rank(doctor->comm) == 0) {
        if (doctor->given->json)
            print_json(doctor);
        else if (doctor->stepped)
            pd_doctor_forecast_print(doctor);
        if (checks->failures > 0)
            status = pd_fail("job %s: %d of %d checks failed", doctor->job.name, checks->failures,
                             checks->count);
    }
    return pd_comm_agree(doctor->comm, status);
}

/* --- The command --- */

/* Numbers are in the units of the command line until `run` converts them. */
static const pd_doctor_options defaults = {
    .ranks = {.values = {2, 8, 64, 512}, .count = 4}, .steps = 5, .spread = (double)NAN};

static const pd_option options[] = {
    PD_OPTION_JOB_DATA(pd_doctor_options, overrides),
    {"run", 'r', PD_OPTION_TEXT, offsetof(pd_doctor_options, folder), "DIR",
     "folder that training would write (run.folder)", .complete = PD_COMPLETE_FOLDERS},
    PD_OPTION_SET(pd_doctor_options, overrides),
    PD_OPTION_JOB_THREADS(pd_doctor_options, overrides),
    {"steps", 'n', PD_OPTION_INT, offsetof(pd_doctor_options, steps), "N",
     "steps to time after one warm-up step (default 5)", .low = 1, .high = 10000},
    {"ranks", 0, PD_OPTION_INTS, offsetof(pd_doctor_options, ranks), "N,N,...",
     "numbers of ranks to predict (default 2,8,64,512)", .low = 1, .high = 1000000},
    {"bandwidth", 0, PD_OPTION_NUMBER, offsetof(pd_doctor_options, bandwidth), "GBIT",
     "predict for a network of this bandwidth in Gbit/s per host, each way", .above_low = true},
    {"latency", 0, PD_OPTION_NUMBER, offsetof(pd_doctor_options, latency), "US",
     "latency from host to host in microseconds", .above_low = true},
    {"overhead", 0, PD_OPTION_NUMBER, offsetof(pd_doctor_options, overhead), "US",
     "work per message in microseconds (default: a fifth of the latency)", .above_low = true},
    {"per-host", 0, PD_OPTION_INT, offsetof(pd_doctor_options, host_ranks), "N", "ranks per host",
     .low = 1, .high = 1000000},
    {"spread", 0, PD_OPTION_NUMBER, offsetof(pd_doctor_options, spread), "PERCENT",
     .help = "standard deviation of the ranks' computing times"},
    {"strong", 0, PD_OPTION_FLAG, offsetof(pd_doctor_options, strong), NULL,
     .help = "keep the batch (strong scaling); the default keeps each rank's number of images"},
    {"json", 0, PD_OPTION_FLAG, offsetof(pd_doctor_options, json), NULL,
     .help = "print one line of JSON instead"},
    {0}};

/* Reads the job. Collective. */
static pd_status choose_job(pd_doctor *doctor, const char *name)
{
    const pd_doctor_options *given = doctor->given;
    pd_status status =
        pd_command_read_job(&doctor->job, doctor->comm, name, NULL, 0, &given->overrides);
    return status != PD_OK ? status : pd_command_set_folder(&doctor->job, given->folder);
}

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    pd_doctor_options *given = values;
    pd_doctor doctor = {.comm = comm, .given = given};
    given->bandwidth *= 1e9 / 8;
    given->latency *= 1e-6;
    given->overhead *= 1e-6;
    given->spread *= 1e-2;
    doctor.checks.silent = given->json;
    if (given->json)
        pd_log_set_quiet(true);
    PD_TRY(choose_job(&doctor, count == 0 ? NULL : operands[0]));
    doctor.threads = pd_threads_set(comm, doctor.job.threads);
    PD_TRY(examine(&doctor));
    PD_TRY(measure_network(&doctor));
    if (doctor.fits)
        PD_TRY(pd_doctor_forecast_measure(&doctor));
    PD_TRY(conclude(&doctor));
cleanup:
    free(doctor.all);
    free(doctor.layers);
    return status;
}

const pd_command pd_command_doctor = {
    .name = "doctor",
    .summary = "check whether a job can run here, and on how many ranks",
    .description =
        "Checks whether JOB (default " PD_DEFAULT_JOB
        ") can be trained as it is started here, alone or under mpirun or srun, and how fast: "
        "programs and libraries on all ranks, processors, binding, data set, run folder, memory, "
        "network, and a few training steps on random images. Each line is ok, warn or FAIL; the "
        "latter two say how to solve the problem. The exit code is 1 if a check fails. Then "
        "predicts the speed of steps on other numbers of ranks. Leaves no files behind.\n\n"
        "The prediction uses steps, messages and bytes as measured here, with the threads of this "
        "start. Efficiency is the speed relative to as many ranks that do not communicate. "
        "'limited "
        "by' is the largest cost: messages (a rank's work to send them), network (waiting for "
        "bytes), local (copying within a host), statistics (batch normalisation's sums over the "
        "ranks), stragglers (waiting for the slowest rank), fold (adding gradients), update, "
        "checkpoint. 'start' is the time to open and read the data set. A network between hosts "
        "that was neither measured nor given is assumed to have 10 Gbit/s.",
    .examples = "mpirun -np 2 pneumo-dist doctor vgg16 --ranks 64,512 --bandwidth 100 --latency 2",
    .operands = {{"JOB", PD_COMPLETE_JOBS, .optional = true}},
    .options = options,
    .options_size = sizeof(pd_doctor_options),
    .defaults = &defaults,
    .run = run,
};
