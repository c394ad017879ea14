#include "pneumo/base/host.h"

#include "pneumo/base/number.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { PATH_BYTES = 4096, LINE_BYTES = 1024 };

static FILE *open_in(const char *folder, const char *file)
{
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return fopen(path, "r");
}

/* The number after `key` in a file of lines such as "MemAvailable: 12 kB", or the first number of
 * the file if `key` is "". INFINITY if there is none, for example where the file says "max". */
static double read_number(const char *folder, const char *file, const char *key)
{
    char line[LINE_BYTES], *end;
    double number = (double)INFINITY;
    size_t length = strlen(key);
    FILE *in = open_in(folder, file);
    if (in == NULL)
        return number;
    while (isinf(number) && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, key, length) != 0)
            continue;
        double read = (double)strtoll(line + length, &end, 10);
        if (end != line + length)
            number = read;
    }
    fclose(in);
    return number;
}

/* A limit less its present use. Cached files count as free. */
static double available(const char *folder, const char *limit, const char *used,
                        const char *const cached[2])
{
    double maximum = read_number(folder, limit, ""), now = read_number(folder, used, "");
    if (isinf(maximum) || isinf(now))
        return (double)INFINITY;
    for (int i = 0; i < 2; i++) {
        double cache = read_number(folder, "memory.stat", cached[i]);
        now -= isinf(cache) ? 0 : cache;
    }
    return fmax(maximum - fmax(now, 0), 0);
}

/* The number of processors that a quota of CPU time per period corresponds to. */
static double quota_processors(double quota, double period)
{
    return isinf(quota) || isinf(period) || quota <= 0 || period <= 0 ? (double)INFINITY
                                                                      : quota / period;
}

/* "cpu.max" holds both: "200000 100000", or "max 100000". */
static double unified_processors(const char *folder)
{
    double quota = (double)INFINITY, period = (double)INFINITY;
    FILE *in = open_in(folder, "cpu.max");
    if (in == NULL)
        return quota;
    if (fscanf(in, "%lf %lf", &quota, &period) != 2)
        quota = (double)INFINITY;
    fclose(in);
    return quota_processors(quota, period);
}

static void apply_group_limits(pd_host *host, const char *folder)
{
    static const char *const cached[2] = {"active_file ", "inactive_file "};
    static const char *const cached1[2] = {"total_active_file ", "total_inactive_file "};
    double memory = available(folder, "memory.max", "memory.current", cached);
    double memory1 = available(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", cached1);
    double quota1 = quota_processors(read_number(folder, "cpu.cfs_quota_us", ""),
                                     read_number(folder, "cpu.cfs_period_us", ""));
    host->memory = fmin(host->memory, fmin(memory, memory1));
    host->processors = fmin(host->processors, fmin(unified_processors(folder), quota1));
}

/* Applies the limits of group `path` below `top` and of all its ancestors. In a container the path
 * may not exist; the limits are then those of `top`. */
static void apply_ancestor_limits(pd_host *host, const char *top, const char *path)
{
    char folder[PATH_BYTES];
    size_t top_length = strlen(top);
    snprintf(folder, sizeof folder, "%s%s", top, path);
    for (;;) {
        apply_group_limits(host, folder);
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < top_length)
            return;
        *slash = '\0';
    }
}

/* Lines of /proc/self/cgroup are "number:controllers:path"; version 2 names no controllers. */
static void apply_all_limits(pd_host *host, const char *root)
{
    char line[LINE_BYTES], top[PATH_BYTES];
    FILE *in = open_in(root, "proc/self/cgroup");
    if (in == NULL)
        return;
    while (fgets(line, sizeof line, in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (group == NULL)
            continue;
        *group++ = '\0';
        snprintf(top, sizeof top, "%s/sys/fs/cgroup%s%s", root, controllers[1] == '\0' ? "" : "/",
                 controllers + 1);
        apply_ancestor_limits(host, top, group);
    }
    fclose(in);
}

static double soft_limit(int resource)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return (double)INFINITY;
    return (double)limit.rlim_cur;
}

pd_host pd_host_query(const char *root)
{
    char proc[PATH_BYTES];
    snprintf(proc, sizeof proc, "%s/proc", root);
    pd_host host = {.memory = 1024 * read_number(proc, "meminfo", "MemAvailable:"),
                    .processors = (double)INFINITY,
                    .open_files = soft_limit(RLIMIT_NOFILE)};
    double mapped = 1024 * read_number(proc, "self/status", "VmSize:");
    double unmapped = soft_limit(RLIMIT_AS) - (isinf(mapped) ? 0 : mapped);
    host.address_space = unmapped > 0 ? unmapped : 0;
    apply_all_limits(&host, root);
    return host;
}

char *pd_host_processor(char *text, size_t size, const char *root)
{
    static const char key[] = "model name";
    char folder[PATH_BYTES], line[LINE_BYTES];
    text[0] = '\0';
    snprintf(folder, sizeof folder, "%s/proc", root);
    FILE *in = open_in(folder, "cpuinfo");
    if (in == NULL)
        return text;
    while (text[0] == '\0' && fgets(line, sizeof line, in) != NULL) {
        const char *colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, key, sizeof key - 1) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(text, size, "%s", colon + 1 + strspn(colon + 1, " \t"));
    }
    fclose(in);
    return text;
}

/* Adds the cores of OpenMP's places, among which it binds threads. */
static void add_places(cpu_set_t *out)
{
    for (int place = 0; place < omp_get_num_places(); place++) {
        int count = omp_get_place_num_procs(place), cores[CPU_SETSIZE];
        if (count > CPU_SETSIZE)
            continue;
        omp_get_place_proc_ids(place, cores);
        for (int i = 0; i < count; i++)
            CPU_SET((size_t)cores[i], out);
    }
}

void pd_host_cores(cpu_set_t *out)
{
    CPU_ZERO(out);
    if (sched_getaffinity(0, sizeof *out, out) != 0)
        CPU_ZERO(out);
    add_places(out);
    if (CPU_COUNT(out) == 0)
        CPU_SET(0, out);
}

int pd_host_threads(void)
{
    cpu_set_t cores;
    pd_host_cores(&cores);
    double processors = floor(fmin(pd_host_query("").processors, CPU_COUNT(&cores)));
    return pd_max_int(1, pd_min_int((int)processors, omp_get_thread_limit()));
}
