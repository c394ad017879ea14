/* Elementwise functions against their definitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/random.h"
#include "pneumo/kernels/activation.h"

#include <stdlib.h>

#include "kernels/arrays.h"

/* The mask follows the random stream of seed, step, layer and sample, drawn number by number. */
static void test_dropout_follows_the_stream(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 63, 64, 67, 16384, 16384 + 130};
    const pd_dropout dropout = {
        .seed = 0x123456789abcdef0, .step = 77, .layer = 9, .first_sample = 1000, .rate = 0.25f};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t size = sizes[k], samples = 3;
        float *x = make_result(samples * size), *y = make_result(samples * size);
        for (size_t i = 0; i < samples * size; i++)
            x[i] = (float)(i % 100 + 1);
        pd_dropout_apply(&dropout, samples, size, x, y, 2);
        for (size_t n = 0; n < samples; n++) {
            pd_random stream = pd_random_stream(dropout.seed, PD_PURPOSE_DROPOUT, dropout.step,
                                                (uint64_t)9 << 40 | (1000 + n));
            for (size_t i = n * size; i < (n + 1) * size; i++) {
                bool kept = pd_random_bits(&stream) >= 0x40000000u;
                assert_true(y[i] == (kept ? x[i] * (1 / 0.75f) : 0));
            }
        }
        free(x);
        free(y);
    }
}

static void test_relu(void **state)
{
    (void)state;
    const float x[6] = {-2, -0.0f, 0, 3, NAN, -INFINITY}, dy[6] = {1, 2, 3, 4, 5, 6};
    float y[6], dx[6];
    pd_relu(PD_FLOAT32, 6, x, y, 2);
    assert_true(y[0] == 0 && y[1] == 0 && y[2] == 0 && y[3] == 3 && isnan(y[4]) && y[5] == 0);
    pd_relu_backward(PD_FLOAT32, 6, y, dy, dx, 2);
    assert_true(dx[0] == 0 && dx[1] == 0 && dx[2] == 0 && dx[3] == 4 && dx[5] == 0);
}

static void test_add_in_place(void **state)
{
    (void)state;
    for (int relu = 0; relu < 2; relu++) {
        float a[37], b[37];
        for (int i = 0; i < 37; i++) {
            a[i] = (float)i;
            b[i] = (float)(20 - 2 * i);
        }
        pd_add(PD_FLOAT32, 37, a, b, relu, a, 2);
        for (int i = 0; i < 37; i++)
            assert_true(a[i] == (relu && i > 20 ? 0 : (float)(20 - i)));
    }
}

static void test_rectify(void **state)
{
    (void)state;
    const float x[6] = {-2, -0.0f, 0, 3, 7, NAN}, dy[6] = {1, 2, 3, 4, 5, 6};
    float y[6], dx[6];
    pd_rectify(6, x, 0.5f, 6, y, 2);
    assert_true(y[0] == -1 && y[1] == 0 && y[2] == 0 && y[3] == 3 && y[4] == 6 && isnan(y[5]));
    pd_rectify_backward(6, x, dy, 0.5f, 6, dx, 2);
    assert_true(dx[0] == 0.5f && dx[1] == 0 && dx[2] == 0 && dx[3] == 4 && dx[4] == 0);
}

static void test_elu_and_logistic(void **state)
{
    (void)state;
    const float x[5] = {-100, -1, 0, 2, NAN}, dy[5] = {1, 2, 3, 4, 5};
    float y[5], dx[5];
    pd_elu(5, x, 2, y, 2);
    pd_elu_backward(5, y, dy, 2, dx, 2);
    for (int i = 0; i < 4; i++) {
        double e = exp((double)x[i]);
        assert_true(fabs(y[i] - (x[i] > 0 ? x[i] : 2 * (e - 1))) < 1e-6);
        assert_true(fabs(dx[i] - dy[i] * (x[i] > 0 ? 1 : 2 * e)) < 1e-6);
    }
    assert_true(isnan(y[4]));
    pd_logistic(5, x, y, 2);
    pd_logistic_backward(5, y, dy, dx, 2);
    for (int i = 0; i < 4; i++) {
        double p = pd_sigmoid((double)x[i]);
        assert_true(fabs(y[i] - p) < 1e-7);
        assert_true(fabs(dx[i] - dy[i] * p * (1 - p)) < 1e-6);
    }
    assert_true(isnan(y[4]));
}

static void test_add_bias(void **state)
{
    (void)state;
    const float bias[3] = {1, -2, 3};
    float y[12] = {0};
    pd_add_bias(PD_FLOAT32, 4, 3, bias, y, 2);
    for (int i = 0; i < 12; i++)
        assert_true(y[i] == bias[i % 3]);
}

static void test_sigmoid(void **state)
{
    (void)state;
    assert_true(pd_sigmoid(0) == 0.5);
    assert_true(pd_sigmoid(1e308) == 1 && pd_sigmoid(-1e308) == 0);
    assert_true(fabs(pd_sigmoid(-2) - 0.11920292202211755) < 1e-15);
    assert_true(fabs(pd_sigmoid(2) - 0.88079707797788245) < 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dropout_follows_the_stream),
        cmocka_unit_test(test_relu),
        cmocka_unit_test(test_add_in_place),
        cmocka_unit_test(test_rectify),
        cmocka_unit_test(test_elu_and_logistic),
        cmocka_unit_test(test_add_bias),
        cmocka_unit_test(test_sigmoid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
