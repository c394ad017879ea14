#include "doctor_checks.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/number.h"
#include "pneumo/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {"ok", "warn", "FAIL"};

void pd_checks_add(pd_checks *checks, pd_check_state state, const char *name, const char *format,
                   ...)
{
    if (checks->count == PD_CHECKS_MAX)
        return;
    pd_check *check = &checks->list[checks->count++];
    check->name = name;
    check->state = state;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->text, sizeof check->text, format, arguments);
    va_end(arguments);
    checks->warnings += state == PD_CHECK_WARN;
    checks->failures += state == PD_CHECK_FAIL;
    if (checks->silent)
        return;
    printf("%-5s %-12s %s\n", state_names[state], name, check->text);
    fflush(stdout);
}

char *pd_check_bytes(char text[16], double bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    for (bytes /= 1024; bytes >= 1024 && unit < 3; unit++)
        bytes /= 1024;
    snprintf(text, 16, "%.*f %s", bytes < 100 ? 1 : 0, bytes, units[unit]);
    return text;
}

/* Returns the first rank whose text at `offset` differs from rank 0's, -1 if there is none. */
static int first_other(const pd_facts *facts, int ranks, size_t offset)
{
    const char *first = (const char *)facts + offset;
    for (int rank = 1; rank < ranks; rank++)
        if (strcmp((const char *)&facts[rank] + offset, first) != 0)
            return rank;
    return -1;
}

/* A text that should be the same on all ranks, such as a library's version. */
typedef struct shared_text {
    const char *name;
    size_t offset;        /* in pd_facts */
    pd_check_state state; /* where it differs */
    const char *remedy;   /* for that */
    const char *also;     /* printed behind the text where all are the same; NULL: nothing */
} shared_text;

/* Adds a check of it. */
static void check_text(pd_checks *checks, const pd_facts *facts, int ranks, const shared_text *text)
{
    const char *first = (const char *)facts + text->offset;
    int other = first_other(facts, ranks, text->offset);
    if (other < 0)
        pd_checks_add(checks, PD_CHECK_OK, text->name, "%s%s%s", first,
                      text->also != NULL ? text->also : "", ranks > 1 ? ", on all ranks" : "");
    else
        pd_checks_add(checks, text->state, text->name, "%s on %s, but %s on %s (rank %d): %s",
                      first, facts[0].host, (const char *)&facts[other] + text->offset,
                      facts[other].host, other, text->remedy);
}

void pd_check_programs(pd_checks *checks, const pd_facts *facts, int ranks)
{
    char threading[64];
    const shared_text program = {"program", offsetof(pd_facts, program), PD_CHECK_FAIL,
                                 "start the same file on all hosts", NULL};
    const shared_text mpi = {"MPI", offsetof(pd_facts, mpi), PD_CHECK_FAIL,
                             "install or load the same version on all hosts", threading};
    const shared_text blas = {"BLAS", offsetof(pd_facts, blas), PD_CHECK_WARN,
                              "bits will differ; install or load the same version on all hosts",
                              NULL};
    const shared_text hdf5 = {"HDF5", offsetof(pd_facts, hdf5), PD_CHECK_WARN,
                              "install or load the same version on all hosts", NULL};
    int other = first_other(facts, ranks, program.offset);
    for (int rank = 1; rank < ranks && other < 0; rank++)
        if (facts[rank].build != facts[0].build)
            other = -1 - rank; /* same version, different build */
    if (other < -1)
        pd_checks_add(checks, PD_CHECK_WARN, "program",
                      "rank %d on %s runs a different build of %s than rank 0 on %s; its bits may "
                      "differ: start the same file on all hosts",
                      -1 - other, facts[-1 - other].host, facts[0].program, facts[0].host);
    else
        check_text(checks, facts, ranks, &program);
    snprintf(threading, sizeof threading, ", %s", facts[0].threading);
    check_text(checks, facts, ranks, &mpi);
    check_text(checks, facts, ranks, &blas);
    check_text(checks, facts, ranks, &hdf5);
}

/* The newest OPENBLAS_CORETYPE that all ranks' processors can run; "" if there is none. */
static const char *common_core(const pd_facts *facts, int ranks)
{
    const char *common = facts[0].possible;
    for (int rank = 1; rank < ranks; rank++)
        if (facts[rank].possible[0] == '\0' || strcmp(common, "SKYLAKEX") == 0)
            common = facts[rank].possible;
    return common;
}

static void check_cores(pd_checks *checks, const pd_facts *facts, int ranks)
{
    int other = first_other(facts, ranks, offsetof(pd_facts, core));
    const char *common = common_core(facts, ranks);
    if (other < 0)
        pd_checks_add(checks, PD_CHECK_OK, "BLAS core", "%s%s", facts[0].core,
                      ranks > 1 ? ", on all ranks" : "");
    else
        pd_checks_add(
            checks, PD_CHECK_WARN, "BLAS core",
            "OpenBLAS uses kernels for %s on %s (rank 0) but for %s on %s (rank %d): bits "
            "will depend on where ranks run; set OPENBLAS_CORETYPE=%s for all",
            facts[0].core, facts[0].host, facts[other].core, facts[other].host, other,
            common[0] == '\0' ? "NEHALEM" : common);
    for (int rank = 0; rank < ranks; rank++) {
        if (facts[rank].better[0] == '\0')
            continue;
        pd_checks_add(checks, PD_CHECK_WARN, "BLAS core",
                      "OpenBLAS uses kernels for %s on %s (rank %d), several times slower than the "
                      "processor allows: unset OPENBLAS_CORETYPE, or set it to %s",
                      facts[rank].core, facts[rank].host, rank, facts[rank].better);
        break; /* one rank is enough */
    }
}

void pd_check_processors(pd_checks *checks, const pd_facts *facts, int ranks)
{
    const shared_text instructions = {
        "instructions", offsetof(pd_facts, instructions), PD_CHECK_WARN,
        "bits will depend on where ranks run; use hosts of the same kind, or remove "
        "glibc-hwcaps/x86-64-v4 beside the program",
        NULL};
    check_cores(checks, facts, ranks);
    check_text(checks, facts, ranks, &instructions);
}

/* Compares threads with cores on the host whose first rank is `leader`. */
static void check_host_binding(pd_checks *checks, const pd_facts *facts, int ranks, int leader)
{
    cpu_set_t cores;
    int threads = 0, own = 0;
    double processors = facts[leader].limits.processors;
    char quota[64] = "";
    if (!isinf(processors))
        snprintf(quota, sizeof quota, ", with a quota of the CPU time of %.2g", processors);
    CPU_ZERO(&cores);
    for (int rank = leader; rank < ranks; rank++) {
        if (!pd_facts_same_host(facts, leader, rank))
            continue;
        own++;
        threads += facts[rank].threads;
        CPU_OR(&cores, &cores, &facts[rank].cores);
        int bound = CPU_COUNT(&facts[rank].cores);
        if (facts[rank].threads > bound) {
            pd_checks_add(checks, PD_CHECK_WARN, "binding",
                          "rank %d on %s has %d threads but is bound to %d core%s: %s", rank,
                          facts[rank].host, facts[rank].threads, bound, pd_text_plural(bound),
                          facts[rank].advice);
            return;
        }
    }
    int usable = CPU_COUNT(&cores);
    if (threads > usable)
        pd_checks_add(checks, PD_CHECK_WARN, "binding",
                      "%s: %d rank%s with %d threads in all share %d core%s: start fewer, use "
                      "fewer --threads, or if they are bound to the same cores, %s",
                      facts[leader].host, own, pd_text_plural(own), threads, usable,
                      pd_text_plural(usable), facts[leader].advice);
    else if (threads > ceil(processors))
        pd_checks_add(checks, PD_CHECK_WARN, "binding",
                      "%s: %d threads, but the control group's quota is the CPU time of %.2g "
                      "cores: raise it (docker --cpus, cpu.max), or use fewer --threads",
                      facts[leader].host, threads, processors);
    else if (leader == 0)
        pd_checks_add(checks, PD_CHECK_OK, "binding", "%d rank%s of %d thread%s on %d core%s%s%s",
                      own, pd_text_plural(own), facts[0].threads, pd_text_plural(facts[0].threads),
                      usable, pd_text_plural(usable), quota,
                      own < ranks ? ", of the first host" : "");
}

void pd_check_binding(pd_checks *checks, const pd_facts *facts, int ranks)
{
    const int others = 100; /* files that a rank opens besides connections */
    for (int rank = 0; rank < ranks; rank++)
        if (pd_facts_leads_host(facts, rank))
            check_host_binding(checks, facts, ranks, rank);
    for (int rank = 0; rank < ranks; rank++) {
        if (facts[rank].limits.open_files >= ranks + others)
            continue;
        pd_checks_add(checks, PD_CHECK_WARN, "open files",
                      "rank %d on %s may open %.0f files, but over TCP each of %d ranks takes a "
                      "connection: ulimit -n %d",
                      rank, facts[rank].host, facts[rank].limits.open_files, ranks,
                      2 * (ranks + others));
        return;
    }
}

void pd_check_lanes(pd_checks *checks, const pd_facts *facts, int ranks, const pd_job *job)
{
    int most = (job->sampling.lanes + ranks - 1) / ranks;
    double busy = (double)job->sampling.lanes / ranks / most;
    if (ranks > job->sampling.lanes)
        pd_checks_add(checks, PD_CHECK_FAIL, "lanes",
                      "%d ranks are more than train.lanes = %d: raise it to %d, and train.batch to "
                      "a multiple of it, or start fewer ranks",
                      ranks, job->sampling.lanes, ranks);
    else if (facts[0].plan_error[0] != '\0')
        pd_checks_add(checks, PD_CHECK_FAIL, "job", "%s", facts[0].plan_error);
    else if (busy < 1)
        pd_checks_add(checks, PD_CHECK_WARN, "lanes",
                      "%d lanes over %d ranks: some ranks have %d and the others wait for them; "
                      "utilisation is %.0f %%; make train.lanes a multiple of the ranks",
                      job->sampling.lanes, ranks, most, 100 * busy);
    else
        pd_checks_add(checks, PD_CHECK_OK, "lanes", "%d, %d on each of %d rank%s, %d images each",
                      job->sampling.lanes, most, ranks, pd_text_plural(ranks),
                      job->sampling.batch / job->sampling.lanes);
}

void pd_check_data(pd_checks *checks, const pd_facts *facts, int ranks, const pd_job *job,
                   const pd_dataset_info *info)
{
    double bytes = 0, slowest = 0, open = 0;
    for (int rank = 0; rank < ranks; rank++) {
        if (facts[rank].data_error[0] != '\0') {
            pd_checks_add(checks, PD_CHECK_FAIL, "data set", "rank %d on %s: %s", rank,
                          facts[rank].host, facts[rank].data_error);
            return;
        }
        bytes += facts[rank].read_bytes;
        slowest = fmax(slowest, facts[rank].read_seconds);
        open = fmax(open, facts[rank].open);
    }
    long long train =
        (long long)info->counts[PD_TRAIN][PD_NORMAL] + info->counts[PD_TRAIN][PD_PNEUMONIA];
    int other = first_other(facts, ranks, offsetof(pd_facts, digest));
    if (other >= 0)
        pd_checks_add(checks, PD_CHECK_FAIL, "data set",
                      "%s has digest %s on %s, but %s on %s (rank %d): pack it once, and put it "
                      "where all hosts can read it",
                      job->file, facts[0].digest, facts[0].host, facts[other].digest,
                      facts[other].host, other);
    else if (train < job->sampling.lanes)
        pd_checks_add(checks, PD_CHECK_FAIL, "data set",
                      "%s has %lld train images for %d lanes: lower train.lanes", job->file, train,
                      job->sampling.lanes);
    else
        pd_checks_add(checks, PD_CHECK_OK, "data set",
                      "%s: %lld images of %dx%d, digest %.8s%s; opened in %.1f ms, read at %.0f "
                      "MB/s",
                      job->file, (long long)info->count, info->height, info->width, facts[0].digest,
                      ranks > 1 ? " on all ranks" : "", 1e3 * open,
                      slowest > 0 ? 1e-6 * bytes / slowest : 0);
}

/* Returns the bytes that the ranks of a host need together, and sets *given to the smallest limit
 * of any of them. */
static double host_need(const pd_facts *facts, int ranks, int leader, double *given)
{
    double need = 0;
    *given = (double)INFINITY;
    for (int rank = leader; rank < ranks; rank++) {
        if (!pd_facts_same_host(facts, leader, rank))
            continue;
        need += facts[rank].footprint.total;
        *given = fmin(*given, facts[rank].limits.memory);
    }
    return need;
}

void pd_check_memory(pd_checks *checks, const pd_facts *facts, int ranks)
{
    static const char remedy[] = "more hosts, a smaller train.batch or data.size, a smaller model";
    char a[16], b[16], c[16], d[16], e[16], f[16];
    const double tight = 0.8;
    int worst = 0;
    double need = 0, given = 1;
    for (int rank = 0; rank < ranks; rank++) {
        double own = facts[rank].footprint.total, room = facts[rank].limits.address_space;
        if (own > room) {
            pd_checks_add(checks, PD_CHECK_FAIL, "memory",
                          "rank %d on %s needs %s but may map only %s more (ulimit -v): raise "
                          "that limit, or use %s",
                          rank, facts[rank].host, pd_check_bytes(a, own), pd_check_bytes(b, room),
                          remedy);
            return;
        }
        if (!pd_facts_leads_host(facts, rank))
            continue;
        double host_given, needed = host_need(facts, ranks, rank, &host_given);
        if (needed * given > need * host_given) {
            need = needed;
            given = host_given;
            worst = rank;
        }
    }
    const pd_footprint *of = &facts[worst].footprint;
    pd_check_bytes(a, need);
    pd_check_bytes(b, given);
    if (need > tight * given)
        pd_checks_add(checks, need > given ? PD_CHECK_FAIL : PD_CHECK_WARN, "memory",
                      "%s: the job needs %s, and %s are free within all limits: use %s",
                      facts[worst].host, a, b, remedy);
    else
        pd_checks_add(checks, PD_CHECK_OK, "memory",
                      "%s of the %s free on %s (a rank: network %s, gradients %s, optimiser %s, "
                      "images %s)",
                      a, b, facts[worst].host, pd_check_bytes(c, of->network),
                      pd_check_bytes(d, of->reduction), pd_check_bytes(e, of->optimizer),
                      pd_check_bytes(f, of->images));
}

void pd_check_products(pd_checks *checks, const pd_facts *facts, int ranks)
{
    const double slow = 0.75;
    double *speeds = NULL;
    int slowest = 0;
    if (pd_alloc(&speeds, (size_t)ranks, sizeof *speeds) != PD_OK)
        return;
    for (int rank = 0; rank < ranks; rank++) {
        speeds[rank] = facts[rank].gflops;
        if (facts[rank].gflops < facts[slowest].gflops)
            slowest = rank;
    }
    qsort(speeds, (size_t)ranks, sizeof *speeds, pd_compare_doubles);
    double median = speeds[ranks / 2], least = speeds[0];
    if (least < slow * median)
        pd_checks_add(
            checks, PD_CHECK_WARN, "products",
            "rank %d on %s computes %.0f GFLOP/s, the median rank %.0f, and all ranks wait "
            "for it: check what else runs on that host, or leave the host out",
            slowest, facts[slowest].host, least, median);
    else if (ranks == 1)
        pd_checks_add(checks, PD_CHECK_OK, "products", "%.0f GFLOP/s", least);
    else
        pd_checks_add(checks, PD_CHECK_OK, "products",
                      "%.0f GFLOP/s on the median rank, %.0f on the slowest, rank %d on %s", median,
                      least, slowest, facts[slowest].host);
    free(speeds);
}
