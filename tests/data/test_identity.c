#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/data/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* XXH3-128 with seed 0, from libxxhash 0.8: identities are stored in files and must not change. */
static void test_golden(void **state)
{
    (void)state;
    uint8_t pixels[6] = {'p', 'n', 'e', 'u', 'm', 'o'};
    char text[33];
    pd_identity identity = pd_identity_of(pixels, 2, 3);
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", identity.bytes[i]);
    assert_string_equal(text, "d68587128e17851bb8a2e3ccb0bd995c");
    pd_identity_digest(text, NULL, 0);
    assert_string_equal(text, "99aa06d3014798d86001c324468d497f"); /* of no bytes */
}

static void test_every_pixel_counts(void **state)
{
    (void)state;
    enum { SIDE = 31, PIXELS = SIDE * SIDE };
    static uint8_t pixels[PIXELS];
    static pd_identity found[PIXELS + 1];
    found[PIXELS] = pd_identity_of(pixels, SIDE, SIDE);
    for (int i = 0; i < PIXELS; i++) {
        pixels[i] = 1;
        found[i] = pd_identity_of(pixels, SIDE, SIDE);
        pixels[i] = 0;
    }
    qsort(found, PIXELS + 1, sizeof *found, pd_identity_compare);
    for (int i = 0; i < PIXELS; i++)
        assert_true(pd_identity_compare(&found[i], &found[i + 1]) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_every_pixel_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
