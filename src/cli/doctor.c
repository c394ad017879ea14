/* pneumo-dist doctor: whether a job can run here, how fast, and what more ranks would bring. */
#include "pneumo/cli/doctor.h"
#include "pneumo/base/clock.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/cli/command.h"
#include "pneumo/io/file.h"
#include "pneumo/train/setup.h"
#include "pneumo/train/threads.h"
#include "pneumo/comm/group.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 5, READ_IMAGES = 128 };

static void print_help(void)
{
    printf(
        "usage: pneumo-dist doctor [JOB] [OPTION]...\n"
        "\n"
        "Looks whether JOB (default %s) can be trained as it is started here, alone or under\n"
        "mpirun or srun, and how fast: programs and libraries on all ranks, processors, binding,\n"
        "data set, run folder, memory, network, and a few training steps on random images. Each\n"
        "line is ok, a warning or a FAILure, the latter two with what mends them; exit code 1 if\n"
        "anything fails. Then predicts steps on other numbers of ranks. Leaves nothing behind.\n"
        "\n"
        "  -d, --data FILE          the packed data set (data.file)\n"
        "  -r, --run DIR            the folder that training would write (run.folder)\n"
        "  -s, --set KEY=VALUE      override a key of the job; may be given often\n"
        "  -t, --threads N          threads per rank (run.threads)\n"
        "  -n, --steps N            steps to time after one warm-up (default %d)\n"
        "      --ranks N,N,...      numbers of ranks to predict (default 2,8,64,512)\n"
        "      --bandwidth GBIT     predict for a network of so many Gbit/s per host, each way,\n"
        "      --latency US         so many microseconds from host to host,\n"
        "      --overhead US        so many of work per message (default: a fifth of the "
        "latency),\n"
        "      --per-host N         so many ranks on a host,\n"
        "      --spread PERCENT     whose computing times deviate by so much\n"
        "      --strong             keep the batch; without, every rank keeps its number of "
        "images\n"
        "      --json               print one line of JSON instead\n"
        "  -h, --help\n"
        "\n"
        "The prediction takes steps, messages and bytes as measured here, with threads as "
        "started.\n"
        "Efficiency is the speed over that of as many ranks that need not talk to each other.\n"
        "'limited by' is what costs most of it: messages (a rank's work on sending them), network\n"
        "(waiting for bytes), local (copying within a host), statistics (batch normalisation's "
        "sums\n"
        "over the ranks), stragglers (waiting for the slowest rank), fold (adding up), update,\n"
        "checkpoint. 'start' is the time to open and read the data set. A network between hosts\n"
        "that was neither measured nor given is taken for one of 10 Gbit/s.\n"
        "\n"
        "example: mpirun -np 2 pneumo-dist doctor vgg16 --ranks 64,512 --bandwidth 100 --latency "
        "2\n",
        PD_DEFAULT_JOB, STEPS);
}

/* --- Arguments --- */

static pd_status parse_ranks(pd_doctor_given *out, const char *text)
{
    const char *at = text;
    out->cases = 0;
    for (;;) {
        char *end;
        long ranks = strtol(at, &end, 10);
        if (end == at || ranks < 1 || ranks > 1000000 || (*end != ',' && *end != '\0') ||
            out->cases == PD_DOCTOR_CASES)
            return pd_fail_usage("--ranks '%s' is not a list of up to %d numbers such as 2,8,64",
                                 text, PD_DOCTOR_CASES);
        out->ranks[out->cases++] = (int)ranks;
        if (*end == '\0')
            return PD_OK;
        at = end + 1;
    }
}

/* A number above 0, or from 0 on, times `unit`. */
static pd_status parse_number(double *out, const char *option, const char *text, double unit,
                              bool or_zero)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value < 0 || (value == 0 && !or_zero))
        return pd_fail_usage("%s '%s' is not a number %s 0", option, text,
                             or_zero ? "from" : "above");
    *out = value * unit;
    return PD_OK;
}

static pd_status parse_whole(int *out, const char *option, const char *text, int most)
{
    long long value = 0;
    pd_status status = pd_command_integer(&value, option, text, 1, most);
    *out = (int)value;
    return status;
}

static pd_status parse(pd_doctor_given *out, int argc, char **argv, bool *helped)
{
    enum { RANKS = 256, BANDWIDTH, LATENCY, OVERHEAD, PER_HOST, SPREAD, STRONG, JSON };
    static const struct option options[] = {
        {"data", required_argument, NULL, 'd'},
        {"run", required_argument, NULL, 'r'},
        {"set", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'},
        {"steps", required_argument, NULL, 'n'},
        {"ranks", required_argument, NULL, RANKS},
        {"bandwidth", required_argument, NULL, BANDWIDTH},
        {"latency", required_argument, NULL, LATENCY},
        {"overhead", required_argument, NULL, OVERHEAD},
        {"per-host", required_argument, NULL, PER_HOST},
        {"spread", required_argument, NULL, SPREAD},
        {"strong", no_argument, NULL, STRONG},
        {"json", no_argument, NULL, JSON},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    pd_status status = PD_OK;
    int option;
    while ((option = getopt_long(argc, argv, ":d:r:s:t:n:h", options, NULL)) != -1) {
        switch (option) {
        case 'r':
            out->folder = optarg;
            break;
        case 'n':
            PD_TRY(parse_whole(&out->steps, "--steps", optarg, 10000));
            break;
        case RANKS:
            PD_TRY(parse_ranks(out, optarg));
            break;
        case BANDWIDTH:
            PD_TRY(parse_number(&out->bandwidth, "--bandwidth", optarg, 1e9 / 8, false));
            break;
        case LATENCY:
            PD_TRY(parse_number(&out->latency, "--latency", optarg, 1e-6, false));
            break;
        case OVERHEAD:
            PD_TRY(parse_number(&out->overhead, "--overhead", optarg, 1e-6, false));
            break;
        case PER_HOST:
            PD_TRY(parse_whole(&out->host_ranks, "--per-host", optarg, 1000000));
            break;
        case SPREAD:
            PD_TRY(parse_number(&out->spread, "--spread", optarg, 1e-2, true));
            break;
        case STRONG:
            out->strong = true;
            break;
        case JSON:
            out->json = true;
            break;
        case 'h':
            *helped = true;
            return PD_OK;
        default:
            if (!pd_overrides_take(&out->overrides, option, optarg))
                return pd_command_bad_option(argc, argv, option);
        }
    }
    if (optind < argc)
        out->job_name = argv[optind++];
    if (optind < argc)
        return pd_fail_usage("'%s' is one argument too many", argv[optind]);
    status = out->overrides.status;
cleanup:
    return status;
}

/* Reads the job on rank 0, for all ranks. Collective. */
static pd_status choose_job(pd_doctor *self)
{
    pd_status status = PD_OK;
    const pd_doctor_given *given = self->given;
    pd_job *job = &self->job;
    memset(job, 0, sizeof *job);
    if (pd_comm_rank(self->comm) == 0) {
        status = pd_command_job(job, given->job_name == NULL ? PD_DEFAULT_JOB : given->job_name,
                                NULL, 0, &given->overrides);
        if (status == PD_OK)
            status = pd_command_folder(job, given->folder);
    }
    PD_TRY(pd_comm_agree(self->comm, status));
    PD_TRY(pd_comm_broadcast(self->comm, job, sizeof *job, 0));
cleanup:
    return status;
}

/* --- Facts --- */

/* Reads some images of this rank's share of the data set. */
static pd_status read_some(pd_doctor *self, const pd_dataset *dataset)
{
    pd_status status = PD_OK;
    const pd_dataset_info *info = pd_dataset_get_info(dataset);
    size_t image_bytes = (size_t)info->height * (size_t)info->width;
    int64_t rank = pd_comm_rank(self->comm), ranks = pd_comm_size(self->comm);
    int64_t first = info->count * rank / ranks, count = info->count * (rank + 1) / ranks - first;
    uint8_t *images = NULL;
    int64_t ids[READ_IMAGES];
    if (count > READ_IMAGES)
        count = READ_IMAGES;
    for (int64_t i = 0; i < count; i++)
        ids[i] = first + i;
    PD_TRY(pd_alloc(&images, (size_t)count, image_bytes));
    double start = pd_clock_now();
    PD_TRY(pd_dataset_read(dataset, ids, count, images));
    self->own.read_seconds = pd_clock_now() - start;
    self->own.read_bytes = (double)count * (double)image_bytes;
cleanup:
    free(images);
    return status;
}

/* Opens the data set on every rank, and takes rank 0's description for all. Where there is none,
 * images of the network's own size stand in. Collective. */
static pd_status look_at_data(pd_doctor *self)
{
    pd_status status = PD_OK;
    pd_dataset *dataset = NULL;
    double start = pd_clock_now();
    pd_status opened = pd_setup_dataset(&dataset, &self->job);
    self->own.open = pd_clock_now() - start;
    if (opened == PD_OK)
        opened = read_some(self, dataset);
    if (opened != PD_OK)
        snprintf(self->own.data_error, sizeof self->own.data_error, "%s", pd_error_message());
    if (dataset != NULL) {
        self->info = *pd_dataset_get_info(dataset);
        snprintf(self->own.digest, sizeof self->own.digest, "%s", self->info.digest);
    } else {
        self->info =
            (pd_dataset_info){.height = self->job.input.size, .width = self->job.input.size};
    }
    pd_dataset_destroy(&dataset);
    self->has_data = self->info.count > 0;
    PD_TRY(pd_comm_broadcast(self->comm, &self->info, sizeof self->info, 0));
    PD_TRY(pd_comm_broadcast(self->comm, &self->has_data, sizeof self->has_data, 0));
cleanup:
    return status;
}

/* Plans the job without allocating it. */
static void look_at_plan(pd_doctor *self)
{
    pd_facts *own = &self->own;
    pd_status status = pd_comm_set_lanes(self->comm, self->job.sampling.lanes);
    if (status == PD_OK && self->info.height == 0)
        status = pd_fail("data.size = 0 means 'as packed', but there is no data set: give --data, "
                         "or --set data.size=N");
    if (status == PD_OK)
        status =
            pd_footprint_plan(&own->footprint, self->comm, &self->job, &self->info, self->threads);
    self->planned = status == PD_OK;
    self->checkpoint_bytes = own->footprint.file;
    if (status != PD_OK)
        snprintf(own->plan_error, sizeof own->plan_error, "%s", pd_error_message());
}

/* Rank 0 tries the folder, and leaves a file there for the others to see. Collective. */
static pd_status look_at_folder(pd_doctor *self)
{
    pd_status status = PD_OK;
    char *folder = NULL, *path = NULL, *shared = NULL;
    unsigned char *seen = NULL;
    size_t size = 0;
    pd_facts *own = &self->own;
    if (pd_comm_rank(self->comm) == 0) {
        pd_status tried = pd_storage_folder(&folder, self->job.folder);
        if (tried == PD_OK)
            tried = pd_storage_try(&self->storage, folder, (size_t)self->checkpoint_bytes);
        if (tried == PD_OK)
            tried = pd_format(&path, "%s/.pneumo-doctor-seen-%ld", folder, (long)getpid());
        if (tried == PD_OK)
            tried = pd_file_write(path, path, strlen(path));
        if (tried != PD_OK)
            snprintf(own->folder_error, sizeof own->folder_error, "%s", pd_error_message());
    }
    PD_TRY(
        pd_comm_broadcast_text(self->comm, &shared, own->folder_error[0] == '\0' ? path : NULL, 0));
    if (shared != NULL && pd_file_read(&seen, &size, shared, 4096) != PD_OK)
        snprintf(own->folder_error, sizeof own->folder_error, "%s", pd_error_message());
    PD_TRY(pd_comm_barrier(self->comm));
    if (path != NULL)
        unlink(path);
cleanup:
    free(folder);
    free(path);
    free(shared);
    free(seen);
    return status;
}

static void check_folder(pd_doctor *self)
{
    const double slow = 1, copies = 3; /* last.h5, best.h5, and the one being written */
    const pd_storage *disk = &self->storage;
    const char *folder = self->job.folder;
    pd_checkup *checkup = &self->checkup;
    char free_text[16], need[16], path[600];
    for (int rank = 0; rank < pd_comm_size(self->comm); rank++) {
        const pd_facts *facts = &self->all[rank];
        if (facts->folder_error[0] == '\0')
            continue;
        if (rank == 0)
            pd_checkup_add(checkup, PD_CHECK_FAIL, "run folder",
                           "%s (rank 0 on %s): make it writable, or give another by --run",
                           facts->folder_error, facts->host);
        else
            pd_checkup_add(checkup, PD_CHECK_FAIL, "run folder",
                           "rank %d on %s does not see what rank 0 on %s writes (%s): put %s on a "
                           "file system that all hosts share",
                           rank, facts->host, self->all[0].host, facts->folder_error, folder);
        return;
    }
    pd_check_bytes(free_text, disk->free_bytes);
    pd_check_bytes(need, copies * self->checkpoint_bytes);
    snprintf(path, sizeof path, "%s/last.h5", folder);
    if (disk->free_bytes < copies * self->checkpoint_bytes)
        pd_checkup_add(checkup, PD_CHECK_FAIL, "run folder",
                       "%s has %s free, but three checkpoints take %s: make room, or give another "
                       "by --run",
                       folder, free_text, need);
    else if (disk->flush > slow)
        pd_checkup_add(checkup, PD_CHECK_WARN, "run folder",
                       "%s: writing and flushing a small file takes %.1f s: give a faster disk by "
                       "--run, or raise run.checkpoint_minutes",
                       folder, disk->flush);
    else
        pd_checkup_add(checkup, PD_CHECK_OK, "run folder",
                       "%s: %s free, three checkpoints take %s; written at %.0f MB/s, a small file "
                       "in %.1f ms",
                       folder, free_text, need, 1e-6 * disk->write, 1e3 * disk->flush);
    if (!disk->locks)
        pd_checkup_add(checkup, PD_CHECK_WARN, "file locks",
                       "there are none in %s; this program needs none, but for other HDF5 programs "
                       "set HDF5_USE_FILE_LOCKING=FALSE",
                       folder);
    if (pd_file_exists(path))
        pd_checkup_add(
            checkup, PD_CHECK_WARN, "run folder",
            "%s holds a run already: go on with it by --resume, or give another by --run", folder);
}

/* How ranks of a host add up gradients. */
static void check_sharing(pd_doctor *self, int host_ranks)
{
    const char *obstacle = pd_comm_group_obstacle(self->comm);
    int group = pd_comm_group_size(self->comm);
    if (obstacle[0] != '\0')
        pd_checkup_add(&self->checkup, PD_CHECK_WARN, "shared sums",
                       "ranks of a host do not add up gradients in shared memory, so that each "
                       "sends all of its own: %s",
                       obstacle);
    else if (group > 1)
        pd_checkup_add(&self->checkup, PD_CHECK_OK, "shared sums",
                       "groups of %d ranks add up gradients in shared memory", group);
    else if (host_ranks > 1)
        pd_checkup_add(&self->checkup, PD_CHECK_OK, "shared sums", "none: run.share_ranks = %d",
                       self->job.share_ranks);
}

/* Gathers the facts and judges them. Collective. */
static pd_status examine(pd_doctor *self)
{
    pd_status status = PD_OK;
    void *all = NULL;
    size_t size;
    int ranks = pd_comm_size(self->comm), hosts;
    pd_checkup *checkup = &self->checkup;
    pd_facts_look(&self->own, self->comm, self->threads);
    PD_TRY(look_at_data(self));
    PD_TRY(pd_comm_set_group_size(self->comm, self->job.share_ranks));
    look_at_plan(self);
    PD_TRY(look_at_folder(self));
    PD_TRY(pd_comm_gather(self->comm, &self->own, sizeof self->own, &all, &size));
    self->all = all;
    if (self->all != NULL) {
        const pd_facts *facts = self->all;
        int host_ranks = pd_facts_host_ranks(facts, ranks, &hosts);
        pd_checkup_add(checkup, PD_CHECK_OK, "ranks", "%d on %d host%s, at most %d on one", ranks,
                       hosts, hosts == 1 ? "" : "s", host_ranks);
        check_sharing(self, host_ranks);
        pd_check_programs(checkup, facts, ranks);
        pd_check_processors(checkup, facts, ranks);
        pd_check_binding(checkup, facts, ranks);
        pd_check_products(checkup, facts, ranks);
        pd_check_data(checkup, facts, ranks, &self->job, &self->info);
        check_folder(self);
        int before = checkup->failures;
        pd_check_lanes(checkup, facts, ranks, &self->job);
        if (self->planned)
            pd_check_memory(checkup, facts, ranks);
        self->fits = checkup->failures == before;
    }
    PD_TRY(pd_comm_broadcast(self->comm, &self->fits, sizeof self->fits, 0));
cleanup:
    return status;
}

/* --- The network and the step --- */

static pd_status measure_network(pd_doctor *self)
{
    int hosts;
    pd_status status = pd_probe_run(&self->probe, self->comm, self->job.share_ranks);
    const pd_probe *probe = &self->probe;
    int ranks = pd_comm_size(self->comm);
    if (status != PD_OK || pd_comm_rank(self->comm) != 0)
        return status;
    pd_facts_host_ranks(self->all, ranks, &hosts);
    if (ranks == 1)
        pd_checkup_add(&self->checkup, PD_CHECK_OK, "network",
                       "not measured: one rank; start it like the job, with mpirun or srun");
    else
        pd_checkup_add(&self->checkup, PD_CHECK_OK, "network",
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

static void print_json(const pd_doctor *self)
{
    static const char *const states[] = {"ok", "warn", "fail"};
    const pd_checkup *checkup = &self->checkup;
    printf("{\"job\": ");
    print_json_text(self->job.name);
    printf(", \"model\": \"%s\", \"ranks\": %d, \"threads\": %d, \"failures\": %d, \"warnings\": "
           "%d, \"checks\": [",
           self->job.model.name, pd_comm_size(self->comm), self->threads, checkup->failures,
           checkup->warnings);
    for (int i = 0; i < checkup->count; i++) {
        printf("%s{\"name\": \"%s\", \"state\": \"%s\", \"text\": ", i == 0 ? "" : ", ",
               checkup->checks[i].name, states[checkup->checks[i].state]);
        print_json_text(checkup->checks[i].text);
        printf("}");
    }
    printf("], \"memory_bytes\": %.0f, \"checkpoint_bytes\": %.0f, ", self->own.footprint.total,
           self->checkpoint_bytes);
    if (self->stepped)
        pd_outlook_print_json(self);
    else
        printf("\"measured\": null, \"predictions\": []");
    printf("}\n");
}

/* The results, and the verdict as a status. Collective. */
static pd_status conclude(pd_doctor *self)
{
    pd_status status = PD_OK;
    const pd_checkup *checkup = &self->checkup;
    if (pd_comm_rank(self->comm) == 0) {
        if (self->given->json)
            print_json(self);
        else if (self->stepped)
            pd_outlook_print(self);
        if (checkup->failures > 0)
            status = pd_fail("job %s: %d of %d checks failed", self->job.name, checkup->failures,
                             checkup->count);
    }
    return pd_comm_agree(self->comm, status);
}

pd_status pd_command_doctor(pd_comm *comm, int argc, char **argv)
{
    pd_status status = PD_OK;
    pd_doctor_given given = {
        .ranks = {2, 8, 64, 512}, .cases = 4, .steps = STEPS, .spread = (double)NAN};
    pd_doctor self = {.comm = comm, .given = &given};
    bool helped = false;
    PD_TRY(parse(&given, argc, argv, &helped));
    if (helped) {
        if (pd_comm_rank(comm) == 0)
            print_help();
        goto cleanup;
    }
    self.checkup.silent = given.json;
    if (given.json)
        pd_log_set_quiet(true);
    PD_TRY(choose_job(&self));
    self.threads = pd_threads_set(comm, self.job.threads);
    PD_TRY(examine(&self));
    PD_TRY(measure_network(&self));
    if (self.fits)
        PD_TRY(pd_outlook_measure(&self));
    PD_TRY(conclude(&self));
cleanup:
    pd_overrides_release(&given.overrides);
    free(self.all);
    free(self.layers);
    return status;
}
