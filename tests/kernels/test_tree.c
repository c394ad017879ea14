/* The lane tree: every partition of the lanes gives the bits of a naive recursive sum. */
#include "pneumo/base/random.h"
#include "pneumo/kernels/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LANES = 17, LENGTH = 37 };

/* Values of many magnitudes, so that a different order of additions gives different bits. */
static void fill(float *parts, size_t count)
{
    pd_random random = pd_random_stream(4, PD_PURPOSE_TEST, 0, count);
    for (size_t i = 0; i < count; i++)
        parts[i] = pd_random_normal(&random) * (float)(1 << pd_random_below(&random, 20));
}

/* The definition: the sum of lanes [first, first + width) below `lanes`; width is a power of 2. */
static float naive(const float *parts, size_t stride, size_t j, int lanes, int first, int width)
{
    if (width == 1)
        return parts[(size_t)first * stride + j];
    float left = naive(parts, stride, j, lanes, first, width / 2);
    if (first + width / 2 >= lanes)
        return left;
    return left + naive(parts, stride, j, lanes, first + width / 2, width / 2);
}

static void slices_cover_all_lanes(void **state)
{
    (void)state;
    for (int lanes = 1; lanes <= LANES; lanes++) {
        for (int ranks = 1; ranks <= lanes; ranks++) {
            int next = 0;
            for (int rank = 0; rank < ranks; rank++) {
                int first, count;
                pd_tree_slice(lanes, ranks, rank, &first, &count);
                assert_int_equal(first, next);
                assert_in_range(count, lanes / ranks, (lanes + ranks - 1) / ranks);
                next = first + count;
            }
            assert_int_equal(next, lanes);
        }
    }
}

/* Whether [first, first + 2^level), cut off at `lanes`, is a node of the tree within [low, high).
 */
static bool is_node_within(int lanes, int first, int level, int low, int high)
{
    int end = first + (1 << level) < lanes ? first + (1 << level) : lanes;
    return first % (1 << level) == 0 && first >= low && end <= high;
}

static void subtrees_are_maximal(void **state)
{
    (void)state;
    for (int lanes = 1; lanes <= LANES; lanes++) {
        for (int first = 0; first < lanes; first++) {
            for (int count = 1; first + count <= lanes; count++) {
                pd_subtree subtrees[PD_SUBTREES_MAX];
                int found = pd_tree_subtrees(lanes, first, count, subtrees);
                assert_in_range(found, 1, PD_SUBTREES_MAX);
                int next = first;
                for (int i = 0; i < found; i++) {
                    const pd_subtree *node = &subtrees[i];
                    assert_int_equal(node->first, next);
                    assert_true(is_node_within(lanes, next, node->level, first, first + count));
                    next += node->count;
                    int end = node->first + (1 << node->level);
                    assert_int_equal(next, end < lanes ? end : lanes);
                    /* The parent would extend beyond the run, or adds no lanes. */
                    int level = node->level + 1;
                    int parent = node->first >> level << level;
                    int parent_end = parent + (1 << level) < lanes ? parent + (1 << level) : lanes;
                    assert_true(!is_node_within(lanes, parent, level, first, first + count) ||
                                parent_end - parent == node->count);
                }
                assert_int_equal(next, first + count);
            }
        }
    }
}

static void subtrees_stay_within_limits(void **state)
{
    (void)state;
    pd_subtree subtrees[PD_SUBTREES_MAX];
    assert_int_equal(pd_tree_subtrees(PD_LANES_MAX, 0, PD_LANES_MAX, subtrees), 1);
    assert_int_equal(subtrees[0].count, PD_LANES_MAX);
    assert_in_range(pd_tree_subtrees(PD_LANES_MAX, 1, PD_LANES_MAX - 2, subtrees), 1,
                    PD_SUBTREES_MAX);
}

/* Folds `lanes` lanes as `ranks` ranks would; the lanes' vectors of n floats are `stride` apart. */
static void fold_over_ranks(int lanes, int ranks, const float *source, size_t stride, size_t n,
                            float *out)
{
    size_t count = (size_t)lanes * stride;
    float *parts = malloc(count * sizeof *parts);
    assert_non_null(parts);
    memcpy(parts, source, count * sizeof *parts);
    pd_subtree subtrees[LANES];
    float *sums[LANES];
    int all = 0;
    for (int rank = 0; rank < ranks; rank++) {
        int first, owned;
        pd_tree_slice(lanes, ranks, rank, &first, &owned);
        pd_subtree own[PD_SUBTREES_MAX];
        int found = pd_tree_subtrees(lanes, first, owned, own);
        for (int i = 0; i < found; i++) {
            float *at = parts + (size_t)own[i].first * stride;
            pd_tree_fold_lanes(&own[i], at, stride, n, at);
            subtrees[all] = own[i];
            sums[all++] = at;
        }
    }
    pd_subtree root = {.count = lanes};
    pd_tree_fold_subtrees(&root, subtrees, all, sums, n, out);
    free(parts);
}

static void any_partition_gives_the_same_bits(void **state)
{
    (void)state;
    enum { STRIDE = LENGTH + 3 };
    float source[LANES * STRIDE], out[LENGTH];
    fill(source, LANES * STRIDE);
    for (int lanes = 1; lanes <= LANES; lanes++) {
        for (int ranks = 1; ranks <= lanes; ranks++) {
            fold_over_ranks(lanes, ranks, source, STRIDE, LENGTH, out);
            for (size_t j = 0; j < LENGTH; j++) {
                float expected = naive(source, STRIDE, j, lanes, 0, 32);
                assert_memory_equal(&out[j], &expected, sizeof expected);
            }
        }
    }
}

static void long_vectors_give_the_same_bits(void **state)
{
    (void)state;
    enum { LONG = 40001, LONG_LANES = 7 };
    float *source = malloc(sizeof *source * LONG * LONG_LANES);
    float *out = malloc(sizeof *out * LONG);
    assert_non_null(source);
    assert_non_null(out);
    fill(source, LONG * LONG_LANES);
    for (int ranks = 1; ranks <= LONG_LANES; ranks += 2) {
        fold_over_ranks(LONG_LANES, ranks, source, LONG, LONG, out);
        for (size_t j = 0; j < LONG; j++) {
            float expected = naive(source, LONG, j, LONG_LANES, 0, 8);
            assert_memory_equal(&out[j], &expected, sizeof expected);
        }
    }
    free(source);
    free(out);
}

static void fold_of_lanes_writes_to_another_array(void **state)
{
    (void)state;
    float parts[] = {1, 10, 2, 20, 4, 40};
    float out[2];
    pd_subtree all = {.first = 0, .count = 3, .level = 2};
    pd_tree_fold_lanes(&all, parts, 2, 2, out);
    assert_float_equal(out[0], 7, 0);
    assert_float_equal(out[1], 70, 0);
}

static void doubles_fold_in_the_same_order(void **state)
{
    (void)state;
    for (int lanes = 1; lanes <= LANES; lanes++) {
        /* Adding 1 to 2^53 has no effect, so the result depends on the order. */
        double parts[LANES][2], out[2];
        for (int lane = 0; lane < lanes; lane++) {
            parts[lane][0] = lane == 0 ? 0x1p53 : 1;
            parts[lane][1] = lane;
        }
        pd_tree_fold_doubles(lanes, &parts[0][0], 2, out);
        double expected = 0x1p53;
        for (int level = 0; 1 << level < lanes; level++) {
            int width = 1 << level;
            expected += width < lanes - width ? width : lanes - width;
        }
        assert_true(out[0] == expected);
        assert_true(out[1] == lanes * (lanes - 1) / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_cover_all_lanes),
        cmocka_unit_test(subtrees_are_maximal),
        cmocka_unit_test(subtrees_stay_within_limits),
        cmocka_unit_test(any_partition_gives_the_same_bits),
        cmocka_unit_test(long_vectors_give_the_same_bits),
        cmocka_unit_test(fold_of_lanes_writes_to_another_array),
        cmocka_unit_test(doubles_fold_in_the_same_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
