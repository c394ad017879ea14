/* How a reduction divides its vector. */
#include "comm/reduction_layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The pieces of all groups tile the slices of all members, which tile the bucket; what arrives is a
 * piece of each node of the other groups and fits into the memory that is reserved for it. */
static void check_bucket(const pd_reduction_layout *layout, const pd_bucket_layout *bucket)
{
    size_t groups = (size_t)layout->groups, sent = 0, arrived = 0;
    for (size_t group = 0; group < groups; group++) {
        size_t offset = (size_t)bucket->offsets[group] / sizeof(float);
        assert_int_equal(offset, bucket->slice + sent);
        sent += (size_t)bucket->sizes[group] / sizeof(float);
    }
    assert_int_equal(sent, bucket->slice_size);
    assert_int_equal((size_t)bucket->sizes[layout->group], bucket->piece_size * sizeof(float));
    for (size_t i = 0; i < groups * (size_t)layout->exchanges; i++) {
        size_t size = (size_t)bucket->arrival_sizes[i];
        assert_true((size_t)bucket->arrival_offsets[i] + size <= layout->arrivals * sizeof(float));
        arrived += size;
    }
    assert_int_equal(arrived, (size_t)(layout->all_nodes - layout->node_count) *
                                  bucket->piece_size * sizeof(float));
}

static void check(int ranks, int group_size, size_t count, size_t bucket)
{
    size_t begin = 0;
    for (int rank = 0; rank < ranks; rank++) {
        pd_reduction_layout layout;
        assert_int_equal(
            pd_reduction_layout_create(&layout, 2 * ranks, ranks, rank, group_size, count, bucket),
            PD_OK);
        check_bucket(&layout, &layout.whole);
        check_bucket(&layout, &layout.last);
        if (rank < group_size) {
            assert_int_equal(layout.last.slice, begin);
            begin += layout.last.slice_size;
        }
        pd_reduction_layout_release(&layout);
    }
    assert_int_equal(begin, (count - 1) % bucket + 1);
}

static void test_pieces(void **state)
{
    (void)state;
    for (int ranks = 2; ranks <= 16; ranks++)
        for (int group_size = 1; group_size < ranks; group_size++)
            if (ranks % group_size == 0)
                for (size_t bucket = 1; bucket <= 24; bucket++)
                    for (size_t more = 0; more < bucket; more++)
                        check(ranks, group_size, 2 * bucket + more, bucket);
}

/* The last bucket is one float shorter than the others, and its piece of rank 3 is one larger. */
static void test_shorter_bucket_with_larger_piece(void **state)
{
    (void)state;
    pd_reduction_layout layout;
    const size_t bucket = 1 << 18;
    assert_int_equal(pd_reduction_layout_create(&layout, 8, 6, 3, 1, 2 * bucket - 1, bucket),
                     PD_OK);
    assert_int_equal(layout.whole.piece_size, 43690);
    assert_int_equal(layout.last.piece_size, 43691);
    check_bucket(&layout, &layout.last);
    pd_reduction_layout_release(&layout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_shorter_bucket_with_larger_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
