/* The model of a step on many ranks: values computed by hand, and limits. */
#include "pneumo/train/forecast.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* 400 weights in buckets of 100; a rank computes 3 s for 4 samples. */
static const pd_forecast_layer layers[] = {{150, 0.5}, {250, 1.5}};

static pd_forecast_model model_of(void)
{
    return (pd_forecast_model){.samples = 4,
                               .forward = 1,
                               .layers = layers,
                               .layer_count = 2,
                               .update = 0.25,
                               .batch = 32,
                               .lanes = 8,
                               .bucket = 100,
                               .sums = 3,
                               .sum_numbers = 10,
                               .epoch_steps = 10,
                               .checkpoint = 5,
                               .open = 0.1,
                               .read = 2,
                               .host_ranks = 2,
                               .group = 1,
                               .local = {1e-3, 1e-3, 16000},
                               .network = {0.1, 4e-3, 6400}};
}

static void expect(double got, double wanted, const char *what)
{
    if (!(fabs(got - wanted) <= 1e-9 * fmax(1, fabs(wanted))))
        fail_msg("%s: %.17g instead of %.17g", what, got, wanted);
}

static pd_forecast predict(const pd_forecast_model *model, int ranks, bool strong)
{
    pd_forecast_case of;
    pd_forecast got;
    assert_true(pd_forecast_grow(model, ranks, strong, &of));
    pd_forecast_compute(model, &of, strong, &got);
    return got;
}

/* One rank sends nothing and does not wait. */
static void test_one_rank(void **state)
{
    (void)state;
    pd_forecast_model model = model_of();
    model.spread = 0.5;
    pd_forecast got = predict(&model, 1, false);
    expect(got.parts[PD_FORECAST_COMPUTE], 3, "compute");
    expect(got.seconds, 3 + 0.25 + 0.5, "step");
    expect(got.efficiency, 1, "efficiency");
    expect(got.start, 2.1, "start");
    got = predict(&model, 1, true); /* the whole batch */
    expect(got.seconds, 8 * 3 + 0.25 + 0.5, "strong step");
    expect(got.efficiency, 1, "strong efficiency");
}

/* Four ranks on two hosts: one of the three others is near and two are far. */
static void test_by_hand(void **state)
{
    (void)state;
    pd_forecast_model model = model_of();
    model.fold = 1e-4;
    model.spread = 0.1;
    pd_forecast got = predict(&model, 4, false);
    double message = (1 * 1e-3 + 2 * 4e-3) / 3;
    expect(got.parts[PD_FORECAST_COMPUTE], 3, "compute");
    expect(got.parts[PD_FORECAST_MESSAGES], 2 * 4 * 3 * message, "messages"); /* 0.072 */
    /* A rank sends 2 * 4 bytes * 400 * 3/4 = 2400, a third of it to its neighbour. */
    expect(got.parts[PD_FORECAST_LOCAL], 2 * 800.0 / 16000, "local"); /* 0.1 */
    /* The first layer fills one bucket, 1/4 of the way, the second the other three. Both backward
     * times grow by (2 + 0.172) / 2. 600 bytes of each bucket, two thirds of them far, through a
     * link that two ranks share: 2 * 400 / 6400 = 0.125 s. The first is through long before the
     * second layer is there; the other three start then. */
    expect(got.parts[PD_FORECAST_NETWORK], 3 * 0.125 + 2 * 0.1, "network");
    /* 10 numbers of 8 bytes, exchanged with a near rank, then a far one; all three are summed.
     */
    expect(got.parts[PD_FORECAST_STATISTICS],
           3 * (1e-3 + 1e-3) + 2 * 80.0 / 16000 + 3 * (0.1 + 4e-3) + 2 * 80.0 / 6400 +
               3 * 80 * 1e-4,
           "statistics");
    expect(got.parts[PD_FORECAST_FOLD], 1600 * 1e-4, "fold");
    expect(got.parts[PD_FORECAST_STRAGGLERS], 0.1 * 1.029375373 * 3, "stragglers");
    expect(got.parts[PD_FORECAST_UPDATE], 0.25, "update");
    expect(got.parts[PD_FORECAST_CHECKPOINT], 0.5, "checkpoint");
    double sum = 0;
    for (int i = 0; i < PD_FORECAST_PARTS; i++)
        sum += got.parts[i];
    expect(got.seconds, sum, "step");
    double alone = 3 + 0.25 + 0.5 + 80 * 1e-4;
    expect(got.efficiency, alone / sum, "efficiency");
    assert_int_equal(got.limit, PD_FORECAST_NETWORK);
    expect(got.start, 2.4, "start");
}

/* The same, but the two ranks of a host share memory, and each communicates with one of the other
 * host. */
static void test_groups_by_hand(void **state)
{
    (void)state;
    pd_forecast_model model = model_of();
    model.fold = 1e-4;
    model.group = 2;
    pd_forecast got = predict(&model, 4, false);
    expect(got.parts[PD_FORECAST_MESSAGES], 2 * 4 * 1 * 4e-3, "messages");
    expect(got.parts[PD_FORECAST_LOCAL], 0, "local");
    /* 200 bytes of each bucket from either rank: 0.0625 s, and three of them after the end. */
    expect(got.parts[PD_FORECAST_NETWORK], 3 * 2 * 200.0 / 6400 + 2 * 0.1, "network");
    /* The slices of both ranks are as long as the vector, the pieces of both groups half of it. */
    expect(got.parts[PD_FORECAST_FOLD], (1600 + 800) * 1e-4, "fold");
    model.network.work = 1e-5; /* 800 bytes to the other host, and as many from it */
    expect(predict(&model, 4, false).parts[PD_FORECAST_MESSAGES], 0.032 + 800 * 1e-5, "work");
    model.network.work = 0;
    got = predict(&model, 2, false); /* nothing leaves the host */
    expect(got.parts[PD_FORECAST_MESSAGES] + got.parts[PD_FORECAST_LOCAL] +
               got.parts[PD_FORECAST_NETWORK],
           0, "sending");
    expect(got.parts[PD_FORECAST_FOLD], 1600 * 1e-4, "fold");
    got = predict(&model, 3, false); /* hosts of two and one: no groups */
    expect(got.parts[PD_FORECAST_MESSAGES], 2 * 4 * 2 * (1e-3 + 4e-3) / 2, "messages");
    model.host_ranks = 6; /* of which at most four share memory: three */
    model.group = 4;
    got = predict(&model, 6, false);
    expect(got.parts[PD_FORECAST_LOCAL], 6 * (2 * 4 * 400 / 3.0 / 2) / 16000, "local");
}

/* Three ranks do not match nodes of the tree. 3 lanes of 10 numbers: 240 bytes, of which a rank
 * sends 160, half of them near. */
static void test_gathered_sums(void **state)
{
    (void)state;
    pd_forecast_model model = model_of();
    model.fold = 1e-4;
    pd_forecast got = predict(&model, 3, false);
    expect(got.parts[PD_FORECAST_STATISTICS],
           3 * (0.1 + (1e-3 + 4e-3)) + 2 * 80.0 / 6400 + 2 * 80.0 / 16000 + 240 * 1e-4,
           "statistics");
}

/* 400 weights in buckets of four slices of 50. */
static void test_least_slice(void **state)
{
    (void)state;
    pd_forecast_model model = model_of();
    model.slice = 50;
    pd_forecast got = predict(&model, 4, false);
    expect(got.parts[PD_FORECAST_MESSAGES], 2 * 2 * 3 * (1 * 1e-3 + 2 * 4e-3) / 3, "messages");
    model.slice = 10; /* buckets of 100 have more */
    got = predict(&model, 4, false);
    expect(got.parts[PD_FORECAST_MESSAGES], 2 * 4 * 3 * (1 * 1e-3 + 2 * 4e-3) / 3, "messages");
}

/* A slow link is busy from the first bucket on: three quarters of a layer's time do not overlap. */
static void test_slow_link(void **state)
{
    (void)state;
    pd_forecast_model model = model_of();
    model.local = (pd_link){0, 0, (double)INFINITY, 0};
    model.network = (pd_link){0, 0, 400, 0}; /* 2 s for a bucket */
    pd_forecast got = predict(&model, 4, false);
    expect(got.parts[PD_FORECAST_NETWORK], 0.5 + 4 * 2.0 - 2, "network");
}

/* If communication costs nothing, the efficiency is 1 on any number of ranks. */
static void test_perfect_network(void **state)
{
    (void)state;
    pd_forecast_model model = model_of();
    model.local = model.network = (pd_link){0, 0, (double)INFINITY, 0};
    for (int ranks = 1; ranks <= 4096; ranks *= 2) {
        pd_forecast got = predict(&model, ranks, false);
        expect(got.efficiency, 1, "efficiency");
        expect(got.seconds, 3.75, "step");
    }
    /* With a constant batch, the work that every rank repeats remains. */
    pd_forecast got = predict(&model, 32, true);
    expect(got.seconds, 0.75 + 0.75, "strong step");
    expect(got.efficiency, (24 + 0.75) / 32 / 1.5, "strong efficiency");
}

/* Under weak scaling, neither more ranks nor slower links make a step shorter. */
static void test_monotonic(void **state)
{
    (void)state;
    pd_forecast_model model = model_of();
    model.spread = 0.02;
    model.fold = 1e-9;
    double before = 0;
    for (int ranks = 1; ranks <= 4096; ranks *= 2) {
        pd_forecast got = predict(&model, ranks, false);
        assert_true(got.seconds >= before);
        assert_true(got.efficiency > 0 && got.efficiency <= 1);
        before = got.seconds;
        for (int change = 0; change < 5; change++) {
            pd_forecast_model slower = model;
            slower.network.bandwidth /= change == 0 ? 2 : 1;
            slower.network.latency *= change == 1 ? 2 : 1;
            slower.network.overhead *= change == 2 ? 2 : 1;
            slower.local.bandwidth /= change == 3 ? 2 : 1;
            slower.bucket /= change == 4 ? 2 : 1;
            double seconds = predict(&slower, ranks, false).seconds;
            assert_true(seconds >= got.seconds - 1e-12);
            bool matters = ranks > (change < 3 ? model.host_ranks : 1);
            if (matters)
                assert_true(seconds > got.seconds);
        }
    }
}

static void test_grow(void **state)
{
    (void)state;
    pd_forecast_model model = model_of();
    pd_forecast_case of;
    assert_true(pd_forecast_grow(&model, 100, false, &of));
    assert_int_equal(of.lanes, 100);
    assert_int_equal(of.batch, 400);
    assert_true(pd_forecast_grow(&model, 4096, false, &of));
    assert_false(pd_forecast_grow(&model, 4097, false, &of));
    model.samples = 64 / 3.0; /* of a batch of 64 on 3 ranks */
    assert_true(pd_forecast_grow(&model, 8, false, &of));
    assert_int_equal(of.lanes, 8);
    assert_int_equal(of.batch, 8 * 21);
    model.samples = 0.25;
    assert_true(pd_forecast_grow(&model, 8, false, &of));
    assert_int_equal(of.batch, 8);
    assert_true(pd_forecast_grow(&model, 3, true, &of)); /* the job as it is */
    assert_int_equal(of.lanes, 8);
    assert_int_equal(of.batch, 32);
    assert_true(pd_forecast_grow(&model, 9, true, &of));
    assert_int_equal(of.lanes, 16);
    assert_true(pd_forecast_grow(&model, 32, true, &of));
    assert_false(pd_forecast_grow(&model, 33, true, &of));
}

/* With 8 lanes on 3 ranks, two have 3 lanes and one has 2. */
static void test_uneven_lanes(void **state)
{
    (void)state;
    pd_forecast_model model = model_of();
    pd_forecast got = predict(&model, 3, true);
    expect(got.parts[PD_FORECAST_COMPUTE], 3 * 3, "compute");
}

/* Tables of order statistics (Harter, Biometrika 1961). */
static void test_slowest(void **state)
{
    (void)state;
    const struct {
        int ranks;
        double mean;
    } known[] = {{1, 0}, {2, 0.56419}, {5, 1.16296}, {10, 1.53875}, {100, 2.50759}, {400, 2.96818}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (fabs(pd_forecast_expected_maximum(known[i].ranks) - known[i].mean) > 1e-5)
            fail_msg("of %d: %.7g instead of %.7g", known[i].ranks,
                     pd_forecast_expected_maximum(known[i].ranks), known[i].mean);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_rank),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_groups_by_hand),
        cmocka_unit_test(test_gathered_sums),
        cmocka_unit_test(test_least_slice),
        cmocka_unit_test(test_slow_link),
        cmocka_unit_test(test_perfect_network),
        cmocka_unit_test(test_monotonic),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_uneven_lanes),
        cmocka_unit_test(test_slowest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
