/* Lanes: equal shares of the classes, every sample in one lane, as often as its weight says, and
 * orders that depend only on seed and epoch. */
#include "pneumo/data/lanes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 203, NORMALS = 61 };

static int64_t ids[COUNT];
static int32_t labels[COUNT];

static int fill(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        ids[i] = 3 * i + 7;
        labels[i] = i % 10 >= 3 || i >= 200; /* 60 and one more below */
    }
    labels[202] = 0;
    return 0;
}

static const pd_lane_samples all = {.count = COUNT, .classes = 2, .ids = ids, .labels = labels};

static pd_lanes *make(int lanes, bool take_turns, int epoch_images)
{
    const pd_sampling sampling = {.lanes = lanes,
                                  .batch = 5 * lanes,
                                  .epoch_images = epoch_images,
                                  .balance = take_turns ? PD_BALANCE_OVERSAMPLE : PD_BALANCE_NONE};
    pd_lanes *out;
    assert_int_equal(pd_lanes_create(&out, &sampling, 11, &all), PD_OK);
    return out;
}

static int label_of(int64_t id)
{
    return labels[(id - 7) / 3];
}

static void every_sample_is_in_one_lane(void **state)
{
    (void)state;
    pd_lanes *lanes = make(8, false, 0);
    int seen[COUNT] = {0};
    for (int lane = 0; lane < 8; lane++) {
        const int64_t *own;
        size_t count = pd_lanes_samples(lanes, lane, &own);
        int normals = 0;
        assert_in_range(count, COUNT / 8, COUNT / 8 + 1);
        for (size_t i = 0; i < count; i++) {
            seen[(own[i] - 7) / 3]++;
            normals += label_of(own[i]) == 0;
        }
        assert_in_range(normals, NORMALS / 8, NORMALS / 8 + 1);
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(seen[i], 1);
    pd_lanes_destroy(&lanes);
    assert_null(lanes);
}

static void an_epoch_takes_each_sample_about_once(void **state)
{
    (void)state;
    pd_lanes *lanes = make(4, false, 0);
    int64_t steps = pd_lanes_epoch_steps(lanes);
    assert_int_equal(steps, (COUNT + 19) / 20);
    int taken[COUNT] = {0};
    for (int64_t step = 0; step < steps; step++)
        for (int lane = 0; lane < 4; lane++) {
            pd_pick picks[5];
            assert_int_equal(pd_lanes_batch(lanes, 0, step, lane, picks), PD_OK);
            for (int i = 0; i < 5; i++) {
                int index = (int)(picks[i].id - 7) / 3;
                assert_int_equal(picks[i].repeat, (uint32_t)taken[index]);
                taken[index]++;
            }
        }
    for (int i = 0; i < COUNT; i++)
        assert_in_range(taken[i], 1, 2);
    pd_pick picks[5];
    assert_int_equal(pd_lanes_batch(lanes, 0, steps, 0, picks), PD_FAILED);
    pd_lanes_destroy(&lanes);
}

static void classes_take_turns(void **state)
{
    (void)state;
    pd_lanes *lanes = make(4, true, 400);
    assert_int_equal(pd_lanes_epoch_steps(lanes), 20);
    int normals = 0;
    for (int64_t step = 0; step < 20; step++)
        for (int lane = 0; lane < 4; lane++) {
            pd_pick picks[5];
            assert_int_equal(pd_lanes_batch(lanes, 2, step, lane, picks), PD_OK);
            for (int i = 0; i < 5; i++)
                normals += label_of(picks[i].id) == 0;
        }
    assert_int_equal(normals, 200);
    pd_lanes_destroy(&lanes);
}

/* Over the rounds of one stream, a sample is drawn in each floor or ceiling of its weight over the
 * mean times, and on average exactly that often; no two uses of an epoch have the same number. */
static void weights_say_how_often(void **state)
{
    (void)state;
    enum { ROUNDS = 400, OWN = 61 };
    double weights[COUNT], sum = 0;
    for (int i = 0; i < COUNT; i++)
        weights[i] = 0.25 + i * 37 % 101 / 20.0;
    for (int i = 0; i < COUNT; i++)
        sum += labels[i] == 0 ? weights[i] : 0;
    pd_lane_samples weighted = all;
    weighted.weights = weights;
    /* One lane, and as many picks a step as two rounds of the 61 normals. */
    const pd_sampling sampling = {.lanes = 1,
                                  .batch = 2 * OWN,
                                  .epoch_images = 2 * OWN * ROUNDS,
                                  .balance = PD_BALANCE_SHAPE};
    pd_lanes *lanes;
    assert_int_equal(pd_lanes_create(&lanes, &sampling, 5, &weighted), PD_OK);
    double total[COUNT] = {0};
    for (int64_t step = 0; step < ROUNDS; step++) {
        pd_pick picks[2 * OWN];
        int round[COUNT] = {0}, normals = 0;
        assert_int_equal(pd_lanes_batch(lanes, 1, step, 0, picks), PD_OK);
        for (int i = 0; i < 2 * OWN; i++) {
            int index = (int)(picks[i].id - 7) / 3;
            if (labels[index] != 0)
                continue;
            assert_int_equal(picks[i].repeat, step * OWN + normals); /* never twice in the epoch */
            round[index]++;
            normals++;
        }
        assert_int_equal(normals, OWN);
        for (int i = 0; i < COUNT; i++) {
            double expected = weights[i] * OWN / sum;
            total[i] += round[i];
            if (labels[i] == 0)
                assert_in_range(round[i], (int)floor(expected - 1e-9), (int)ceil(expected + 1e-9));
        }
    }
    for (int i = 0; i < COUNT; i++)
        if (labels[i] == 0) /* the standard error of a round's part is at most 0.5 */
            assert_true(fabs(total[i] / ROUNDS - weights[i] * OWN / sum) < 5 * 0.5 / sqrt(ROUNDS));
    pd_lanes_destroy(&lanes);
}

/* Equal weights give each sample once a round. */
static void equal_weights_change_nothing(void **state)
{
    (void)state;
    double weights[COUNT];
    for (int i = 0; i < COUNT; i++)
        weights[i] = 0.1;
    pd_lane_samples weighted = all;
    weighted.weights = weights;
    const pd_sampling sampling = {.lanes = 4, .batch = 20, .balance = PD_BALANCE_SHAPE};
    pd_lanes *lanes;
    assert_int_equal(pd_lanes_create(&lanes, &sampling, 5, &weighted), PD_OK);
    int taken[COUNT] = {0};
    /* A lane has at least 15 normals, of which 5 steps take 2 or 3 each. */
    for (int64_t step = 0; step < 5; step++)
        for (int lane = 0; lane < 4; lane++) {
            pd_pick picks[5];
            assert_int_equal(pd_lanes_batch(lanes, 0, step, lane, picks), PD_OK);
            for (int i = 0; i < 5; i++)
                taken[(picks[i].id - 7) / 3]++;
        }
    for (int i = 0; i < COUNT; i++)
        assert_in_range(taken[i], 0, 1);
    pd_lanes_destroy(&lanes);
}

static bool same_picks(const pd_pick *a, const pd_pick *b)
{
    for (int i = 0; i < 5; i++)
        if (a[i].id != b[i].id || a[i].repeat != b[i].repeat)
            return false;
    return true;
}

/* An order does not depend on the sequence of calls, but on epoch, seed and lane. */
static void the_order_is_a_pure_function(void **state)
{
    (void)state;
    pd_lanes *a = make(4, true, 0), *b = make(4, true, 0);
    pd_pick first[5], again[5], other[5];
    pd_lanes_batch(a, 3, 2, 1, first);
    for (int64_t step = 10; step >= 0; step--) { /* backwards, over several epochs */
        pd_lanes_batch(b, 4, step, 1, again);
        pd_lanes_batch(b, 3, step, 1, again);
        if (step == 2)
            assert_true(same_picks(first, again));
    }
    pd_lanes_batch(a, 4, 2, 1, other);
    assert_false(same_picks(first, other));
    pd_lanes_destroy(&a);
    pd_lanes_destroy(&b);
}

static void too_few_samples_is_an_error(void **state)
{
    (void)state;
    pd_lanes *out;
    pd_sampling sampling = {.lanes = 64, .batch = 64, .balance = PD_BALANCE_OVERSAMPLE};
    assert_int_equal(pd_lanes_create(&out, &sampling, 0, &all), PD_FAILED);
    assert_null(out);
    assert_non_null(strstr(pd_error_message(), "lower train.lanes"));
    sampling.balance = PD_BALANCE_NONE;
    sampling.lanes = sampling.batch = COUNT + 1;
    assert_int_equal(pd_lanes_create(&out, &sampling, 0, &all), PD_FAILED);
    sampling.lanes = sampling.batch = COUNT;
    assert_int_equal(pd_lanes_create(&out, &sampling, 0, &all), PD_OK);
    pd_lanes_destroy(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_is_in_one_lane),
        cmocka_unit_test(an_epoch_takes_each_sample_about_once),
        cmocka_unit_test(classes_take_turns),
        cmocka_unit_test(weights_say_how_often),
        cmocka_unit_test(equal_weights_change_nothing),
        cmocka_unit_test(the_order_is_a_pure_function),
        cmocka_unit_test(too_few_samples_is_an_error),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
