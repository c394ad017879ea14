/* The watchdog's judgement, with time that passes as the tests say. */
#include "pneumo/comm/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 4 };

static const pd_host_name HOSTS[SIZE] = {"node1", "node1", "node2", "node2"};
static const pd_place WAITING = {"epoch 2, step 17", "the sum of the gradients"};
static const pd_place WORKING = {"epoch 2, step 17", NULL};

static pd_watch watch;
static char text[1024];

static void begin(int rank, double seconds)
{
    assert_int_equal(pd_watch_create(&watch, rank, SIZE, HOSTS), PD_OK);
    watch.seconds = seconds;
    text[0] = '\0';
}

static int finish(void **state)
{
    (void)state;
    pd_watch_release(&watch);
    return 0;
}

/* Half a second at a time passes, in which the ranks of `alive` (a bit each) beat: with `moving`
 * all of them get on, else those of `waiting` wait. Returns the last verdict. */
static pd_verdict live(double seconds, unsigned alive, unsigned waiting, bool moving,
                       pd_place place)
{
    static uint32_t moves;
    pd_verdict verdict = PD_VERDICT_WELL;
    for (double at = 0; at < seconds && verdict == PD_VERDICT_WELL; at += 0.5) {
        pd_watch_pass(&watch, 0.5, false);
        moves += moving;
        for (int rank = 0; rank < SIZE; rank++)
            if (alive >> rank & 1)
                pd_watch_hear(&watch, rank,
                              (pd_beat){.moves = moves, .waiting = (waiting >> rank & 1) != 0});
        verdict = pd_watch_judge(&watch, place, text, sizeof(text));
    }
    return verdict;
}

static void a_silent_rank_ends_all_in_time(void **state)
{
    (void)state;
    begin(0, 60);
    assert_int_equal(live(30, 7, 7, false, WAITING), PD_VERDICT_WELL);
    assert_int_equal(live(30, 7, 7, false, WAITING), PD_VERDICT_END);
    assert_string_equal(
        text, "rank 0 on node1: epoch 2, step 17: waits for the sum of the gradients, but rank 3 "
              "on node2 has not answered for 36 s: see what became of it, its host and the "
              "network, then run it again (train: with --resume)");
}

static void all_of_a_host_are_named(void **state)
{
    (void)state;
    begin(0, 60);
    assert_int_equal(live(59, 3, 3, false, WORKING), PD_VERDICT_END);
    assert_non_null(strstr(text, "step 17: rank 2 on node2, rank 3 on node2 have not answered"));
}

/* A rank that writes for an hour, and beats, is not gone. */
static void work_is_no_silence(void **state)
{
    (void)state;
    begin(0, 60);
    assert_int_equal(live(59, 15, 14, false, WORKING), PD_VERDICT_WELL);
    assert_int_equal(live(2, 15, 14, false, WORKING), PD_VERDICT_WARN);
    assert_non_null(strstr(text, "rank 0 on node1 has kept others waiting for 60 s"));
    /* Once. */
    assert_int_equal(live(3600, 15, 14, false, WORKING), PD_VERDICT_WELL);
    /* Everybody works on one thing for long: nobody waits. */
    assert_int_equal(live(3600, 15, 0, false, WORKING), PD_VERDICT_WELL);
}

static void waiting_together_is_an_end(void **state)
{
    (void)state;
    begin(0, 60);
    /* As long as somebody gets on, it is none. */
    assert_int_equal(live(600, 15, 15, true, WAITING), PD_VERDICT_WELL);
    assert_int_equal(live(35, 15, 15, false, WAITING), PD_VERDICT_WELL);
    assert_int_equal(live(25, 15, 15, false, WAITING), PD_VERDICT_END);
    assert_non_null(strstr(text, "all ranks have waited for 36 s, though all answer"));
}

static void rank_1_speaks_for_rank_0_and_then_the_others(void **state)
{
    (void)state;
    begin(1, 60);
    assert_int_equal(live(40, 14, 15, false, WAITING), PD_VERDICT_END);
    assert_non_null(strstr(text, "rank 1 on node1: epoch 2, step 17: waits for the sum of the "
                                 "gradients, but rank 0 on node1 has not answered for 36 s"));
    finish(NULL);
    begin(2, 60);
    assert_int_equal(live(53, 14, 15, false, WAITING), PD_VERDICT_WELL);
    assert_int_equal(live(6, 14, 15, false, WAITING), PD_VERDICT_END);
    /* They hear only rank 0: the others' silence means nothing to them. */
    finish(NULL);
    begin(2, 60);
    assert_int_equal(live(600, 5, 15, true, WAITING), PD_VERDICT_WELL);
}

/* All were suspended, and the first to wake finds nobody's beats yet. */
static void time_in_which_a_rank_is_stopped_does_not_count(void **state)
{
    (void)state;
    begin(0, 60);
    pd_watch_pass(&watch, 3600, false);
    assert_int_equal(pd_watch_judge(&watch, WAITING, text, sizeof(text)), PD_VERDICT_WELL);
    assert_int_equal(live(60, 15, 15, true, WAITING), PD_VERDICT_WELL);
}

static void told_to_end_it_says_who_is_silent(void **state)
{
    (void)state;
    begin(0, 60);
    pd_beat beat = {.moves = 7, .waiting = true};
    for (int i = 0; i < 10; i++) {
        pd_watch_pass(&watch, 0.2, i >= 2);
        for (int rank = 0; rank < SIZE; rank++)
            if (rank != 2 || i < 2)
                pd_watch_hear(&watch, rank, beat);
        pd_verdict verdict = pd_watch_judge(&watch, WAITING, text, sizeof(text));
        /* Within a second, and once. */
        assert_int_equal(verdict, i == 5 ? PD_VERDICT_WARN : PD_VERDICT_WELL);
    }
    assert_string_equal(
        text, "rank 0 on node1: epoch 2, step 17: was told to end while it waits for the sum of "
              "the gradients, and rank 2 on node2 does not answer: see what became of it, then run "
              "it again (train: with --resume)");
}

static void told_to_end_among_the_living_it_says_nothing(void **state)
{
    (void)state;
    begin(0, 60);
    for (int i = 0; i < 50; i++) {
        pd_watch_pass(&watch, 0.2, true);
        for (int rank = 0; rank < SIZE; rank++)
            pd_watch_hear(&watch, rank, (pd_beat){.waiting = true});
        assert_int_equal(pd_watch_judge(&watch, WAITING, text, sizeof(text)), PD_VERDICT_WELL);
    }
}

static void after_the_word_of_an_end_nobody_else_speaks(void **state)
{
    (void)state;
    begin(1, 60);
    pd_watch_hear(&watch, 0, (pd_beat){.ending = true});
    assert_int_equal(live(100, 14, 15, false, WAITING), PD_VERDICT_WELL);
}

static void it_can_be_off(void **state)
{
    (void)state;
    begin(0, 0);
    assert_int_equal(live(3600, 1, 15, false, WAITING), PD_VERDICT_WELL);
}

static void long_lists_end(void **state)
{
    (void)state;
    enum { MANY = 4096 };
    pd_host_name *hosts = calloc(MANY, sizeof(*hosts));
    assert_non_null(hosts);
    for (int i = 0; i < MANY; i++)
        memset(hosts[i], 'n', PD_HOST_MAX - 1);
    assert_int_equal(pd_watch_create(&watch, 0, MANY, (const pd_host_name *)hosts), PD_OK);
    watch.seconds = 10;
    for (int i = 0; i < 8; i++)
        pd_watch_pass(&watch, 1, false);
    assert_int_equal(pd_watch_judge(&watch, WAITING, text, sizeof(text)), PD_VERDICT_END);
    assert_non_null(strstr(text, " and 4087 more have not answered"));
    char brief[32];
    pd_watch_judge(&watch, WAITING, brief, sizeof(brief));
    assert_int_equal(strlen(brief), sizeof(brief) - 1);
    free(hosts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_silent_rank_ends_all_in_time, finish),
        cmocka_unit_test_teardown(all_of_a_host_are_named, finish),
        cmocka_unit_test_teardown(work_is_no_silence, finish),
        cmocka_unit_test_teardown(waiting_together_is_an_end, finish),
        cmocka_unit_test_teardown(rank_1_speaks_for_rank_0_and_then_the_others, finish),
        cmocka_unit_test_teardown(time_in_which_a_rank_is_stopped_does_not_count, finish),
        cmocka_unit_test_teardown(told_to_end_it_says_who_is_silent, finish),
        cmocka_unit_test_teardown(told_to_end_among_the_living_it_says_nothing, finish),
        cmocka_unit_test_teardown(after_the_word_of_an_end_nobody_else_speaks, finish),
        cmocka_unit_test_teardown(it_can_be_off, finish),
        cmocka_unit_test_teardown(long_lists_end, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
