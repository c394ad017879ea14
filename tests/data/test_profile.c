#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/phantom.h"
#include "pneumo/base/random.h"
#include "pneumo/data/image.h"
#include "pneumo/data/profile.h"
#include "pneumo/data/synth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_MAX = 96, CELLS = PD_PROFILE_CELLS, GRID = PD_PROFILE_GRID };

static uint8_t pixels[SIDE_MAX * SIDE_MAX];

static void assert_close(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%.17g instead of %.17g", found, expected);
}

static void fill(int count, int (*grey)(int))
{
    for (int i = 0; i < count; i++)
        pixels[i] = (uint8_t)grey(i);
}

/* ---- traits ---- */

static int formula(int i)
{
    int y = i / 50, x = i % 50;
    return (x * x + 3 * y * y + x * y) % 256;
}

/* Golden values from NumPy 1.24.2: image [40, 50] of (x*x + 3*y*y + x*y) % 256. */
static void test_golden(void **state)
{
    (void)state;
    pd_traits traits;
    fill(40 * 50, formula);
    pd_traits_measure(&traits, pixels, 40, 50, 1200, 1500);
    assert_close(traits.values[PD_TRAIT_SIDE], 1200, 0);
    assert_close(traits.values[PD_TRAIT_RATIO], 1.25, 0);
    assert_close(traits.values[PD_TRAIT_MEAN], 125.822, 1e-12);
    assert_close(traits.values[PD_TRAIT_DEVIATION], 74.08599271117315, 1e-10);
    assert_close(traits.values[PD_TRAIT_BLACK], 0.033, 1e-15);
    assert_close(traits.values[PD_TRAIT_SHARPNESS], 4.707525595215422, 1e-12);
    assert_true(isnan(traits.values[PD_TRAIT_LIKENESS]));
}

/* A slow reference: two passes in floating point, one pixel at a time. */
static double slow_deviation(const double *values, int count)
{
    double mean = 0, squares = 0;
    for (int i = 0; i < count; i++)
        mean += values[i] / count;
    for (int i = 0; i < count; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    return sqrt(squares / count);
}

static double slow_sharpness(int height, int width)
{
    static double grey[SIDE_MAX * SIDE_MAX], edges[SIDE_MAX * SIDE_MAX];
    static const int steps[4][2] = {{0, 1}, {1, 0}, {0, -1}, {-1, 0}};
    int count = 0;
    for (int i = 0; i < height * width; i++)
        grey[i] = pixels[i];
    for (int y = 1; y + 1 < height; y++)
        for (int x = 1; x + 1 < width; x++) {
            edges[count] = 0;
            for (int i = 0; i < 4; i++)
                edges[count] +=
                    grey[y * width + x] - grey[(y + steps[i][0]) * width + x + steps[i][1]];
            count++;
        }
    return slow_deviation(edges, count) / slow_deviation(grey, height * width);
}

/* Searches the cell of each pixel, whereas the program computes the pixels of each cell. */
static double slow_cell(int height, int width, int cell)
{
    double sum = 0, count = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int row = ((y + 1) * GRID - 1) / height, column = ((x + 1) * GRID - 1) / width;
            if (row * GRID + column != cell)
                continue;
            sum += pixels[y * width + x];
            count++;
        }
    return floor(sum / count + 0.5);
}

static void test_against_slow(void **state)
{
    (void)state;
    static const int sides[][2] = {{16, 16}, {17, 40}, {96, 96}, {33, 16}, {64, 31}};
    pd_random random = pd_random_stream(1, PD_PURPOSE_PHANTOM, 0, 0);
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        int height = sides[i][0], width = sides[i][1];
        pd_traits traits;
        for (int at = 0; at < height * width; at++)
            pixels[at] = (uint8_t)(pd_random_uniform(&random) * 256);
        pd_traits_measure(&traits, pixels, height, width, 0, 0);
        assert_close(traits.values[PD_TRAIT_SHARPNESS], slow_sharpness(height, width), 1e-9);
        for (int cell = 0; cell < CELLS; cell++)
            assert_int_equal(traits.thumbnail[cell], (int)slow_cell(height, width, cell));
        /* An unknown shape gives unknown traits. */
        assert_true(isnan(traits.values[PD_TRAIT_SIDE]) && isnan(traits.values[PD_TRAIT_RATIO]));
    }
}

static int constant(int i)
{
    (void)i;
    return 7;
}

static int checks(int i)
{
    return (i / 20 + i % 20) % 2 * 255;
}

static void test_ends(void **state)
{
    (void)state;
    pd_traits traits;
    const float mean[CELLS] = {0};
    fill(20 * 20, constant);
    pd_traits_measure(&traits, pixels, 20, 20, 20, 20);
    pd_traits_compare(&traits, mean);
    assert_close(traits.values[PD_TRAIT_BLACK], 1, 0);
    assert_close(traits.values[PD_TRAIT_DEVIATION], 0, 0);
    assert_close(traits.values[PD_TRAIT_SHARPNESS], 0, 0);
    assert_close(traits.values[PD_TRAIT_LIKENESS], 0, 0);
    fill(20 * 20, checks);
    pd_traits_measure(&traits, pixels, 20, 20, 20, 20);
    assert_close(traits.values[PD_TRAIT_DEVIATION], 127.5, 0);
    assert_close(traits.values[PD_TRAIT_SHARPNESS], 8, 1e-12);
    /* Smaller than the grid and than the Laplacian stencil. */
    for (int side = 1; side < 9; side++) {
        pd_traits_measure(&traits, pixels, side, side, side, side);
        pd_traits_compare(&traits, mean);
        for (int i = 0; i < CELLS; i++)
            assert_int_equal(traits.thumbnail[i],
                             pixels[i / GRID * side / GRID * side + i % GRID * side / GRID]);
    }
}

/* ---- likeness ---- */

static double slow_correlation(const double *a, const double *b, int count)
{
    double mean_a = 0, mean_b = 0, product = 0;
    for (int i = 0; i < count; i++) {
        mean_a += a[i] / count;
        mean_b += b[i] / count;
    }
    for (int i = 0; i < count; i++)
        product += (a[i] - mean_a) * (b[i] - mean_b) / count;
    return product / slow_deviation(a, count) / slow_deviation(b, count);
}

/* The mean image at a position in cells, by linear interpolation; edges are repeated outside. */
static double slow_sample(const float *mean, double y, double x)
{
    double sum = 0;
    y = fmin(fmax(y, 0), GRID - 1);
    x = fmin(fmax(x, 0), GRID - 1);
    for (int i = 0; i < CELLS; i++)
        sum += fmax(1 - fabs(y - i / GRID), 0) * fmax(1 - fabs(x - i % GRID), 0) * mean[i];
    return sum;
}

static double slow_likeness(const uint8_t *thumbnail, const float *mean)
{
    static const double zooms[] = {0.7, 0.85, 1, 1 / 0.85, 1 / 0.7};
    double best = -1;
    for (int i = 0; i < 50; i++) {
        double a[CELLS], b[CELLS];
        int count = 0;
        for (int cell = 0; cell < CELLS; cell++) {
            double y = (cell / GRID - 7.5) * zooms[i % 5] + 7.5;
            double x = (cell % GRID - 7.5) * zooms[i / 5 % 5] + 7.5;
            int column = i < 25 ? cell % GRID : GRID - 1 - cell % GRID;
            if (y < -0.5 || y > 15.5 || x < -0.5 || x > 15.5)
                continue;
            a[count] = thumbnail[cell / GRID * GRID + column];
            b[count++] = slow_sample(mean, y, x);
        }
        best = fmax(best, slow_correlation(a, b, count));
    }
    return best;
}

static void test_likeness_against_slow(void **state)
{
    (void)state;
    pd_random random = pd_random_stream(2, PD_PURPOSE_PHANTOM, 0, 0);
    for (int i = 0; i < 20; i++) {
        pd_traits traits = {0};
        float mean[CELLS];
        for (int cell = 0; cell < CELLS; cell++) {
            traits.thumbnail[cell] = (uint8_t)(pd_random_uniform(&random) * 256);
            mean[cell] = 255 * pd_random_uniform(&random);
        }
        pd_traits_compare(&traits, mean);
        assert_close(traits.values[PD_TRAIT_LIKENESS], slow_likeness(traits.thumbnail, mean), 1e-9);
    }
}

/* Framing and mirroring have no effect; missing anatomy does. */
static void test_likeness_of_phantoms(void **state)
{
    (void)state;
    pd_image phantom;
    pd_opacity opacity;
    pd_traits traits;
    float mean[CELLS];
    assert_int_equal(pd_phantom_draw(&phantom, &opacity, 1, PD_CAUSE_NONE, 1, 1), PD_OK);
    assert_int_equal(pd_image_resize(pixels, SIDE_MAX, SIDE_MAX, &phantom), PD_OK);
    pd_traits_measure(&traits, pixels, SIDE_MAX, SIDE_MAX, 0, 0);
    for (int cell = 0; cell < CELLS; cell++)
        mean[cell] = traits.thumbnail[cell];
    pd_traits_compare(&traits, mean);
    assert_close(traits.values[PD_TRAIT_LIKENESS], 1, 1e-12);
    for (int cell = 0; cell < CELLS; cell++) {
        int mirrored = cell / GRID * GRID + GRID - 1 - cell % GRID;
        traits.thumbnail[mirrored] = (uint8_t)lrintf(mean[cell]);
    }
    pd_traits_compare(&traits, mean);
    assert_close(traits.values[PD_TRAIT_LIKENESS], 1, 1e-12);
    for (int cell = 0; cell < CELLS; cell++)
        traits.thumbnail[cell] = (uint8_t)(255 - lrintf(mean[cell]));
    pd_traits_compare(&traits, mean);
    assert_true(traits.values[PD_TRAIT_LIKENESS] < 0);
    pd_image_free(&phantom);
}

/* ---- the profile ---- */

/* Golden values from numpy.percentile(x, [0.05, 99.95]), x[i] = (i * 7919 % 5000)**2 / 1e4. */
static void test_quantiles(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    double(*values)[PD_TRAITS] = malloc(COUNT * sizeof *values);
    pd_profile profile = {0};
    for (int i = 0; i < COUNT; i++)
        for (int trait = 0; trait < PD_TRAITS; trait++) {
            double x = i * 7919 % 5000;
            values[i][trait] = x * x / 1e4;
        }
    values[3][PD_TRAIT_RATIO] = (double)NAN;
    assert_int_equal(pd_profile_build(&profile, values, COUNT, 224), PD_OK);
    assert_int_equal(profile.images, COUNT);
    assert_close(profile.ranges[PD_TRAIT_MEAN].low, 0.0006497499999999999, 1e-12);
    assert_close(profile.ranges[PD_TRAIT_MEAN].high, 2496.50174965, 1e-9);
    /* One image of unknown shape makes the range unknown. */
    assert_true(isnan(profile.ranges[PD_TRAIT_RATIO].low));
    assert_close(profile.ranges[PD_TRAIT_RATIO].least, 1.0 / 3, 0);
    assert_close(profile.ranges[PD_TRAIT_RATIO].most, 3, 0);
    /* A single image is its own range. */
    assert_int_equal(pd_profile_build(&profile, values + 1, 1, 224), PD_OK);
    assert_close(profile.ranges[PD_TRAIT_MEAN].low, values[1][0], 0);
    assert_close(profile.ranges[PD_TRAIT_MEAN].high, values[1][0], 0);
    free(values);
}

/* side, ratio, black, deviation, mean, sharpness, likeness */
static const double two[2][PD_TRAITS] = {{500, 0.8, 0.1, 30, 80, 0.1, 0.5},
                                         {900, 2.0, 0.3, 77.5, 155, 0.3, 0.9}};

static void check_limits(const pd_trait_range *range, double least, double most)
{
    assert_close(range->least, least, 1e-3 * fabs(least));
    assert_close(range->most, most, 1e-3 * fabs(most));
}

static void test_limits(void **state)
{
    (void)state;
    pd_profile profile = {0};
    assert_int_equal(pd_profile_build(&profile, two, 2, 224), PD_OK);
    check_limits(&profile.ranges[PD_TRAIT_SIDE], 32, PD_IMAGE_SIDE_MAX);
    check_limits(&profile.ranges[PD_TRAIT_RATIO], 0.64, 2.5);
    check_limits(&profile.ranges[PD_TRAIT_BLACK], 0, 0.65);
    check_limits(&profile.ranges[PD_TRAIT_DEVIATION], 15, 102.5);
    check_limits(&profile.ranges[PD_TRAIT_MEAN], 40, 205);
    check_limits(&profile.ranges[PD_TRAIT_SHARPNESS], 0.033367, 0.9);
    check_limits(&profile.ranges[PD_TRAIT_LIKENESS], 0.4, 1);
    /* A side that occurs in the data set, packed or not, is not a reason. */
    assert_int_equal(pd_profile_build(&profile, two, 2, 28), PD_OK);
    check_limits(&profile.ranges[PD_TRAIT_SIDE], 28, PD_IMAGE_SIDE_MAX);
    const double small[1][PD_TRAITS] = {{20, 1, 0, 10, 10, 0, -0.5}};
    assert_int_equal(pd_profile_build(&profile, small, 1, 64), PD_OK);
    check_limits(&profile.ranges[PD_TRAIT_SIDE], 20, PD_IMAGE_SIDE_MAX);
    check_limits(&profile.ranges[PD_TRAIT_RATIO], 1.0 / 3, 3); /* the same for all */
    check_limits(&profile.ranges[PD_TRAIT_LIKENESS], -0.6, 1);
}

/* Changes one trait of a typical image and checks the reason. */
static void check_reason(const pd_profile *profile, pd_trait trait, double value,
                         const char *expected)
{
    pd_traits traits = {.height = 1, .width = 5000};
    char text[PD_REASON_SIZE];
    memcpy(traits.values, two[0], sizeof traits.values);
    assert_int_equal(pd_profile_check(profile, &traits), PD_TRAITS);
    traits.values[trait] = value;
    assert_int_equal(pd_profile_check(profile, &traits), trait);
    pd_profile_reason(text, profile, &traits, trait);
    assert_string_equal(text, expected);
    /* Unknown traits are not checked. */
    traits.values[trait] = (double)NAN;
    assert_int_equal(pd_profile_check(profile, &traits), PD_TRAITS);
}

static void test_reasons(void **state)
{
    (void)state;
    pd_profile profile = {0};
    assert_int_equal(pd_profile_build(&profile, two, 2, 224), PD_OK);
    profile.ranges[PD_TRAIT_RATIO].low = 0.8; /* the middle 99.9 % of two images are narrower */
    profile.ranges[PD_TRAIT_RATIO].high = 2;
    check_reason(&profile, PD_TRAIT_SIDE, 1,
                 "image is 5000 x 1: its shorter side has fewer than 32 pixels");
    check_reason(&profile, PD_TRAIT_RATIO, 5000,
                 "image is 5000 x 1: unlike the training images (width/height 5000, training 0.8 "
                 "to 2)");
    check_reason(&profile, PD_TRAIT_BLACK, 0.66,
                 "almost black (share of black pixels 66 %, training 10 to 30 %)");
    check_reason(&profile, PD_TRAIT_DEVIATION, 0,
                 "almost blank (deviation of grey values 0, training 30 to 77.5)");
    check_reason(&profile, PD_TRAIT_DEVIATION, 9.5,
                 "little contrast at the packed size (deviation of grey values 9.5, training 30 to "
                 "77.5)");
    check_reason(&profile, PD_TRAIT_DEVIATION, 125,
                 "unlike the training images (deviation of grey values 125, training 30 to 77.5)");
    check_reason(&profile, PD_TRAIT_MEAN, 20,
                 "unlike the training images (mean grey value 20, training 80 to 155)");
    check_reason(&profile, PD_TRAIT_SHARPNESS, 4.5,
                 "unlike the training images (sharpness 4.5, training 0.1 to 0.3)");
    check_reason(&profile, PD_TRAIT_LIKENESS, -0.25,
                 "unlike the training images (correlation with their mean -0.25, training 0.5 to "
                 "0.9)");
    profile.ranges[PD_TRAIT_RATIO] = (pd_trait_range){NAN, NAN, 1.0 / 3, 3};
    check_reason(&profile, PD_TRAIT_RATIO, 3.5,
                 "image is 5000 x 1: unlike the training images (width/height 3.5, limits 0.333 "
                 "to 3)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_against_slow),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_likeness_against_slow),
        cmocka_unit_test(test_likeness_of_phantoms),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
