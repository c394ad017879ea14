/* Messages, memory and durations. */
#include "pneumo/base/clock.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_message(void **state)
{
    (void)state;
    assert_int_equal(pd_fail("%s: no such %s", "a.h5", "file"), PD_FAILED);
    assert_string_equal(pd_error_message(), "a.h5: no such file");
    /* The previous message may be an argument. */
    assert_int_equal(pd_fail_usage("rank %d: %s", 3, pd_error_message()), PD_USAGE);
    assert_string_equal(pd_error_message(), "rank 3: a.h5: no such file");
    pd_fail("cut short");
    assert_int_equal(pd_error_prefix(PD_FAILED, "b.h5"), PD_FAILED);
    assert_string_equal(pd_error_message(), "b.h5: cut short");
}

/* What the system fails in is told from what is wrong with the input. */
static void test_system(void **state)
{
    (void)state;
    char *block;
    pd_fail("damaged");
    assert_false(pd_error_is_system());
    assert_int_equal(pd_fail_system("no %s", "memory"), PD_FAILED);
    assert_string_equal(pd_error_message(), "no memory");
    pd_error_prefix(PD_FAILED, "a.png");
    assert_true(pd_error_is_system());
    pd_fail_usage("unknown option");
    assert_false(pd_error_is_system());
    assert_int_equal(pd_alloc(&block, SIZE_MAX / 2, 4), PD_FAILED);
    assert_true(pd_error_is_system());
}

/* Of several threads' failures the first is kept, and becomes that of the thread that asks. */
static void test_failures_of_threads(void **state)
{
    (void)state;
    pd_failure kept = {0};
    pd_failure_keep(&kept, PD_OK);
    assert_false(pd_failure_is_kept(&kept));
    assert_int_equal(pd_failure_return(&kept), PD_OK);
#pragma omp parallel num_threads(4)
#pragma omp for ordered schedule(static, 1)
    for (int i = 0; i < 4; i++) {
#pragma omp ordered
        pd_failure_keep(&kept, i < 2 ? PD_OK : pd_fail_system("no memory for item %d", i));
    }
    pd_fail("something else");
    assert_true(pd_failure_is_kept(&kept));
    assert_int_equal(pd_failure_return(&kept), PD_FAILED);
    assert_string_equal(pd_error_message(), "no memory for item 2");
    assert_true(pd_error_is_system());
}

static void test_alloc(void **state)
{
    (void)state;
    char *block;
    assert_int_equal(pd_alloc(&block, 1000, 3), PD_OK);
    assert_int_equal((uintptr_t)block % 64, 0);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(block[i], 0);
    free(block);
    assert_int_equal(pd_alloc(&block, 0, 4), PD_OK);
    assert_non_null(block);
    free(block);
    assert_int_equal(pd_alloc(&block, SIZE_MAX / 2, 4), PD_FAILED);
    assert_null(block);
}

static void test_durations(void **state)
{
    (void)state;
    char text[32];
    assert_string_equal(pd_clock_format(text, sizeof text, 47.6), "48 s");
    assert_string_equal(pd_clock_format(text, sizeof text, 725), "12 min 05 s");
    assert_string_equal(pd_clock_format(text, sizeof text, 11225), "3 h 07 min");
    assert_string_equal(pd_clock_format(text, sizeof text, -1), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_system),
        cmocka_unit_test(test_failures_of_threads),
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
