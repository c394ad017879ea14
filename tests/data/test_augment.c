/* Augmentation: a drawn view is a pure function of its arguments and stays within the ranges of the
 * job. */
#include "data/random_image.h"
#include "pneumo/data/augment.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const pd_augment everything = {.crop_min = 0.5,
                                      .crop_max = 1,
                                      .crop_ratio = 1.2,
                                      .flip = true,
                                      .rotate = 10,
                                      .translate = 0.1,
                                      .brightness = 0.1,
                                      .contrast = 0.1,
                                      .black = 0.5,
                                      .gamma = 0.5,
                                      .blur = 0.01,
                                      .resample_min = 0.4,
                                      .sharpen = 1,
                                      .noise = 0.05,
                                      .border = 0.1,
                                      .erase = 0.2};

static void a_flip_mirrors(void **state)
{
    (void)state;
    const pd_augment augment = {
        .crop_min = 1, .crop_max = 1, .crop_ratio = 1.33, .resample_min = 1, .flip = true};
    const pd_input input = {
        .height = SIDE, .width = SIDE, .mean = 100, .deviation = 50, .size = SIDE, .channels = 1};
    int flipped = 0;
    for (int64_t sample = 0; sample < 400; sample++) {
        float out[SIDE * SIDE];
        pd_view view = pd_augment_draw(&augment, 1, 0, sample, 0);
        pd_view_render(&view, &input, image, out, scratch);
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
    const pd_augment augment = {
        .crop_min = 0.3, .crop_max = 1, .crop_ratio = 1.33, .resample_min = 1};
    float least = 1;
    for (int64_t sample = 0; sample < 2000; sample++) {
        pd_view view = pd_augment_draw(&augment, 1, 3, sample, 0);
        float left = view.map[2], right = view.map[0] + view.map[2];
        float top = view.map[5], bottom = view.map[4] + view.map[5];
        assert_true(left > -1e-5f && right < 1 + 1e-5f && top > -1e-5f && bottom < 1 + 1e-5f);
        float area = (right - left) * (bottom - top);
        assert_true(area > 0.24f); /* sides are limited to 1, which can reduce the area */
        least = fminf(least, area);
        assert_true(view.gain == 1 && view.bias == 0);
    }
    assert_true(least < 0.35f);
}

/* The area is log-uniform: zooming in and out by a factor are equally likely. */
static void crops_zoom_in_as_often_as_out(void **state)
{
    (void)state;
    const pd_augment augment = {
        .crop_min = 0.25, .crop_max = 4, .crop_ratio = 1, .resample_min = 1};
    int below_half = 0, below_one = 0, below_two = 0, count = 4000;
    for (int64_t sample = 0; sample < count; sample++) {
        pd_view view = pd_augment_draw(&augment, 1, 3, sample, 0);
        float area = view.map[0] * view.map[4];
        below_half += area < 0.5f;
        below_one += area < 1;
        below_two += area < 2;
    }
    assert_in_range(below_half, count * 0.23, count * 0.27);
    assert_in_range(below_one, count * 0.48, count * 0.52);
    assert_in_range(below_two, count * 0.73, count * 0.77);
}

static void brightness_and_contrast_stay_in_range(void **state)
{
    (void)state;
    const pd_augment augment = {
        .crop_min = 1, .crop_max = 1, .crop_ratio = 1, .brightness = 0.1, .contrast = 0.2};
    float low = 0, high = 0;
    for (int64_t sample = 0; sample < 500; sample++) {
        pd_view view = pd_augment_draw(&augment, 1, 0, sample, 0);
        assert_true(view.gain >= 0.8f && view.gain <= 1.2f);
        float grey = view.gain * 127.5f + view.bias - 127.5f; /* the change of mid-grey */
        low = fminf(low, grey);
        high = fmaxf(high, grey);
    }
    assert_true(low >= -25.6f && low < -22 && high <= 25.6f && high > 22);
}

static void a_view_is_a_pure_function(void **state)
{
    (void)state;
    pd_view a = pd_augment_draw(&everything, 7, 2, 100, 0);
    pd_augment_draw(&everything, 7, 2, 101, 0);
    pd_view same = pd_augment_draw(&everything, 7, 2, 100, 0);
    assert_memory_equal(&a, &same, sizeof a);
    pd_view others[] = {
        pd_augment_draw(&everything, 8, 2, 100, 0), pd_augment_draw(&everything, 7, 3, 100, 0),
        pd_augment_draw(&everything, 7, 2, 101, 0), pd_augment_draw(&everything, 7, 2, 100, 1)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_memory_not_equal(&a, &others[i], sizeof a);
}

/* Switching one augmentation off does not change a bit of the others. */
static void augmentations_are_independent(void **state)
{
    (void)state;
    pd_augment a[12];
    for (int i = 0; i < 12; i++)
        a[i] = everything;
    a[0].crop_min = 1;
    a[1].flip = false;
    a[2].rotate = a[3].translate = a[4].brightness = a[5].contrast = 0;
    a[6].gamma = a[7].blur = a[8].sharpen = a[9].border = a[10].erase = a[11].noise = 0;
    for (int64_t sample = 0; sample < 50; sample++) {
        pd_view whole = pd_augment_draw(&everything, 7, 2, sample, 0);
        for (int i = 0; i < 12; i++) {
            pd_view view = pd_augment_draw(&a[i], 7, 2, sample, 0);
            if (i == 1) { /* mirroring leaves v, contrast and brightness unchanged */
                assert_true(fabsf(whole.map[0]) == fabsf(view.map[0]));
                assert_true(fabsf(whole.map[3]) == fabsf(view.map[3]));
                assert_true(whole.map[1] == view.map[1] && whole.map[4] == view.map[4]);
            }
            if (i >= 4)
                assert_memory_equal(whole.map, view.map, sizeof whole.map);
            if (i != 4 && i != 5)
                assert_true(whole.gain == view.gain && whole.bias == view.bias);
            assert_true(view.gamma == (i == 6 ? 1 : whole.gamma));
            assert_true(view.blur == (i == 7 ? 0 : whole.blur));
            assert_true(view.sharpen == (i == 8 ? 0 : whole.sharpen));
            assert_true(view.border[2] == (i == 9 ? 0 : whole.border[2]));
            assert_true(view.erase[2] == (i == 10 ? 0 : whole.erase[2]));
            assert_true(view.noise == (i == 11 ? 0 : whole.noise));
            assert_true(view.noise_seed == whole.noise_seed && view.resample == whole.resample);
        }
    }
}

/* A crop with an area above 1 contains the whole image and its surroundings. */
/* The image lies anywhere in the view, and all of it. */
static void zooming_out_places_the_image_anywhere_in_view(void **state)
{
    (void)state;
    enum { SAMPLES = 400, TENTHS = 10 };
    int columns[TENTHS] = {0}, rows[TENTHS] = {0};
    const pd_augment augment = {
        .crop_min = 1.2, .crop_max = 1.8, .crop_ratio = 1.1, .resample_min = 1, .black = 0.5};
    int black = 0;
    for (int64_t sample = 0; sample < SAMPLES; sample++) {
        pd_view view = pd_augment_draw(&augment, 1, 3, sample, 0);
        assert_true(view.map[2] < 1e-5f && view.map[0] + view.map[2] > 1 - 1e-5f);
        assert_true(view.map[5] < 1e-5f && view.map[4] + view.map[5] > 1 - 1e-5f);
        black += view.fill == 0;
        columns[(int)(0.9999f * TENTHS * view.map[2] / (1 - view.map[0]))]++;
        rows[(int)(0.9999f * TENTHS * view.map[5] / (1 - view.map[4]))]++;
    }
    for (int i = 0; i < TENTHS; i++) {
        assert_in_range(columns[i], SAMPLES / TENTHS / 2, SAMPLES / TENTHS * 2);
        assert_in_range(rows[i], SAMPLES / TENTHS / 2, SAMPLES / TENTHS * 2);
    }
    assert_in_range(black, 150, 250);
}

/* Changes that apply to half of the views stay within their ranges, and are off in the other half.
 */
static void sharpness_and_masks_stay_in_range(void **state)
{
    (void)state;
    int blurred = 0, erased = 0, framed = 0;
    for (int64_t sample = 0; sample < 1000; sample++) {
        pd_view view = pd_augment_draw(&everything, 3, 0, sample, 0);
        assert_true(view.blur >= 0 && view.blur <= 0.01f && view.noise <= 0.05f * 255);
        assert_true(view.resample >= 0.4f && view.resample <= 1 && view.sharpen <= 1);
        assert_true(view.gamma > 1 / 1.51f && view.gamma < 1.51f);
        assert_true(view.erase[2] * view.erase[3] <= 0.201f);
        assert_true(view.erase[0] >= 0 && view.erase[0] + view.erase[2] <= 1.00001f);
        blurred += view.blur > 0;
        erased += view.erase[2] > 0;
        framed += view.border[0] > 0;
    }
    assert_in_range(blurred, 430, 570);
    assert_in_range(erased, 430, 570);
    assert_in_range(framed, 430, 570);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flip_mirrors),
        cmocka_unit_test(crops_stay_inside_and_keep_their_area),
        cmocka_unit_test(crops_zoom_in_as_often_as_out),
        cmocka_unit_test(brightness_and_contrast_stay_in_range),
        cmocka_unit_test(a_view_is_a_pure_function),
        cmocka_unit_test(augmentations_are_independent),
        cmocka_unit_test(zooming_out_places_the_image_anywhere_in_view),
        cmocka_unit_test(sharpness_and_masks_stay_in_range),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
