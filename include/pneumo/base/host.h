/* What this host still has for this process, within all limits that were set for it. */
#ifndef PNEUMO_BASE_HOST_H
#define PNEUMO_BASE_HOST_H

/* Without a limit: INFINITY. */
typedef struct pd_host {
    double memory;       /* bytes that the host can give, and every control group of this process */
    double address_space; /* bytes that this process may still map (ulimit -v) */
    double processors;   /* whose time control groups allow to use */
    double open_files;   /* that this process may have (ulimit -n) */
} pd_host;

/* Reads <root>/proc and <root>/sys/fs/cgroup, version 1 and 2 (Linux, Documentation/admin-guide:
 * cgroup-v1/memory.rst, cgroup-v2.rst); `root` is "" but for tests. What cannot be read counts as
 * no limit. Memory that only caches files counts as free. */
pd_host pd_host_query(const char *root);

#endif
