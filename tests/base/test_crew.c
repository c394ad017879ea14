/* A crew: every item is worked on once, by a worker of its own number; runs follow each other at
 * once; threads without work sleep. */
#include "pneumo/base/crew.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

enum { ITEMS = 100, THREADS_MAX = 5 };

typedef struct field {
    int threads;
    long item_microseconds;
    atomic_int done[ITEMS];
    atomic_bool busy[THREADS_MAX];
    atomic_int most; /* largest worker number */
    atomic_bool wrong;
} field;

static void pause_for(long microseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000 * microseconds}, NULL);
}

static void work(void *context, int item, int worker)
{
    field *at = context;
    if (worker < 0 || worker >= at->threads || atomic_exchange(&at->busy[worker], true)) {
        at->wrong = true;
        return;
    }
    pause_for(at->item_microseconds);
    at->done[item]++;
    int most = at->most;
    while (most < worker && !atomic_compare_exchange_weak(&at->most, &most, worker))
        ;
    at->busy[worker] = false;
}

static void run_and_check(pd_crew *crew, field *at, int count)
{
    for (int i = 0; i < ITEMS; i++)
        at->done[i] = 0;
    pd_crew_run(crew, at->threads, count, work, at);
    for (int i = 0; i < ITEMS; i++)
        assert_int_equal(at->done[i], i < count);
    assert_false(at->wrong);
}

static void items_are_done_once(void **state)
{
    (void)state;
    static const int counts[] = {0, 1, 2, 7, ITEMS};
    for (int threads = 1; threads <= THREADS_MAX; threads++) {
        pd_crew *crew;
        assert_int_equal(pd_crew_create(&crew, threads), PD_OK);
        for (int repeat = 0; repeat < 200; repeat++) {
            field at = {.threads = 1 + repeat % threads};
            run_and_check(crew, &at, counts[repeat % 5]);
        }
        pd_crew_destroy(&crew);
        assert_null(crew);
    }
    pd_crew_destroy(&(pd_crew *){NULL});
}

/* Also without a crew. */
static void all_threads_work(void **state)
{
    (void)state;
    pd_crew *crews[2] = {NULL, NULL};
    assert_int_equal(pd_crew_create(&crews[1], 3), PD_OK);
    for (int i = 0; i < 2; i++) {
        field at = {.threads = 3, .item_microseconds = 1000};
        run_and_check(crews[i], &at, ITEMS);
        assert_int_equal(at.most, 2);
    }
    pd_crew_destroy(&crews[1]);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* While one item takes long, and between runs. */
static void threads_without_work_sleep(void **state)
{
    (void)state;
    pd_crew *crew;
    assert_int_equal(pd_crew_create(&crew, THREADS_MAX), PD_OK);
    field warm = {.threads = THREADS_MAX};
    run_and_check(crew, &warm, ITEMS);
    pause_for(100000); /* those of OpenMP, which started the others, fall asleep later */
    double before = cpu_seconds();
    for (int i = 0; i < 3; i++) {
        field at = {.threads = THREADS_MAX, .item_microseconds = 50000};
        run_and_check(crew, &at, 1);
        pause_for(50000);
    }
    assert_true(cpu_seconds() - before < 0.1);
    pd_crew_destroy(&crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_done_once),
        cmocka_unit_test(all_threads_work),
        cmocka_unit_test(threads_without_work_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
