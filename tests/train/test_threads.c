/* The number of threads of a rank: as set, else as SLURM gives to a task, else its share of the
 * cores. */
#include "pneumo/train/threads.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_who_decides)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
