/* Schedules against their formulas, and one-cycle against PyTorch's OneCycleLR. */
#include "pneumo/train/schedule.h"

#include "pneumo/train/job.h"

#include "golden/optimizers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static pd_job job_of(pd_schedule_kind kind, int epochs, double peak)
{
    pd_job job;
    pd_job_defaults(&job);
    job.schedule.kind = kind;
    job.schedule.epochs = epochs;
    job.schedule.learning_rate = peak;
    return job;
}

static void expect_rate(const pd_job *job, int64_t step, int64_t epoch_steps, double rate)
{
    double got = pd_schedule_rate(&job->schedule, step, epoch_steps);
    if (fabs(got - rate) > 1e-12 * job->schedule.learning_rate)
        fail_msg("step %d: %.17g instead of %.17g", (int)step, got, rate);
}

static void test_constant(void **state)
{
    (void)state;
    pd_job job = job_of(PD_SCHEDULE_CONSTANT, 3, 0.5);
    for (int step = 0; step < 40; step++)
        expect_rate(&job, step, 10, 0.5);
}

static void test_warmup(void **state)
{
    (void)state;
    const pd_schedule_kind kinds[] = {PD_SCHEDULE_CONSTANT, PD_SCHEDULE_STEP, PD_SCHEDULE_COSINE};
    for (int i = 0; i < 3; i++) {
        pd_job job = job_of(kinds[i], 5, 0.5);
        job.schedule.warmup_epochs = 2;
        expect_rate(&job, 0, 10, 0.5 / 20);
        expect_rate(&job, 9, 10, 0.25);
        expect_rate(&job, 19, 10, 0.5);
        expect_rate(&job, 20, 10, 0.5);
    }
    /* A warm-up of less than a step: the rate does not exceed its peak. */
    pd_job job = job_of(PD_SCHEDULE_CONSTANT, 5, 0.5);
    job.schedule.warmup_epochs = 0.25;
    expect_rate(&job, 0, 10, 0.2);
    expect_rate(&job, 1, 10, 0.4);
    expect_rate(&job, 2, 10, 0.5);
}

static void test_step(void **state)
{
    (void)state;
    pd_job job = job_of(PD_SCHEDULE_STEP, 10, 1.0);
    job.schedule.step_epochs = 3;
    job.schedule.step_factor = 0.1;
    expect_rate(&job, 0, 7, 1.0);
    expect_rate(&job, 3 * 7 - 1, 7, 1.0);
    expect_rate(&job, 3 * 7, 7, 0.1);
    expect_rate(&job, 9 * 7 - 1, 7, 0.01);
    expect_rate(&job, 9 * 7, 7, 0.001);
}

static void test_cosine(void **state)
{
    (void)state;
    pd_job job = job_of(PD_SCHEDULE_COSINE, 4, 2.0);
    job.schedule.final_factor = 0.25;
    for (int step = 0; step <= 40; step++)
        expect_rate(&job, step, 10 + 1,
                    0.5 + 1.5 * 0.5 * (1 + cos(3.14159265358979323846 * step / 43.0)));
    expect_rate(&job, 43, 11, 0.5);
    expect_rate(&job, 1000, 11, 0.5);
}

static void test_onecycle(void **state)
{
    (void)state;
    pd_job job = job_of(PD_SCHEDULE_ONECYCLE, 4, 0.002);
    job.schedule.final_factor = 0.001;
    for (int step = 0; step < 20; step++)
        expect_rate(&job, step, 5, golden_onecycle_30[step]);
    job.schedule.warmup_epochs = 1;
    for (int step = 0; step < 20; step++)
        expect_rate(&job, step, 5, golden_onecycle_25[step]);
    expect_rate(&job, 20, 5, 0.002 * 0.001);
}

/* Runs too short for a rise or a fall have a valid rate. */
static void test_short_runs(void **state)
{
    (void)state;
    const pd_schedule_kind kinds[] = {PD_SCHEDULE_CONSTANT, PD_SCHEDULE_STEP, PD_SCHEDULE_COSINE,
                                      PD_SCHEDULE_ONECYCLE};
    for (int i = 0; i < 4; i++) {
        pd_job job = job_of(kinds[i], 1, 0.5);
        for (int steps = 1; steps < 5; steps++) {
            for (int step = 0; step < steps; step++) {
                double rate = pd_schedule_rate(&job.schedule, step, steps);
                assert_true(rate > 0 && rate <= 0.5);
            }
        }
    }
}

/* Each stage has the schedule of a run of its epochs; the second at a fraction of the rate. */
static void test_stages(void **state)
{
    (void)state;
    enum { STEPS = 7 };
    for (int kind = 0; kind < PD_SCHEDULES; kind++) {
        pd_job job = job_of((pd_schedule_kind)kind, 8, 0.5);
        job.schedule.unfreeze_epoch = 4;
        job.schedule.unfreeze_factor = 0.2;
        job.schedule.warmup_epochs = kind == PD_SCHEDULE_STEP ? 1 : 0;
        job.schedule.step_epochs = 2;
        pd_job first = job, second = job;
        first.schedule.unfreeze_epoch = second.schedule.unfreeze_epoch = 0;
        first.schedule.epochs = 3;
        second.schedule.epochs = 5;
        second.schedule.learning_rate = 0.5 * 0.2;
        for (int step = 0; step < 8 * STEPS; step++) {
            bool early = step < 3 * STEPS;
            assert_int_equal(pd_schedule_stage(&job.schedule, step, STEPS), !early);
            const pd_schedule_spec *own = early ? &first.schedule : &second.schedule;
            expect_rate(&job, step, STEPS,
                        pd_schedule_rate(own, early ? step : step - 3 * STEPS, STEPS));
        }
        assert_int_equal(pd_schedule_unfreeze_step(&job.schedule, STEPS), 3 * STEPS);
        assert_int_equal(pd_schedule_stage(&first.schedule, 1000, STEPS), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant), cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_step),     cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_onecycle), cmocka_unit_test(test_short_runs),
        cmocka_unit_test(test_stages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
