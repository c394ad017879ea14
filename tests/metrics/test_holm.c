#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/metrics/holm.h"

#include <string.h>

/* R: p.adjust(p, "holm") */
static void test_holm(void **state)
{
    (void)state;
    const struct {
        int count;
        double p[4], corrected[4];
    } table[] = {
        {1, {0.03}, {0.03}},
        {2, {0.04, 0.03}, {0.06, 0.06}},
        {3, {0.01, 0.02, 0.03}, {0.03, 0.04, 0.04}},
        {3, {0.01, 0.04, 0.03}, {0.03, 0.06, 0.06}},
        {3, {0.5, 0.01, 0.9}, {1, 0.03, 1}},
        {3, {0.02, 0.02, 0.02}, {0.06, 0.06, 0.06}},
        {4, {0.001, 0.8, 0.02, 0.015}, {0.004, 0.8, 0.045, 0.045}},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        double out[4];
        memcpy(out, table[i].p, sizeof out);
        pd_holm_adjust(out, table[i].count);
        for (int j = 0; j < table[i].count; j++)
            assert_float_equal(out[j], table[i].corrected[j], 1e-15);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
