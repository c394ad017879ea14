/* Views: the plain one is a resize, a drawn one is a pure function of its arguments and stays
 * within what the job allows. */
#include "pneumo/base/random.h"
#include "pneumo/data/view.h"
#include "pneumo/kernels/affine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 32 };

static uint8_t image[SIDE * SIDE];

static int fill(void **state)
{
    (void)state;
    pd_random random = pd_random_stream(5, PD_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < SIDE * SIDE; i++)
        image[i] = (uint8_t)pd_random_below(&random, 256);
    return 0;
}

static pd_input input_of(int size, int channels)
{
    return (pd_input){.height = SIDE,
                      .width = SIDE,
                      .mean = 100,
                      .deviation = 50,
                      .size = size,
                      .channels = channels};
}

static void the_plain_view_keeps_pixels(void **state)
{
    (void)state;
    float out[SIDE * SIDE * 3];
    pd_view view = pd_view_plain();
    pd_input input = input_of(SIDE, 3);
    pd_view_render(&view, &input, image, out);
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int c = 0; c < 3; c++)
            assert_true(fabsf(out[3 * i + c] - ((float)image[i] - 100) / 50) < 1e-4f);
}

/* Halving the side averages 2x2 pixels: nothing aliases. */
static void shrinking_averages(void **state)
{
    (void)state;
    float out[SIDE * SIDE / 4];
    pd_view view = pd_view_plain();
    pd_input input = input_of(SIDE / 2, 1);
    pd_view_render(&view, &input, image, out);
    for (int y = 0; y < SIDE / 2; y++)
        for (int x = 0; x < SIDE / 2; x++) {
            const uint8_t *p = image + 2 * y * SIDE + 2 * x;
            float mean = (float)(p[0] + p[1] + p[SIDE] + p[SIDE + 1]) / 4;
            assert_true(fabsf(out[y * SIDE / 2 + x] - (mean - 100) / 50) < 1e-4f);
        }
}

static void a_flip_mirrors(void **state)
{
    (void)state;
    const pd_augment augment = {.crop_min = 1, .crop_ratio = 1.33, .flip = true};
    pd_input input = input_of(SIDE, 1);
    int flipped = 0;
    for (int64_t sample = 0; sample < 400; sample++) {
        float out[SIDE * SIDE];
        pd_view view = pd_view_draw(&augment, 1, 0, sample, 0);
        pd_view_render(&view, &input, image, out);
        bool mirrored = view.map[0] < 0;
        flipped += mirrored;
        float expected = ((float)image[5 * SIDE + (mirrored ? SIDE - 1 - 3 : 3)] - 100) / 50;
        assert_true(fabsf(out[5 * SIDE + 3] - expected) < 1e-3f);
    }
    assert_in_range(flipped, 150, 250);
}

static void crops_stay_inside_and_keep_their_area(void **state)
{
    (void)state;
    const pd_augment augment = {.crop_min = 0.3, .crop_ratio = 1.33};
    float least = 1;
    for (int64_t sample = 0; sample < 2000; sample++) {
        pd_view view = pd_view_draw(&augment, 1, 3, sample, 0);
        float left = view.map[2], right = view.map[0] + view.map[2];
        float top = view.map[5], bottom = view.map[4] + view.map[5];
        assert_true(left > -1e-5f && right < 1 + 1e-5f && top > -1e-5f && bottom < 1 + 1e-5f);
        float area = (right - left) * (bottom - top);
        assert_true(area > 0.24f); /* sides are cut at 1, which may take a little */
        least = fminf(least, area);
        assert_true(view.gain == 1 && view.bias == 0);
    }
    assert_true(least < 0.35f);
}

static void brightness_and_contrast_keep_to_their_range(void **state)
{
    (void)state;
    const pd_augment augment = {.crop_min = 1, .crop_ratio = 1, .brightness = 0.1, .contrast = 0.2};
    float low = 0, high = 0;
    for (int64_t sample = 0; sample < 500; sample++) {
        pd_view view = pd_view_draw(&augment, 1, 0, sample, 0);
        assert_true(view.gain >= 0.8f && view.gain <= 1.2f);
        float grey = view.gain * 127.5f + view.bias - 127.5f; /* what happens to mid-grey */
        low = fminf(low, grey);
        high = fmaxf(high, grey);
    }
    assert_true(low >= -25.6f && low < -22 && high <= 25.6f && high > 22);
}

static const pd_augment everything = {.crop_min = 0.5,
                                      .crop_ratio = 1.2,
                                      .flip = true,
                                      .rotate = 10,
                                      .translate = 0.1,
                                      .brightness = 0.1,
                                      .contrast = 0.1};

static void a_view_is_pure(void **state)
{
    (void)state;
    pd_view a = pd_view_draw(&everything, 7, 2, 100, 0);
    pd_view_draw(&everything, 7, 2, 101, 0);
    pd_view same = pd_view_draw(&everything, 7, 2, 100, 0);
    assert_memory_equal(&a, &same, sizeof a);
    pd_view others[] = {
        pd_view_draw(&everything, 8, 2, 100, 0), pd_view_draw(&everything, 7, 3, 100, 0),
        pd_view_draw(&everything, 7, 2, 101, 0), pd_view_draw(&everything, 7, 2, 100, 1)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_memory_not_equal(&a, &others[i], sizeof a);
}

/* Turning one augmentation off leaves the others as they were. */
static void augmentations_are_independent(void **state)
{
    (void)state;
    pd_augment without[6];
    for (int i = 0; i < 6; i++)
        without[i] = everything;
    without[0].crop_min = 1;
    without[1].flip = false;
    without[2].rotate = without[3].translate = without[4].brightness = without[5].contrast = 0;
    for (int64_t sample = 0; sample < 50; sample++) {
        pd_view a = pd_view_draw(&everything, 7, 2, sample, 0);
        for (int i = 0; i < 6; i++) {
            pd_view b = pd_view_draw(&without[i], 7, 2, sample, 0);
            if (i == 1) { /* mirrored or not: the same in v, and in contrast and brightness */
                assert_true(fabsf(a.map[0]) == fabsf(b.map[0]) && a.map[1] == b.map[1]);
                assert_true(fabsf(a.map[3]) == fabsf(b.map[3]) && a.map[4] == b.map[4]);
            }
            if (i < 4)
                assert_true(a.gain == b.gain && a.bias == b.bias);
            else
                assert_memory_equal(a.map, b.map, sizeof a.map);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plain_view_keeps_pixels),
        cmocka_unit_test(shrinking_averages),
        cmocka_unit_test(a_flip_mirrors),
        cmocka_unit_test(crops_stay_inside_and_keep_their_area),
        cmocka_unit_test(brightness_and_contrast_keep_to_their_range),
        cmocka_unit_test(a_view_is_pure),
        cmocka_unit_test(augmentations_are_independent),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
