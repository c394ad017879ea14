/* The mean of several models' scores and heat maps. cli/test_ensemble tests the files and commands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evaluate/mean.h"
#include "pneumo/evaluate/heatmap.h"

#include <math.h>
#include <stdlib.h>

static pd_score score_of(int64_t id, double logit, int predicted)
{
    pd_score score = {
        .id = id, .logit = logit, .predicted = predicted, .positive = id % 2, .loss = 1};
    for (int view = 0; view < PD_VIEWS_MAX; view++)
        score.views[view] = logit + view;
    return score;
}

static void test_calibrate(void **state)
{
    (void)state;
    pd_score scores[] = {score_of(1, 2, 1), score_of(2, -4, 0)};
    pd_scores_calibrate(scores, 2, 4, 2);
    assert_true(scores[0].logit == (2 + 3) / 2.0 / 4);
    assert_true(scores[1].logit == (-4 - 3) / 2.0 / 4);
    assert_true(scores[1].views[0] == scores[1].logit);
    assert_true(isnan(scores[0].views[1]));
    /* The result is the probability of the single model. */
    pd_score alone = score_of(1, 2, 1);
    pd_scores_decide(&alone, 1, 4, 2);
    pd_scores_decide(scores, 1, 1, 1);
    assert_true(alone.probability == scores[0].probability);
}

/* The mean of the logits; the most frequent class, the lowest of several. */
static void test_mean_of_an_image(void **state)
{
    (void)state;
    const pd_score a = score_of(7, 1, 2), b = score_of(7, -2.5, 1), c = score_of(7, 6, 2);
    const pd_score *const all[] = {&a, &b, &c};
    pd_score mean = pd_score_mean(all, 3);
    assert_true(mean.logit == (1 - 2.5 + 6) / 3);
    assert_true(mean.views[0] == mean.logit);
    assert_int_equal(mean.id, 7);
    assert_int_equal(mean.positive, 1);
    assert_int_equal(mean.predicted, 2);
    assert_true(isnan(mean.loss));
    assert_int_equal(pd_score_mean(all, 2).predicted, 1);
    assert_int_equal(pd_score_mean(all + 1, 1).predicted, 1);
}

/* Each image is the mean over the lists that contain it, in any order. */
static void test_mean_of_lists(void **state)
{
    (void)state;
    pd_score first[] = {score_of(9, 1, 1), score_of(3, 2, 1)};
    pd_score second[] = {score_of(4, 5, 0)};
    pd_score third[] = {score_of(3, 6, 0), score_of(4, 1, 0), score_of(11, 8, 1)};
    pd_score *const lists[] = {first, second, NULL, third};
    const size_t counts[] = {2, 1, 0, 3};
    const struct {
        int64_t id;
        double logit;
    } expected[] = {{3, 4}, {4, 3}, {9, 1}, {11, 8}};
    pd_score *mean;
    size_t count;
    assert_int_equal(pd_scores_mean(&mean, &count, lists, counts, 4), PD_OK);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(mean[i].id, expected[i].id);
        assert_true(mean[i].logit == expected[i].logit);
    }
    free(mean);
    assert_int_equal(pd_scores_mean(&mean, &count, lists + 2, counts + 2, 1), PD_OK);
    assert_int_equal(count, 0);
    free(mean);
}

static void test_mean_of_maps_of_one_size(void **state)
{
    (void)state;
    float a[] = {1, 2, 3, 4}, b[] = {8, 0, 0, 4};
    const pd_heatmap maps[] = {{.height = 2, .width = 2, .values = a},
                               {.height = 2, .width = 2, .values = b}};
    const double weights[] = {1, 0.5};
    const float expected[] = {2.5f, 1, 1.5f, 3};
    pd_heatmap mean;
    assert_int_equal(pd_heatmap_mean(&mean, maps, weights, 2), PD_OK);
    assert_int_equal(mean.height, 2);
    assert_memory_equal(mean.values, expected, sizeof expected);
    assert_true(mean.peak_y > 0.5 && mean.peak_x > 0.5);
    assert_true(mean.border > 0.3 && mean.border < 0.4); /* 1 - 0.8 * 0.8 */
    pd_heatmap_free(&mean);
}

/* A coarse map counts as much as a fine one of the same sum. */
static void test_mean_of_maps_of_two_sizes(void **state)
{
    (void)state;
    enum { COARSE = 4, FINE = 8 };
    float coarse[COARSE * COARSE], fine[FINE * FINE] = {0};
    for (int i = 0; i < COARSE * COARSE; i++)
        coarse[i] = 4;
    fine[3 * FINE + 5] = 64;
    const pd_heatmap maps[] = {{.height = COARSE, .width = COARSE, .values = coarse},
                               {.height = FINE, .width = FINE, .values = fine}};
    const double weights[] = {1, 1};
    pd_heatmap mean;
    assert_int_equal(pd_heatmap_mean(&mean, maps, weights, 2), PD_OK);
    assert_int_equal(mean.height, FINE);
    assert_int_equal(mean.width, FINE);
    for (int i = 0; i < FINE * FINE; i++)
        assert_float_equal(mean.values[i], i == 3 * FINE + 5 ? 32.5 : 0.5, 1e-4);
    assert_float_equal(mean.peak_y, 3.5 / FINE, 0.05);
    assert_float_equal(mean.peak_x, 5.5 / FINE, 0.05);
    pd_heatmap_free(&mean);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calibrate),
        cmocka_unit_test(test_mean_of_an_image),
        cmocka_unit_test(test_mean_of_lists),
        cmocka_unit_test(test_mean_of_maps_of_one_size),
        cmocka_unit_test(test_mean_of_maps_of_two_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
