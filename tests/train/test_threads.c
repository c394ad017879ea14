/* The number of threads of a rank: as set, else as SLURM gives to a task, else its share of the
 * cores and of its control group's quota; what the log says about it. */
#include "pneumo/train/threads.h"

#include "train/threads_internal.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_who_decides(void **state)
{
    (void)state;
    pd_comm *comm;
    assert_int_equal(pd_comm_create(&comm), PD_OK);
    unsetenv("OMP_NUM_THREADS");
    unsetenv("SLURM_CPUS_PER_TASK");
    assert_true(pd_threads_choose(comm, 0) >= 1);

    assert_int_equal(setenv("SLURM_CPUS_PER_TASK", "3", 1), 0);
    assert_int_equal(pd_threads_choose(comm, 0), 3);
    assert_int_equal(omp_get_max_threads(), 3);

    assert_int_equal(setenv("OMP_NUM_THREADS", "2", 1), 0);
    assert_int_equal(pd_threads_choose(comm, 0), 2);
    assert_int_equal(pd_threads_choose(comm, 5), 5);
    assert_int_equal(omp_get_max_threads(), 5);
    pd_comm_destroy(&comm);
}

/* One rank on 8 free cores. */
static pd_thread_limits free_host(void)
{
    return (pd_thread_limits){
        .usable = 8, .share = 8, .online = 8, .ranks = 1, .quota = (double)INFINITY, .most = 1000};
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        int asked, usable;
        double share, quota;
        int ranks, most, threads;
    } cases[] = {
        {0, 8, 8, INFINITY, 1, 1000, 8},
        {0, 8, 8.0 / 3, INFINITY, 3, 1000, 2},
        {0, 3, 1.0 / 3 * 3, INFINITY, 3, 1000, 1},
        {0, 1, 1, INFINITY, 2, 1000, 1},
        {0, 8, 8, 0.5, 1, 1000, 1},
        {0, 8, 8, 2.5, 1, 1000, 2},
        {0, 8, 4, 6, 2, 1000, 3},
        {0, 8, 1, 0.25, 8, 1000, 1},
        {0, 8, 8, 64, 1, 1000, 8},
        {4, 8, 8, 0.5, 1, 1000, 4},
        {0, 8, 8, INFINITY, 1, 3, 3},
        {6, 8, 8, INFINITY, 1, 2, 2},
        {0, 2, 0.1, INFINITY, 20, 1000, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_thread_limits limits = free_host();
        limits.asked = cases[i].asked;
        limits.usable = cases[i].usable;
        limits.share = cases[i].share;
        limits.quota = cases[i].quota;
        limits.ranks = cases[i].ranks;
        limits.most = cases[i].most;
        assert_int_equal(pd_thread_limits_choose(&limits), cases[i].threads);
    }
}

static void expect(bool warns, const char *part, const pd_thread_limits *limits)
{
    char text[512];
    assert_int_equal(pd_thread_limits_remark(text, limits), warns);
    if (part == NULL)
        assert_string_equal(text, "");
    else
        assert_non_null(strstr(text, part));
}

static void test_remarks(void **state)
{
    (void)state;
    pd_thread_limits limits = free_host();
    expect(false, NULL, &limits);
    limits.quota = 8;
    expect(false, NULL, &limits);
    limits.quota = 1.5;
    expect(false, "1 thread per rank: the control group's quota is the CPU time of 1.5 of 8 cores",
           &limits);
    limits.asked = 4;
    expect(true, "4 threads of 1 rank share the CPU time of 1.5 cores", &limits);
    limits.asked = 2; /* a quota of 1.5 takes two threads to use up */
    expect(false, NULL, &limits);

    limits = free_host();
    limits.most = 2;
    expect(false, "OMP_THREAD_LIMIT = 2: 2 threads instead of 8", &limits);

    limits = free_host();
    limits.usable = 2;
    limits.share = 2;
    expect(false, "may run on 2 cores of the host's 8; give it more with taskset", &limits);
    limits.asked = 3;
    expect(true, "3 threads run on 2 cores", &limits);
    limits.asked = 9;
    expect(true, "9 threads are more than the host's 8 cores: use fewer --threads", &limits);
}

/* Only the launcher that is there is named. */
static void test_launchers(void **state)
{
    (void)state;
    static const struct {
        const char *variables[2], *advice;
    } cases[] = {
        {{"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_ID"}, "mpirun --bind-to none"},
        {{"PMIX_RANK", "SLURM_STEP_ID"}, "srun --cpus-per-task=3"},
        {{"PMI_RANK", "SLURM_STEP_ID"}, "srun --cpus-per-task=3"},
        {{"PMI_RANK", NULL}, "mpiexec -bind-to none"},
        {{"SLURM_STEP_ID", "SLURM_PROCID"}, "taskset"},
    };
    pd_thread_limits limits = free_host();
    limits.usable = 1;
    limits.asked = 3;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int j = 0; j < 2 && cases[i].variables[j] != NULL; j++)
            setenv(cases[i].variables[j], "2", 1);
        limits.launcher = pd_launcher_find();
        expect(true, cases[i].advice, &limits);
        for (int j = 0; j < 2 && cases[i].variables[j] != NULL; j++)
            unsetenv(cases[i].variables[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_decides), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_remarks), cmocka_unit_test(test_launchers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
