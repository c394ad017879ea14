/* Memory: zeroed and aligned blocks, and arrays that grow. */
#include "pneumo/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(bytes[i], 0);
}

/* Also blocks of several huge pages. */
static void blocks_are_zeroed_and_aligned(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 64, 1000, 5 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *block;
        assert_int_equal(pd_alloc(&block, sizes[i], 1), PD_OK);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        assert_zero(block, sizes[i]);
        free(block);
    }
}

static void too_many_items_are_an_error(void **state)
{
    (void)state;
    int64_t item, *block = &item;
    assert_int_equal(pd_alloc(&block, SIZE_MAX / sizeof *block + 1, sizeof *block), PD_FAILED);
    assert_null(block);
    assert_true(pd_error_is_system());
    assert_non_null(strstr(pd_error_message(), "exceed the address space"));
}

/* Appends one item at a time. They stay, what is behind them is zeroed, and the array moves a few
 * times only. */
static void appending_keeps_items(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    int64_t *items = NULL;
    size_t capacity = 0;
    int moves = 0;
    for (size_t i = 0; i < COUNT; i++) {
        size_t before = capacity;
        assert_int_equal(pd_grow(&items, &capacity, i + 1, sizeof *items), PD_OK);
        assert_true(capacity > i);
        if (capacity != before) {
            assert_true(capacity >= 2 * before);
            assert_int_equal((uintptr_t)items % 64, 0);
            assert_zero((const unsigned char *)(items + i), (capacity - i) * sizeof *items);
            moves++;
        }
        items[i] = (int64_t)(i * i);
    }
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(items[i], i * i);
    assert_in_range(moves, 2, 17);
    free(items);
}

/* There is room at once for any number of items, of any size. */
static void room_is_made_for_many_items(void **state)
{
    (void)state;
    const struct {
        size_t count, size;
    } cases[] = {{1, 1}, {1, 4096}, {1, 10000}, {5000, 1}, {3000, 24}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char *items = NULL;
        size_t capacity = 0;
        assert_int_equal(pd_grow(&items, &capacity, cases[i].count, cases[i].size), PD_OK);
        assert_true(capacity >= cases[i].count);
        assert_zero(items, capacity * cases[i].size);
        free(items);
    }
}

static void an_array_with_room_stays(void **state)
{
    (void)state;
    char *items = NULL;
    size_t capacity = 0;
    assert_int_equal(pd_grow(&items, &capacity, 0, 1), PD_OK);
    assert_null(items);
    assert_int_equal(capacity, 0);
    assert_int_equal(pd_grow(&items, &capacity, 1, 1), PD_OK);
    const char *before = items;
    size_t room = capacity;
    for (size_t count = 0; count <= room; count++)
        assert_int_equal(pd_grow(&items, &capacity, count, 1), PD_OK);
    assert_ptr_equal(items, before);
    assert_int_equal(capacity, room);
    free(items);
}

static void a_failure_leaves_the_array(void **state)
{
    (void)state;
    const size_t counts[] = {SIZE_MAX, SIZE_MAX / sizeof(int32_t), SIZE_MAX / sizeof(int32_t) + 1};
    int32_t *items = NULL;
    size_t capacity = 0;
    assert_int_equal(pd_grow(&items, &capacity, 1, sizeof *items), PD_OK);
    items[0] = 7;
    const int32_t *before = items;
    size_t room = capacity;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        assert_int_equal(pd_grow(&items, &capacity, counts[i], sizeof *items), PD_FAILED);
        assert_true(pd_error_is_system());
        assert_non_null(strstr(pd_error_message(), "exceed the address space"));
        assert_ptr_equal(items, before);
        assert_int_equal(items[0], 7);
        assert_int_equal(capacity, room);
    }
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zeroed_and_aligned),
        cmocka_unit_test(too_many_items_are_an_error),
        cmocka_unit_test(appending_keeps_items),
        cmocka_unit_test(room_is_made_for_many_items),
        cmocka_unit_test(an_array_with_room_stays),
        cmocka_unit_test(a_failure_leaves_the_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
