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

static void test_golden(void **state)
{
    (void)state;
    FILE *file = golden_open("losses.golden");
    golden_case golden;
    int cases = 0;
    while (golden_next(file, &golden)) {
        const golden_array *logit = golden_find(&golden, "logit");
        const golden_array *probability = golden_find(&golden, "probability");
        const float *weight = golden_find(&golden, "weight")->data;
        double smoothing = golden_number(&golden, "smoothing");
        double scale = golden_number(&golden, "scale");
        int samples = logit->dims[0];
        float *dlogit = malloc(logit->size * sizeof(float));
        double lane_loss[2];
        if (strcmp(golden.type, "binary") == 0) {
            pd_loss_binary(logit->data, golden_find(&golden, "target")->data, weight, 2,
                           samples / 2, smoothing, scale, dlogit, lane_loss);
            for (int i = 0; i < samples; i++)
                assert_near(pd_loss_probability(logit->data[i]), probability->data[i], 1e-6);
        } else {
            int classes = logit->dims[1];
            int32_t label[64];
            assert_true(samples <= 64 && classes <= 8);
            for (int i = 0; i < samples; i++)
                label[i] = (int32_t)golden_find(&golden, "label")->data[i];
            pd_loss_softmax(logit->data, label, weight, classes, 2, samples / 2, smoothing, scale,
                            dlogit, lane_loss);
            for (int i = 0; i < samples; i++) {
                double row[8];
                pd_loss_probabilities(logit->data + i * classes, classes, row);
                for (int k = 0; k < classes; k++)
                    assert_near(row[k], probability->data[i * classes + k], 1e-6);
            }
        }
        assert_array(dlogit, golden_find(&golden, "dlogit"));
        for (int lane = 0; lane < 2; lane++)
            assert_near(lane_loss[lane], golden_find(&golden, "lane_loss")->data[lane], 1e-6);
        free(dlogit);
        golden_free(&golden);
        cases++;
    }
    fclose(file);
    assert_int_equal(cases, 4);
}

static void test_extreme_logits(void **state)
{
    (void)state;
    const float logit[4] = {1e4f, -1e4f, 1e4f, -1e4f}, target[4] = {1, 0, 0, 1};
    float dlogit[4];
    double loss[4];
    pd_loss_binary(logit, target, NULL, 4, 1, 0, 1, dlogit, loss);
    const double want_loss[4] = {0, 0, 1e4, 1e4}, want_gradient[4] = {0, 0, 1, -1};
    for (int i = 0; i < 4; i++) {
        assert_near(loss[i], want_loss[i], 1e-12);
        assert_near(dlogit[i], want_gradient[i], 1e-12);
    }
    assert_near(pd_loss_probability(1e4), 1, 0);
    assert_near(pd_loss_probability(-1e4), 0, 0);
    assert_near(pd_loss_probability(0), 0.5, 0);

    const float rows[6] = {1e4f, -1e4f, 0, 1e4f, -1e4f, 0};
    const int32_t label[2] = {0, 1};
    float drows[6];
    pd_loss_softmax(rows, label, NULL, 3, 2, 1, 0, 1, drows, loss);
    assert_near(loss[0], 0, 1e-12);
    assert_near(loss[1], 2e4, 1e-12);
    const double want[6] = {0, 0, 0, 1, -1, 0};
    for (int i = 0; i < 6; i++)
        assert_near(drows[i], want[i], 1e-12);
}

/* What is not a number must show in the loss: the training loop looks for it there. */
static void test_nan_shows(void **state)
{
    (void)state;
    const float logit[3] = {0, NAN, 1}, target[1] = {1};
    const int32_t label[1] = {0};
    float dlogit[3];
    double loss;
    pd_loss_binary(logit + 1, target, NULL, 1, 1, 0, 1, dlogit, &loss);
    assert_true(isnan(loss) && isnan(dlogit[0]));
    pd_loss_softmax(logit, label, NULL, 3, 1, 1, 0, 1, dlogit, &loss);
    assert_true(isnan(loss) && isnan(dlogit[0]));
}

static void test_weight_zero_hides_the_label(void **state)
{
    (void)state;
    const float logit[6] = {1, 2, 3, 1, 2, 3}, weight[2] = {0, 1};
    const int32_t label[2] = {-1, 2};
    float dlogit[6];
    double both, one;
    pd_loss_softmax(logit, label, weight, 3, 1, 2, 0.1, 1, dlogit, &both);
    for (int i = 0; i < 3; i++)
        assert_true(dlogit[i] == 0);
    pd_loss_softmax(logit + 3, label + 1, NULL, 3, 1, 1, 0.1, 1, NULL, &one);
    assert_near(both, one, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_extreme_logits),
        cmocka_unit_test(test_nan_shows),
        cmocka_unit_test(test_weight_zero_hides_the_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
