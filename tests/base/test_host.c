/* Available resources, read from fabricated /proc and /sys/fs/cgroup folders. */
#include "pneumo/base/host.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(root, "host-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

/* Writes a file below `root` and creates its parent folders. */
static void write_file(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0777);
        *slash = '/';
    }
    FILE *out = fopen(full, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void test_no_groups(void **state)
{
    (void)state;
    write_file("proc/meminfo", "MemTotal: 9000 kB\nMemFree: 100 kB\nMemAvailable:    4000 kB\n");
    pd_host host = pd_host_query(root);
    assert_true(host.memory == 4000 * 1024.0);
    assert_true(isinf(host.processors));
}

static void test_processor(void **state)
{
    (void)state;
    char text[16];
    assert_string_equal(pd_host_processor(text, sizeof text, root), "");
    write_file("proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 50.00\n");
    assert_string_equal(pd_host_processor(text, sizeof text, root), "");
    write_file("proc/cpuinfo", "processor\t: 0\nmodel name\t: EPYC 7\nmodel name\t: other\n");
    assert_string_equal(pd_host_processor(text, sizeof text, root), "EPYC 7");
    write_file("proc/cpuinfo", "model name\t: a name of more than 16 characters\n");
    assert_string_equal(pd_host_processor(text, sizeof text, root), "a name of more ");
}

/* Only the parent group has a limit. Cached files count as free. */
static void test_version_2(void **state)
{
    (void)state;
    write_file("proc/meminfo", "MemAvailable: 4000 kB\n");
    write_file("proc/self/cgroup", "0::/job_1/step_0\n");
    write_file("sys/fs/cgroup/job_1/step_0/memory.max", "max\n");
    write_file("sys/fs/cgroup/job_1/step_0/memory.current", "5000\n");
    write_file("sys/fs/cgroup/job_1/step_0/cpu.max", "max 100000\n");
    write_file("sys/fs/cgroup/job_1/memory.max", "1000000\n");
    write_file("sys/fs/cgroup/job_1/memory.current", "600000\n");
    write_file("sys/fs/cgroup/job_1/memory.stat",
               "anon 1\nactive_file 20000\ninactive_file 30000\n");
    write_file("sys/fs/cgroup/job_1/cpu.max", "150000 100000\n");
    pd_host host = pd_host_query(root);
    assert_true(host.memory == 450000);
    assert_true(host.processors == 1.5);
}

/* In a container the path of the group does not exist; its limits are in the top folder. */
static void test_version_1(void **state)
{
    (void)state;
    write_file("proc/meminfo", "MemAvailable: 4000 kB\n");
    write_file("proc/self/cgroup",
               "4:memory:/docker/12ab\n2:cpu,cpuacct:/docker/12ab\n1:name=x:/\n");
    write_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "900000\n");
    write_file("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000000\n");
    write_file("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 300000\n");
    write_file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    write_file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    pd_host host = pd_host_query(root);
    assert_true(host.memory == 200000);
    assert_true(isinf(host.processors));
    write_file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "400000\n");
    assert_true(pd_host_query(root).processors == 4);
}

/* The smallest quota of all groups above counts, in version 1 too, and beside version 2. */
static void test_nested_quotas(void **state)
{
    (void)state;
    write_file("proc/self/cgroup", "5:cpu,cpuacct:/pod/box/job\n3:memory:/pod\n0::/pod/box\n");
    write_file("sys/fs/cgroup/cpu,cpuacct/pod/box/job/cpu.cfs_quota_us", "-1\n");
    write_file("sys/fs/cgroup/cpu,cpuacct/pod/box/job/cpu.cfs_period_us", "100000\n");
    write_file("sys/fs/cgroup/cpu,cpuacct/pod/box/cpu.cfs_quota_us", "75000\n");
    write_file("sys/fs/cgroup/cpu,cpuacct/pod/box/cpu.cfs_period_us", "50000\n");
    write_file("sys/fs/cgroup/cpu,cpuacct/pod/cpu.cfs_quota_us", "600000\n");
    write_file("sys/fs/cgroup/cpu,cpuacct/pod/cpu.cfs_period_us", "100000\n");
    assert_true(pd_host_query(root).processors == 1.5);
    write_file("sys/fs/cgroup/pod/cpu.max", "120000 100000\n");
    assert_true(pd_host_query(root).processors == 1.2);
}

static void test_this_host(void **state)
{
    (void)state;
    pd_host host = pd_host_query("");
    assert_true(host.memory > 0 && host.memory < 1e15);
    assert_true(host.address_space > 0 && host.processors > 0 && host.open_files > 0);
    assert_true(pd_host_threads() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_processor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_version_2, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_version_1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nested_quotas, set_up, tear_down),
        cmocka_unit_test(test_this_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
