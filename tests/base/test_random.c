/* Known answers of Philox4x32-10 (Random123's kat_vectors) and the properties of streams. */
#include "pneumo/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_philox_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        pd_philox(out, cases[i].counter, cases[i].key);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

static void test_streams_are_pure_and_distinct(void **state)
{
    (void)state;
    pd_random a = pd_random_stream(7, PD_PURPOSE_ORDER, 3, 5);
    pd_random again = pd_random_stream(7, PD_PURPOSE_ORDER, 3, 5);
    pd_random others[] = {
        pd_random_stream(8, PD_PURPOSE_ORDER, 3, 5),
        pd_random_stream(7 + (UINT64_C(1) << 32), PD_PURPOSE_ORDER, 3, 5),
        pd_random_stream(7, PD_PURPOSE_AUGMENT, 3, 5),
        pd_random_stream(7, PD_PURPOSE_ORDER, 4, 5),
        pd_random_stream(7, PD_PURPOSE_ORDER, 3, 6),
        pd_random_stream(7, PD_PURPOSE_ORDER, 3, 5 + (UINT64_C(1) << 32)),
    };
    uint32_t first[8];
    for (int i = 0; i < 8; i++) {
        first[i] = pd_random_bits(&a);
        assert_int_equal(first[i], pd_random_bits(&again));
    }
    for (size_t j = 0; j < sizeof others / sizeof *others; j++) {
        uint32_t bits[8];
        for (int i = 0; i < 8; i++)
            bits[i] = pd_random_bits(&others[j]);
        assert_memory_not_equal(bits, first, sizeof bits);
    }
}

static void test_distributions(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 0, 0);
    double sum = 0, squares = 0, uniform = 0;
    int counts[7] = {0};
    for (int i = 0; i < COUNT; i++) {
        double normal = (double)pd_random_normal(&random);
        sum += normal;
        squares += normal * normal;
        float u = pd_random_uniform(&random);
        assert_true(u >= 0 && u < 1);
        uniform += (double)u;
        counts[pd_random_below(&random, 7)]++;
    }
    assert_true(fabs(sum / COUNT) < 0.01);
    assert_true(fabs(squares / COUNT - 1) < 0.02);
    assert_true(fabs(uniform / COUNT - 0.5) < 0.005);
    for (int i = 0; i < 7; i++)
        assert_true(abs(counts[i] - COUNT / 7) < COUNT / 70);
}

static void test_shuffle_keeps_every_item(void **state)
{
    (void)state;
    int64_t items[100];
    int seen[100] = {0}, moved = 0;
    for (int i = 0; i < 100; i++)
        items[i] = i;
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 1, 0);
    pd_random_shuffle(&random, items, 100);
    for (int i = 0; i < 100; i++) {
        seen[items[i]]++;
        moved += items[i] != i;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_streams_are_pure_and_distinct),
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_shuffle_keeps_every_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
