/* Work ahead: every item is made once, is complete when its block is handed over, and never
 * replaces one that is in use; the next block is made meanwhile; stopping early. */
#include "evaluate/ahead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { ITEMS_MAX = 7, BLOCKS = 40 };

typedef struct workshop {
    int64_t values[PD_AHEAD_PLACES][ITEMS_MAX];
    _Atomic int64_t used; /* the block that the caller uses */
    atomic_int made[BLOCKS];
    atomic_bool early; /* a block was begun before its place was free */
} workshop;

/* Blocks of 0 to 7 items. */
static int count_items(void *context, int64_t block)
{
    (void)context;
    return (int)(block * 5 % (ITEMS_MAX + 1));
}

static int64_t value_of(int64_t block, int item)
{
    return block * 100 + item;
}

static void pause_for(long microseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000 * microseconds}, NULL);
}

static void make_item(void *context, int64_t block, int item)
{
    workshop *shop = context;
    if (block > shop->used + 1)
        shop->early = true;
    pause_for(block * 37 % 5 * 50);
    shop->values[block % PD_AHEAD_PLACES][item] = value_of(block, item);
    shop->made[block]++;
}

static pd_ahead *start(workshop *shop, int threads)
{
    const pd_ahead_options options = {.threads = threads,
                                      .blocks = BLOCKS,
                                      .context = shop,
                                      .count = count_items,
                                      .make = make_item};
    pd_ahead *ahead;
    assert_int_equal(pd_ahead_start(&ahead, &options), PD_OK);
    return ahead;
}

static void items_are_complete_and_not_replaced(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 5};
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        workshop shop = {.used = 0};
        pd_ahead *ahead = start(&shop, threads[t]);
        for (int64_t block = 0; block < BLOCKS; block++) {
            shop.used = block;
            pd_ahead_next(ahead);
            for (int repeat = 0; repeat < 2; repeat++) { /* before and after others had time */
                for (int i = 0; i < count_items(NULL, block); i++)
                    assert_int_equal(shop.values[block % PD_AHEAD_PLACES][i], value_of(block, i));
                pause_for(block % 3 * 100);
            }
            assert_int_equal(shop.made[block], count_items(NULL, block));
        }
        pd_ahead_stop(&ahead);
        assert_null(ahead);
        assert_false(shop.early);
        for (int64_t block = 0; block < BLOCKS; block++)
            assert_int_equal(shop.made[block], count_items(NULL, block));
    }
}

/* The caller only waits, and the next block, of 7 items, is made, but none after it. */
static void the_next_block_is_made_meanwhile(void **state)
{
    (void)state;
    workshop shop = {.used = 0};
    pd_ahead *ahead = start(&shop, 2);
    for (int64_t block = 0; block < 3; block++) {
        shop.used = block;
        pd_ahead_next(ahead);
    }
    assert_int_equal(count_items(NULL, 3), 7);
    for (int i = 0; i < 10000 && shop.made[3] < 7; i++)
        pause_for(1000);
    assert_int_equal(shop.made[3], 7);
    pause_for(2000);
    assert_int_equal(shop.made[4], 0);
    pd_ahead_stop(&ahead);
}

static void stopping_early_ends_the_threads(void **state)
{
    (void)state;
    for (int blocks = 0; blocks < 4; blocks++) {
        workshop shop = {.used = 0};
        pd_ahead *ahead = start(&shop, 3);
        for (int64_t block = 0; block < blocks; block++) {
            shop.used = block;
            pd_ahead_next(ahead);
        }
        pd_ahead_stop(&ahead);
        int made = shop.made[1] + shop.made[2] + shop.made[3];
        pause_for(1000);
        assert_int_equal(shop.made[1] + shop.made[2] + shop.made[3], made);
    }
    pd_ahead *none = NULL;
    pd_ahead_stop(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_complete_and_not_replaced),
        cmocka_unit_test(the_next_block_is_made_meanwhile),
        cmocka_unit_test(stopping_early_ends_the_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
