#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden.h"
#include "pneumo/nn/loss.h"

#include <math.h>

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want))))
        fail_msg("%.9g, expected %.9g", got, want);
}

static void assert_array(const float *got, const golden_array *want)
{
    for (size_t i = 0; i < want->size; i++)
        assert_near(got[i], want->data[i], 1e-6);
}

/* The softmax of a row of logits is the gradient of its loss where no class is the target. */
static void softmax(const float *logits, int outputs, float *probabilities)
{
    const int32_t none = -1;
    double loss;
    pd_loss_softmax(&(pd_loss_batch){.lanes = 1,
                                     .lane_samples = 1,
                                     .outputs = outputs,
                                     .logits = logits,
                                     .labels = &none,
                                     .scale = 1,
                                     .dlogits = probabilities,
                                     .lane_losses = &loss});
}

static void check_golden_case(const golden_case *golden)
{
    const golden_array *logit = golden_find(golden, "logit");
    const golden_array *probability = golden_find(golden, "probability");
    int samples = logit->dims[0];
    float *dlogits = malloc(logit->size * sizeof *dlogits);
    double losses[2];
    pd_loss_batch batch = {.lanes = 2,
                           .lane_samples = samples / 2,
                           .outputs = 1,
                           .logits = logit->data,
                           .weights = golden_find(golden, "weight")->data,
                           .smoothing = golden_number(golden, "smoothing"),
                           .scale = golden_number(golden, "scale"),
                           .dlogits = dlogits,
                           .lane_losses = losses};
    if (strcmp(golden->type, "binary") == 0) {
        batch.targets = golden_find(golden, "target")->data;
        pd_loss_binary(&batch);
        for (int i = 0; i < samples; i++)
            assert_near(pd_loss_probability(logit->data[i]), probability->data[i], 1e-6);
    } else {
        int32_t labels[64];
        float row[8];
        batch.outputs = logit->dims[1];
        assert_true(samples <= 64 && batch.outputs <= 8);
        for (int i = 0; i < samples; i++)
            labels[i] = (int32_t)golden_find(golden, "label")->data[i];
        batch.labels = labels;
        pd_loss_softmax(&batch);
        for (int i = 0; i < samples * batch.outputs; i++) {
            if (i % batch.outputs == 0)
                softmax(logit->data + i, batch.outputs, row);
            assert_near(row[i % batch.outputs], probability->data[i], 1e-6);
        }
    }
    assert_array(dlogits, golden_find(golden, "dlogit"));
    for (int lane = 0; lane < 2; lane++)
        assert_near(losses[lane], golden_find(golden, "lane_loss")->data[lane], 1e-6);
    free(dlogits);
}

static void test_golden(void **state)
{
    (void)state;
    FILE *file = golden_open("losses.golden");
    golden_case golden;
    int cases = 0;
    while (golden_next(file, &golden)) {
        check_golden_case(&golden);
        golden_free(&golden);
        cases++;
    }
    fclose(file);
    assert_int_equal(cases, 4);
}

static void test_extreme_logits(void **state)
{
    (void)state;
    const float logits[4] = {1e4f, -1e4f, 1e4f, -1e4f}, targets[4] = {1, 0, 0, 1};
    float dlogits[6];
    double losses[4];
    pd_loss_batch batch = {.lanes = 4,
                           .lane_samples = 1,
                           .outputs = 1,
                           .logits = logits,
                           .targets = targets,
                           .scale = 1,
                           .dlogits = dlogits,
                           .lane_losses = losses};
    pd_loss_binary(&batch);
    const double want_losses[4] = {0, 0, 1e4, 1e4}, want_gradient[4] = {0, 0, 1, -1};
    for (int i = 0; i < 4; i++) {
        assert_near(losses[i], want_losses[i], 1e-12);
        assert_near(dlogits[i], want_gradient[i], 1e-12);
    }
    assert_near(pd_loss_probability(1e4), 1, 0);
    assert_near(pd_loss_probability(-1e4), 0, 0);
    assert_near(pd_loss_probability(0), 0.5, 0);

    const float rows[6] = {1e4f, -1e4f, 0, 1e4f, -1e4f, 0};
    const int32_t labels[2] = {0, 1};
    batch.lanes = 2;
    batch.outputs = 3;
    batch.logits = rows;
    batch.labels = labels;
    pd_loss_softmax(&batch);
    assert_near(losses[0], 0, 1e-12);
    assert_near(losses[1], 2e4, 1e-12);
    const double want[6] = {0, 0, 0, 1, -1, 0};
    for (int i = 0; i < 6; i++)
        assert_near(dlogits[i], want[i], 1e-12);
}

/* The training loop finds values that are not finite by the loss. */
static void test_nan_logits_give_a_nan_loss(void **state)
{
    (void)state;
    const float logits[3] = {0, NAN, 1}, target = 1;
    const int32_t label = 0;
    float dlogits[3];
    double loss;
    pd_loss_batch batch = {.lanes = 1,
                           .lane_samples = 1,
                           .outputs = 1,
                           .logits = logits + 1,
                           .targets = &target,
                           .labels = &label,
                           .scale = 1,
                           .dlogits = dlogits,
                           .lane_losses = &loss};
    pd_loss_binary(&batch);
    assert_true(isnan(loss) && isnan(dlogits[0]));
    batch.outputs = 3;
    batch.logits = logits;
    pd_loss_softmax(&batch);
    assert_true(isnan(loss) && isnan(dlogits[0]));
}

static void test_the_label_of_a_sample_of_weight_zero_is_ignored(void **state)
{
    (void)state;
    const float logits[6] = {1, 2, 3, 1, 2, 3}, weights[2] = {0, 1};
    const int32_t labels[2] = {-1, 2};
    float dlogits[6];
    double both, one;
    pd_loss_batch batch = {.lanes = 1,
                           .lane_samples = 2,
                           .outputs = 3,
                           .logits = logits,
                           .labels = labels,
                           .weights = weights,
                           .smoothing = 0.1,
                           .scale = 1,
                           .dlogits = dlogits,
                           .lane_losses = &both};
    pd_loss_softmax(&batch);
    for (int i = 0; i < 3; i++)
        assert_true(dlogits[i] == 0);
    batch.lane_samples = 1;
    batch.logits = logits + 3;
    batch.labels = labels + 1;
    batch.weights = NULL;
    batch.dlogits = NULL;
    batch.lane_losses = &one;
    pd_loss_softmax(&batch);
    assert_near(both, one, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_extreme_logits),
        cmocka_unit_test(test_nan_logits_give_a_nan_loss),
        cmocka_unit_test(test_the_label_of_a_sample_of_weight_zero_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
