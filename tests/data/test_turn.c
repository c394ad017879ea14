/* Exif orientations: where they are found, and how images are turned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/turn.h"
#include "pneumo/base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Exif 2.3, tag 0x0112, as the stored rows of the letter-like image "ab cd ef" (3 rows, 2 columns):
 * for each orientation, what is stored and its shape. */
static void every_orientation_becomes_upright(void **state)
{
    (void)state;
    static const struct {
        const char *stored;
        int height, width;
    } cases[9] = {{"", 0, 0},       {"abcdef", 3, 2}, /* upright */
                  {"badcfe", 3, 2},                   /* mirrored left to right */
                  {"fedcba", 3, 2},                   /* turned by 180 degrees */
                  {"efcdab", 3, 2},                   /* mirrored top to bottom */
                  {"acebdf", 2, 3},                   /* row 0 is the left side, column 0 the top */
                  {"bdface", 2, 3},  /* row 0 is the right side, column 0 the top */
                  {"fdbeca", 2, 3},  /* row 0 is the right side, column 0 the bottom */
                  {"ecafdb", 2, 3}}; /* row 0 is the left side, column 0 the bottom */
    for (int orientation = 1; orientation <= 8; orientation++) {
        pd_image image = {.height = cases[orientation].height, .width = cases[orientation].width};
        assert_int_equal(pd_alloc(&image.pixels, 6, 1), PD_OK);
        memcpy(image.pixels, cases[orientation].stored, 6);
        assert_int_equal(pd_turn(&image, orientation), PD_OK);
        assert_int_equal(image.height, 3);
        assert_int_equal(image.width, 2);
        if (memcmp(image.pixels, "abcdef", 6) != 0)
            fail_msg("orientation %d gives %.6s", orientation, (const char *)image.pixels);
        pd_image_free(&image);
    }
}

static void orientations_are_found(void **state)
{
    (void)state;
    static const unsigned char little[] = "II*\0\x08\0\0\0\x02\0"
                                          "\x0f\x01\x02\0\x01\0\0\0\0\0\0\0"
                                          "\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
    static const unsigned char big[] = "MM\0*\0\0\0\x08\0\x01"
                                       "\x01\x12\0\x03\0\0\0\x01\0\x03\0\0";
    static const unsigned char nine[] = "MM\0*\0\0\0\x08\0\x01"
                                        "\x01\x12\0\x03\0\0\0\x01\0\x09\0\0";
    static const unsigned char far[] = "II*\0\xff\xff\xff\xff\x02\0";
    assert_int_equal(pd_turn_of_exif(little, sizeof little - 1), 6);
    assert_int_equal(pd_turn_of_exif(big, sizeof big - 1), 3);
    assert_int_equal(pd_turn_of_exif(nine, sizeof nine - 1), 1);
    assert_int_equal(pd_turn_of_exif(far, sizeof far - 1), 1);
    for (size_t size = 0; size < sizeof little - 1; size++)
        assert_int_equal(pd_turn_of_exif(little, size), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_orientation_becomes_upright),
        cmocka_unit_test(orientations_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
