/* The resources of this host that are available to this process, within all its limits. */
#ifndef PNEUMO_BASE_HOST_H
#define PNEUMO_BASE_HOST_H

#include <sched.h>
#include <stddef.h>

/* INFINITY where there is no limit. */
typedef struct pd_host {
    double memory;        /* bytes, of the host and of every control group of this process */
    double address_space; /* bytes that this process may still map (ulimit -v) */
    double processors;    /* whose time the control groups let it use */
    double open_files;    /* limit of this process (ulimit -n) */
} pd_host;

/* Reads <root>/proc and <root>/sys/fs/cgroup, version 1 and 2 (Linux, Documentation/admin-guide:
 * cgroup-v1/memory.rst, cgroup-v2.rst). `root` is "", except in tests. A file that cannot be read
 * counts as no limit, and memory that caches files counts as free. */
pd_host pd_host_query(const char *root);

/* Writes the processor's name, as <root>/proc/cpuinfo has it, to text[size]; "" if it has none.
 * Returns `text`. */
char *pd_host_processor(char *text, size_t size, const char *root);

/* Sets *out to the cores that this process may run on. OpenMP binds the first thread to one of them
 * before main (OMP_PROC_BIND, GOMP_CPU_AFFINITY), so the thread's own set is not the process's. */
void pd_host_cores(cpu_set_t *out);

/* The number of cores that this process may run on, and whose time its control groups give it. At
 * least 1. */
int pd_host_threads(void);

#endif
