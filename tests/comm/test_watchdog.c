/* The rules of the watchdog, under simulated time. */
#include "comm/watchdog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 4 };

static const pd_host_name HOSTS[SIZE] = {"node1", "node1", "node2", "node2"};
static const pd_place WAITING = {"epoch 2, step 17", "the sum of the gradients"};
static const pd_place WORKING = {"epoch 2, step 17", NULL};

static pd_watchdog watchdog;
static char text[1024];

static void begin(int rank, double seconds)
{
    assert_int_equal(pd_watchdog_join(&watchdog, rank, SIZE, HOSTS, 0), PD_OK);
    watchdog.seconds = seconds;
    text[0] = '\0';
}

static int finish(void **state)
{
    (void)state;
    pd_watchdog_release(&watchdog);
    return 0;
}

/* Simulates `seconds` in steps of half a second, in which the ranks of the bit mask `alive` send
 * heartbeats. The ranks of the mask `waiting` report that they wait; with `progress` all complete
 * an operation in each step. Stops at the first verdict other than WELL, and returns the last one.
 */
static pd_verdict simulate(double seconds, unsigned alive, unsigned waiting, bool progress,
                           pd_place place)
{
    static uint32_t completed;
    pd_verdict verdict = PD_VERDICT_WELL;
    for (double time = 0; time < seconds && verdict == PD_VERDICT_WELL; time += 0.5) {
        pd_watchdog_elapse(&watchdog, 0.5, false, false);
        completed += progress;
        for (int rank = 0; rank < SIZE; rank++)
            if (alive >> rank & 1)
                pd_watchdog_receive(
                    &watchdog, rank,
                    (pd_beat){.completed = completed, .waiting = (waiting >> rank & 1) != 0});
        verdict = pd_watchdog_judge(&watchdog, place, text, sizeof text);
    }
    return verdict;
}

static void test_silent_rank_ends_all_in_time(void **state)
{
    (void)state;
    begin(0, 60);
    assert_int_equal(simulate(30, 7, 7, false, WAITING), PD_VERDICT_WELL);
    assert_int_equal(simulate(30, 7, 7, false, WAITING), PD_VERDICT_END);
    assert_string_equal(
        text, "rank 0 on node1: epoch 2, step 17: waiting for the sum of the gradients, but rank 3 "
              "on node2 has not responded for 36 s; check that rank, its host and the network, "
              "then run again (train: with --resume)");
}

static void test_all_silent_ranks_are_named(void **state)
{
    (void)state;
    begin(0, 60);
    assert_int_equal(simulate(59, 3, 3, false, WORKING), PD_VERDICT_END);
    assert_non_null(strstr(text, "step 17: rank 2 on node2, rank 3 on node2 have not responded"));
}

/* A rank may write for an hour if it sends heartbeats. */
static void test_busy_rank_is_not_ended(void **state)
{
    (void)state;
    begin(0, 60);
    assert_int_equal(simulate(59, 15, 14, false, WORKING), PD_VERDICT_WELL);
    assert_int_equal(simulate(2, 15, 14, false, WORKING), PD_VERDICT_WARN);
    assert_non_null(strstr(text, "rank 0 on node1 has kept other ranks waiting for 60 s"));
    /* Once. */
    assert_int_equal(simulate(3600, 15, 14, false, WORKING), PD_VERDICT_WELL);
    /* All ranks compute for long: none waits. */
    assert_int_equal(simulate(3600, 15, 0, false, WORKING), PD_VERDICT_WELL);
}

static void test_deadlock_ends_all(void **state)
{
    (void)state;
    begin(0, 60);
    /* Not a deadlock while operations complete. */
    assert_int_equal(simulate(600, 15, 15, true, WAITING), PD_VERDICT_WELL);
    assert_int_equal(simulate(35, 15, 15, false, WAITING), PD_VERDICT_WELL);
    assert_int_equal(simulate(25, 15, 15, false, WAITING), PD_VERDICT_END);
    assert_non_null(strstr(text, "all ranks have been waiting for 36 s, although all respond"));
}

static void test_rank_1_reports_rank_0_before_others(void **state)
{
    (void)state;
    begin(1, 60);
    assert_int_equal(simulate(40, 14, 15, false, WAITING), PD_VERDICT_END);
    assert_non_null(strstr(text, "rank 1 on node1: epoch 2, step 17: waiting for the sum of the "
                                 "gradients, but rank 0 on node1 has not responded for 36 s"));
    finish(NULL);
    begin(2, 60);
    assert_int_equal(simulate(53, 14, 15, false, WAITING), PD_VERDICT_WELL);
    assert_int_equal(simulate(6, 14, 15, false, WAITING), PD_VERDICT_END);
    /* Ranks above 0 receive heartbeats of rank 0 only, so the silence of others does not count. */
    finish(NULL);
    begin(2, 60);
    assert_int_equal(simulate(600, 5, 15, true, WAITING), PD_VERDICT_WELL);
}

/* All ranks were suspended; the first to resume has not received heartbeats yet. */
static void test_time_while_stopped_does_not_count(void **state)
{
    (void)state;
    begin(0, 60);
    pd_watchdog_elapse(&watchdog, 3600, false, false);
    assert_int_equal(pd_watchdog_judge(&watchdog, WAITING, text, sizeof text), PD_VERDICT_WELL);
    assert_int_equal(simulate(60, 15, 15, true, WAITING), PD_VERDICT_WELL);
}

static void test_stop_request_names_silent_ranks(void **state)
{
    (void)state;
    begin(0, 60);
    pd_beat beat = {.completed = 7, .waiting = true};
    for (int i = 0; i < 10; i++) {
        pd_watchdog_elapse(&watchdog, 0.2, i >= 2, false);
        for (int rank = 0; rank < SIZE; rank++)
            if (rank != 2 || i < 2)
                pd_watchdog_receive(&watchdog, rank, beat);
        pd_verdict verdict = pd_watchdog_judge(&watchdog, WAITING, text, sizeof text);
        /* Within a second, and once. */
        assert_int_equal(verdict, i == 5 ? PD_VERDICT_WARN : PD_VERDICT_WELL);
    }
    assert_string_equal(
        text,
        "rank 0 on node1: epoch 2, step 17: received a termination signal while waiting for the "
        "sum of the gradients, and rank 2 on node2 does not respond; check that rank, its "
        "host and the network, then run again (train: with --resume)");
}

static void test_stop_request_alone_prints_nothing(void **state)
{
    (void)state;
    begin(0, 60);
    for (int i = 0; i < 50; i++) {
        pd_watchdog_elapse(&watchdog, 0.2, true, false);
        for (int rank = 0; rank < SIZE; rank++)
            pd_watchdog_receive(&watchdog, rank, (pd_beat){.waiting = true});
        assert_int_equal(pd_watchdog_judge(&watchdog, WAITING, text, sizeof text), PD_VERDICT_WELL);
    }
}

/* Seconds until rank 0, whose peers are silent after a request to stop, warns; 0: it does not. */
static int warning_after(uint32_t completed)
{
    for (int i = 1; i < 20; i++) {
        pd_watchdog_elapse(&watchdog, 1, true, false);
        pd_watchdog_receive(&watchdog, 0, (pd_beat){.completed = completed, .waiting = true});
        if (pd_watchdog_judge(&watchdog, WAITING, text, sizeof text) == PD_VERDICT_WARN)
            return i;
    }
    return 0;
}

/* Seconds until the watchdog of a rank whose MPI call does not return gives a verdict. */
static int verdict_after(bool stopping, pd_place place, pd_verdict *verdict)
{
    for (int i = 1; i < 1000; i++) {
        pd_watchdog_elapse(&watchdog, 1, stopping, true);
        *verdict = pd_watchdog_judge(&watchdog, place, text, sizeof text);
        if (*verdict != PD_VERDICT_WELL)
            return i;
    }
    return 0;
}

/* Rank 0 first, so that the launcher ends the others before they say the same. */
static void test_blocked_call_before_ranks_join(void **state)
{
    (void)state;
    static const struct {
        int rank, seconds;
        const char *name;
    } cases[] = {{0, 240, "rank 0"}, {1, 270, "rank 1"}, {2, 300, "rank 2"}, {-1, 300, "a rank"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[256];
        pd_verdict verdict;
        pd_watchdog_begin(&watchdog, cases[i].rank, "node1", 300);
        assert_int_equal(verdict_after(false, (pd_place){"start", NULL}, &verdict),
                         cases[i].seconds);
        assert_int_equal(verdict, PD_VERDICT_END);
        snprintf(
            expected, sizeof expected,
            "%s on node1: start: waiting for other ranks, and an MPI call has not returned for "
            "%d s; check all hosts and the network, then run again (train: with --resume)",
            cases[i].name, cases[i].seconds);
        assert_string_equal(text, expected);
        /* Once. */
        assert_int_equal(verdict_after(false, (pd_place){"start", NULL}, &verdict), 0);
    }
}

/* A rank that hears from the others, but whose MPI call does not return, is asked to stop. */
static void test_blocked_call_and_stop_request(void **state)
{
    (void)state;
    begin(0, 60);
    for (int i = 0; i < 10; i++) {
        pd_watchdog_elapse(&watchdog, 0.2, true, true);
        for (int rank = 0; rank < SIZE; rank++)
            pd_watchdog_receive(&watchdog, rank, (pd_beat){.completed = 7, .waiting = true});
        assert_int_equal(pd_watchdog_judge(&watchdog, WAITING, text, sizeof text),
                         i == 3 ? PD_VERDICT_WARN : PD_VERDICT_WELL);
    }
    assert_non_null(strstr(text, "received a termination signal while waiting for the sum of the "
                                 "gradients, and an MPI call does not return; another rank may"));
}

/* With thousands of ranks heartbeats are rarer, and a rank that sent its last one in time is not
 * taken for dead. */
static void test_long_periods(void **state)
{
    (void)state;
    enum { MANY = 4096 };
    static pd_host_name hosts[MANY];
    const double period = MANY / 2000.0;
    assert_int_equal(pd_watchdog_join(&watchdog, 0, MANY, (const pd_host_name *)hosts, period),
                     PD_OK);
    pd_watchdog_set_limit(&watchdog, 5);
    pd_verdict verdict = PD_VERDICT_WELL;
    double time = 0;
    for (; time < 60 && verdict == PD_VERDICT_WELL; time += period) {
        for (int rank = 0; rank < MANY; rank++)
            if (rank != 7)
                pd_watchdog_receive(&watchdog, rank, (pd_beat){.completed = 7, .waiting = true});
        pd_watchdog_elapse(&watchdog, period, time > 0, false);
        verdict = pd_watchdog_judge(&watchdog, WAITING, text, sizeof text);
    }
    assert_int_equal(verdict, PD_VERDICT_WARN);
    assert_non_null(strstr(text, "and rank 7 on  does not respond"));
    assert_true(time < 10 * period);
}

/* This rank was stopped: the others have said so and ended, and the launcher has continued it. */
static void test_resumed_rank_blames_no_other(void **state)
{
    (void)state;
    begin(0, 60);
    pd_watchdog_elapse(&watchdog, 40, false, false);
    assert_int_equal(warning_after(0), 0);
    /* It was continued in time, so what comes later has another cause. */
    pd_watchdog_receive(&watchdog, 0, (pd_beat){.completed = 1, .waiting = true});
    assert_int_equal(warning_after(1), 1);
}

static void test_one_message_per_end(void **state)
{
    (void)state;
    begin(1, 60);
    pd_watchdog_receive(&watchdog, 0, (pd_beat){.ending = true});
    assert_int_equal(simulate(100, 14, 15, false, WAITING), PD_VERDICT_WELL);
}

static void test_off(void **state)
{
    (void)state;
    begin(0, 0);
    assert_int_equal(simulate(3600, 1, 15, false, WAITING), PD_VERDICT_WELL);
}

static void test_long_lists_are_cut(void **state)
{
    (void)state;
    enum { MANY = 4096 };
    pd_host_name *hosts = calloc(MANY, sizeof *hosts);
    assert_non_null(hosts);
    for (int i = 0; i < MANY; i++)
        memset(hosts[i], 'n', PD_HOST_MAX - 1);
    assert_int_equal(pd_watchdog_join(&watchdog, 0, MANY, (const pd_host_name *)hosts, 0), PD_OK);
    watchdog.seconds = 10;
    for (int i = 0; i < 8; i++)
        pd_watchdog_elapse(&watchdog, 1, false, false);
    assert_int_equal(pd_watchdog_judge(&watchdog, WAITING, text, sizeof text), PD_VERDICT_END);
    assert_non_null(strstr(text, " and 4087 more have not responded"));
    char brief[32];
    watchdog.ending = false;
    pd_watchdog_judge(&watchdog, WAITING, brief, sizeof brief);
    assert_int_equal(strlen(brief), sizeof brief - 1);
    free(hosts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_silent_rank_ends_all_in_time, finish),
        cmocka_unit_test_teardown(test_all_silent_ranks_are_named, finish),
        cmocka_unit_test_teardown(test_busy_rank_is_not_ended, finish),
        cmocka_unit_test_teardown(test_deadlock_ends_all, finish),
        cmocka_unit_test_teardown(test_rank_1_reports_rank_0_before_others, finish),
        cmocka_unit_test_teardown(test_time_while_stopped_does_not_count, finish),
        cmocka_unit_test_teardown(test_stop_request_names_silent_ranks, finish),
        cmocka_unit_test_teardown(test_stop_request_alone_prints_nothing, finish),
        cmocka_unit_test_teardown(test_resumed_rank_blames_no_other, finish),
        cmocka_unit_test_teardown(test_blocked_call_before_ranks_join, finish),
        cmocka_unit_test_teardown(test_blocked_call_and_stop_request, finish),
        cmocka_unit_test_teardown(test_long_periods, finish),
        cmocka_unit_test_teardown(test_one_message_per_end, finish),
        cmocka_unit_test_teardown(test_off, finish),
        cmocka_unit_test_teardown(test_long_lists_are_cut, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
