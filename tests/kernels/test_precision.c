#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/kernels/precision.h"

#include <math.h>

static float with_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void every_bf16_survives(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= UINT16_MAX; i++) {
        pd_bf16 value = (pd_bf16)i;
        float widened = pd_bf16_widen(value);
        assert_int_equal(bits_of(widened), i << 16);
        if (isnan(widened))
            assert_true(isnan(pd_bf16_widen(pd_bf16_round(widened))));
        else
            assert_int_equal(pd_bf16_round(widened), value);
    }
}

/* Between every two neighbours: below the middle down, above it up, in the middle to the even one;
 * above the largest number to infinity. */
static void floats_round_to_the_nearest_and_to_even(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 0x7F80; i++) {
        for (uint32_t sign = 0; sign <= 0x8000; sign += 0x8000) {
            uint32_t below = (i | sign) << 16;
            assert_int_equal(pd_bf16_round(with_bits(below | 0x7FFF)), i | sign);
            assert_int_equal(pd_bf16_round(with_bits(below | 0x8000)), (i + (i & 1)) | sign);
            assert_int_equal(pd_bf16_round(with_bits(below | 0x8001)), (i + 1) | sign);
        }
    }
    assert_true(isinf(pd_bf16_widen(pd_bf16_round(3.4e38f))));
    assert_true(isnan(pd_bf16_widen(pd_bf16_round(with_bits(0x7F800001)))));
    assert_true(isnan(pd_bf16_widen(pd_bf16_round(with_bits(0xFFFFFFFF)))));
}

static void arrays_are_converted_element_by_element(void **state)
{
    (void)state;
    enum { COUNT = 1003 };
    float values[COUNT], back[COUNT];
    pd_bf16 rounded[COUNT];
    for (int i = 0; i < COUNT; i++)
        values[i] = ldexpf((float)(i * 7919 % 1009) - 500, i % 40 - 20);
    pd_precision_round(COUNT, values, rounded, 2);
    pd_precision_widen(COUNT, rounded, back, 3);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(rounded[i], pd_bf16_round(values[i]));
        assert_int_equal(bits_of(back[i]), (uint32_t)rounded[i] << 16);
        assert_true(fabsf(back[i] - values[i]) <= fabsf(values[i]) / 256);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bf16_survives),
        cmocka_unit_test(floats_round_to_the_nearest_and_to_even),
        cmocka_unit_test(arrays_are_converted_element_by_element),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
