/* Mixup: the pairs, the distribution of their shares, and the result of blending. */
#include "pneumo/data/mixup.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 9 };

static void every_sample_is_in_one_pair_at_most(void **state)
{
    (void)state;
    for (int count = 0; count <= COUNT; count++) {
        pd_mixup_pair pairs[COUNT];
        int64_t order[COUNT];
        int used[COUNT] = {0};
        pd_mixup_draw(pairs, order, count, 0.4, 1, 5, 2);
        for (int i = 0; i < count / 2; i++) {
            assert_in_range(pairs[i].a, 0, count - 1);
            assert_in_range(pairs[i].b, 0, count - 1);
            assert_true(pairs[i].share >= 0.5f && pairs[i].share <= 1);
            used[pairs[i].a]++;
            used[pairs[i].b]++;
        }
        int alone = 0;
        for (int i = 0; i < count; i++) {
            assert_true(used[i] <= 1);
            alone += used[i] == 0;
        }
        assert_int_equal(alone, count % 2);
    }
}

/* Shares s and 1 - s describe the same pair, so the distribution is folded at 1/2. The variance of
 * Beta(a, a) is 1 / (4 (2 a + 1)), and folding keeps it as the mean square distance from 1/2. */
static void shares_follow_the_beta_distribution(void **state)
{
    (void)state;
    const double alphas[] = {1, 0.4, 0.2, 0.01};
    enum { STEPS = 20000 };
    for (int c = 0; c < 4; c++) {
        double squares = 0;
        int first_before = 0;
        for (int64_t step = 0; step < STEPS; step++) {
            pd_mixup_pair pair;
            int64_t order[2];
            pd_mixup_draw(&pair, order, 2, alphas[c], 1, step, 0);
            squares += pow((double)pair.share - 0.5, 2);
            first_before += pair.a == 0;
        }
        assert_true(fabs(squares / STEPS - 1 / (4 * (2 * alphas[c] + 1))) < 0.003);
        assert_in_range(first_before, STEPS / 2 - 400, STEPS / 2 + 400);
    }
}

/* Drawing terminates even if the powers underflow. */
static void drawing_terminates_for_tiny_alphas(void **state)
{
    (void)state;
    const double alphas[] = {1e-5, 1e-12, 4.9e-324};
    for (int c = 0; c < 3; c++) {
        for (int64_t step = 0; step < 100; step++) {
            pd_mixup_pair pair;
            int64_t order[2];
            pd_mixup_draw(&pair, order, 2, alphas[c], 1, step, 0);
            assert_true(pair.share >= 0.5f && pair.share <= 1);
        }
    }
}

static void drawing_is_a_pure_function(void **state)
{
    (void)state;
    pd_mixup_pair first[COUNT / 2], other[COUNT / 2];
    int64_t order[COUNT];
    memset(first, 0, sizeof first);
    memset(other, 0, sizeof other);
    pd_mixup_draw(first, order, COUNT, 0.4, 1, 5, 2);
    pd_mixup_draw(other, order, COUNT, 0.4, 1, 5, 2);
    assert_memory_equal(first, other, sizeof first);
    pd_mixup_draw(other, order, COUNT, 0.4, 2, 5, 2);
    assert_memory_not_equal(first, other, sizeof first);
    pd_mixup_draw(other, order, COUNT, 0.4, 1, 6, 2);
    assert_memory_not_equal(first, other, sizeof first);
    pd_mixup_draw(other, order, COUNT, 0.4, 1, 5, 3);
    assert_memory_not_equal(first, other, sizeof first);
}

/* a and b exchange equal parts. */
static void blending_is_symmetric(void **state)
{
    (void)state;
    float a[] = {1, 0, 10, -2}, b[] = {0, 0, 20, 2};
    pd_mixup_blend(a, b, 4, 0.75f);
    const float mixed_a[] = {0.75f, 0, 12.5f, -1}, mixed_b[] = {0.25f, 0, 17.5f, 1};
    assert_memory_equal(a, mixed_a, sizeof a);
    assert_memory_equal(b, mixed_b, sizeof b);
    float c[] = {3}, d[] = {5};
    pd_mixup_blend(c, d, 1, 1);
    assert_true(c[0] == 3 && d[0] == 5);
}

/* A normal image of weight 3 and a pneumonia image of weight 1: for any output of the network, the
 * loss of a mixed sample is the mean of the two weighted losses. */
static void targets_include_weights(void **state)
{
    (void)state;
    float t_a = 0, w_a = 3, t_b = 1, w_b = 1;
    pd_mixup_blend_targets((pd_mixup_target){&t_a, &w_a}, (pd_mixup_target){&t_b, &w_b}, 0.75f);
    assert_true(fabsf(w_a - 2.5f) < 1e-6f && fabsf(w_b - 1.5f) < 1e-6f);
    for (double p = 0.1; p < 1; p += 0.2) {
        double of_a = 3 * -log(1 - p), of_b = -log(p); /* the originals */
        double mixed_a = (double)w_a * -((double)t_a * log(p) + (1 - (double)t_a) * log(1 - p));
        double mixed_b = (double)w_b * -((double)t_b * log(p) + (1 - (double)t_b) * log(1 - p));
        assert_true(fabs(mixed_a - (0.75 * of_a + 0.25 * of_b)) < 1e-5);
        assert_true(fabs(mixed_b - (0.25 * of_a + 0.75 * of_b)) < 1e-5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_is_in_one_pair_at_most),
        cmocka_unit_test(shares_follow_the_beta_distribution),
        cmocka_unit_test(drawing_terminates_for_tiny_alphas),
        cmocka_unit_test(drawing_is_a_pure_function),
        cmocka_unit_test(blending_is_symmetric),
        cmocka_unit_test(targets_include_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
