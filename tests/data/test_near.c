/* Near-duplicates of made radiographs, and the search among hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/near.h"
#include "data/near_pairs.h"
#include "data/phantom.h"
#include "pneumo/base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 24 };

static pd_image images[IMAGES]; /* of different patients */

static int draw_images(void **state)
{
    (void)state;
    pd_opacity opacity;
    for (int i = 0; i < IMAGES; i++)
        if (pd_phantom_draw(&images[i], &opacity, 5, i % 2 ? PD_CAUSE_VIRUS : PD_CAUSE_NONE, i,
                            0) != PD_OK)
            return -1;
    return 0;
}

static int free_images(void **state)
{
    (void)state;
    for (int i = 0; i < IMAGES; i++)
        pd_image_free(&images[i]);
    return 0;
}

/* --- Copies --- */

static void copy_image(pd_image *out, const pd_image *from)
{
    size_t size = (size_t)from->height * (size_t)from->width;
    *out = (pd_image){.height = from->height, .width = from->width, .pixels = malloc(size)};
    assert_non_null(out->pixels);
    memcpy(out->pixels, from->pixels, size);
}

static void as_jpeg(pd_image *out, const pd_image *from)
{
    unsigned char *bytes;
    size_t size;
    assert_int_equal(pd_image_encode_jpeg(&bytes, &size, from, 30), PD_OK);
    assert_int_equal(pd_image_decode(out, bytes, size), PD_OK);
    free(bytes);
}

static void resize(pd_image *out, const pd_image *from, int height, int width)
{
    *out = (pd_image){.height = height, .width = width, .pixels = malloc((size_t)(height * width))};
    assert_int_equal(pd_image_resize(out->pixels, height, width, from), PD_OK);
}

static void as_half(pd_image *out, const pd_image *from)
{
    resize(out, from, from->height / 2, from->width / 2);
}

static void as_square(pd_image *out, const pd_image *from)
{
    resize(out, from, 224, 224);
}

/* Each grey through a curve. */
static void recolour(pd_image *out, const pd_image *from, double scale, double add, double power)
{
    copy_image(out, from);
    for (int i = 0; i < from->height * from->width; i++) {
        double grey = 255 * pow(from->pixels[i] / 255.0, power) * scale + add;
        out->pixels[i] = (uint8_t)fmax(0, fmin(255, grey));
    }
}

static void as_brighter(pd_image *out, const pd_image *from)
{
    recolour(out, from, 1.15, 10, 1);
}

static void as_darker(pd_image *out, const pd_image *from)
{
    recolour(out, from, 0.8, -5, 1);
}

static void with_gamma(pd_image *out, const pd_image *from)
{
    recolour(out, from, 1, 0, 1.3);
}

static void with_noise(pd_image *out, const pd_image *from)
{
    pd_random random = pd_random_stream(1, PD_PURPOSE_PHANTOM, 0, 0);
    copy_image(out, from);
    for (int i = 0; i < from->height * from->width; i++)
        out->pixels[i] =
            (uint8_t)fmax(0, fmin(255, from->pixels[i] + (double)pd_random_below(&random, 17) - 8));
}

static void as_mirror(pd_image *out, const pd_image *from)
{
    copy_image(out, from);
    for (int i = 0; i < from->height * from->width; i++)
        out->pixels[i] = from->pixels[i - i % from->width + (from->width - 1 - i % from->width)];
}

static bool is_near(const pd_image *a, const pd_image *b, bool mirrored)
{
    uint8_t small[2][PD_NEAR_BYTES];
    static float details[2][PD_NEAR_BYTES];
    uint64_t hashes[2];
    const pd_image *both[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pd_near_copy(small[i], both[i]), PD_OK);
        hashes[i] = pd_near_hash(small[i]);
        assert_true(pd_near_details(details[i], small[i]));
    }
    if (mirrored)
        hashes[1] = pd_near_mirror(hashes[1]);
    return __builtin_popcountll(hashes[0] ^ hashes[1]) <= PD_NEAR_DISTANCE &&
           pd_near_correlation(details[0], details[1], mirrored) >= PD_NEAR_CORRELATION;
}

static void changed_copies_are_near(void **state)
{
    (void)state;
    void (*const changes[])(pd_image *, const pd_image *) = {
        as_jpeg, as_half, as_square, as_brighter, as_darker, with_gamma, with_noise};
    for (size_t c = 0; c < sizeof changes / sizeof *changes; c++) {
        int found = 0;
        for (int i = 0; i < IMAGES; i++) {
            pd_image changed;
            changes[c](&changed, &images[i]);
            found += is_near(&images[i], &changed, false);
            assert_false(is_near(&images[(i + 1) % IMAGES], &changed, false));
            pd_image_free(&changed);
        }
        /* A strong change may hide an odd copy. */
        if (found < IMAGES - 1)
            fail_msg("change %zu: %d of %d copies are found", c, found, IMAGES);
    }
}

static void mirrored_copies_are_near(void **state)
{
    (void)state;
    for (int i = 0; i < IMAGES; i++) {
        pd_image mirrored;
        as_mirror(&mirrored, &images[i]);
        assert_true(is_near(&images[i], &mirrored, true));
        assert_false(is_near(&images[i], &mirrored, false));
        pd_image_free(&mirrored);
    }
}

static void different_images_are_not_near(void **state)
{
    (void)state;
    for (int i = 0; i < IMAGES; i++)
        for (int j = 0; j < i; j++)
            for (int mirrored = 0; mirrored < 2; mirrored++)
                assert_false(is_near(&images[i], &images[j], mirrored != 0));
}

/* The mean of the area of a pixel, in floating point. */
static double mean_of_area(const pd_image *image, int row, int column)
{
    double sum = 0, area = 0, side = PD_NEAR_SIDE;
    for (int y = 0; y < image->height; y++) {
        double high = fmin(y + 1, (row + 1) * image->height / side);
        double wide_y = fmax(0, high - fmax(y, row * image->height / side));
        for (int x = 0; x < image->width && wide_y > 0; x++) {
            high = fmin(x + 1, (column + 1) * image->width / side);
            double wide = wide_y * fmax(0, high - fmax(x, column * image->width / side));
            sum += wide * image->pixels[y * image->width + x];
            area += wide;
        }
    }
    return sum / area;
}

static void a_copy_has_the_means_of_areas(void **state)
{
    (void)state;
    static const int shapes[][2] = {{64, 64}, {97, 131}, {1, 1}, {3, 500}, {40, 30}, {256, 128}};
    pd_random random = pd_random_stream(2, PD_PURPOSE_PHANTOM, 0, 0);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        uint8_t small[PD_NEAR_BYTES], *pixels = malloc((size_t)(shapes[s][0] * shapes[s][1]));
        pd_image image = {.height = shapes[s][0], .width = shapes[s][1], .pixels = pixels};
        for (int i = 0; i < image.height * image.width; i++)
            pixels[i] = (uint8_t)pd_random_below(&random, 256);
        assert_int_equal(pd_near_copy(small, &image), PD_OK);
        for (int i = 0; i < PD_NEAR_BYTES; i++)
            assert_true(fabs(small[i] - mean_of_area(&image, i / PD_NEAR_SIDE, i % PD_NEAR_SIDE)) <
                        0.5 + 1e-6);
        free(pixels);
    }
}

static void plain_images_have_no_details(void **state)
{
    (void)state;
    uint8_t small[PD_NEAR_BYTES];
    static float details[PD_NEAR_BYTES], others[PD_NEAR_BYTES];
    for (int grey = 0; grey < 256; grey += 51) {
        memset(small, grey, sizeof small);
        small[77] = (uint8_t)(grey ^ 1);
        assert_false(pd_near_details(details, small));
        assert_int_equal(pd_near_copy(small, &images[0]), PD_OK);
        assert_true(pd_near_details(others, small));
        assert_true(pd_near_correlation(details, others, false) == 0);
        assert_true(fabs(pd_near_correlation(others, others, false) - 1) < 1e-4);
    }
}

/* --- Search --- */

enum { HASHES = 3000 };

typedef struct pd_seen {
    unsigned char *pairs; /* [HASHES][HASHES]: visits, plain + 16 * mirrored */
    int64_t count;
} pd_seen;

static pd_status note(void *context, const pd_near_pair *pair)
{
    pd_seen *seen = context;
    assert_true(pair->b < pair->a);
    seen->pairs[pair->a * HASHES + pair->b] += pair->mirrored ? 16 : 1;
    seen->count++;
    return PD_OK;
}

static void the_search_equals_comparing_all(void **state)
{
    (void)state;
    static uint64_t hashes[HASHES];
    static bool plain[HASHES];
    pd_random random = pd_random_stream(3, PD_PURPOSE_PHANTOM, 0, 0);
    pd_seen seen = {.pairs = calloc(HASHES, HASHES)};
    pd_near_search *search;
    int64_t searched, close = 0;
    for (int i = 0; i < HASHES; i++) {
        hashes[i] = (uint64_t)pd_random_below(&random, UINT32_MAX) << 32 |
                    pd_random_below(&random, UINT32_MAX);
        if (i % 3 > 0) { /* a neighbour of an earlier one, at any distance up to 10 */
            hashes[i] = hashes[i / 3];
            for (uint32_t bits = pd_random_below(&random, 11); bits > 0; bits--)
                hashes[i] ^= UINT64_C(1) << pd_random_below(&random, 64);
        }
        if (i % 5 == 0)
            hashes[i] = pd_near_mirror(hashes[i]);
        plain[i] = i % 17 == 0;
    }
    assert_int_equal(pd_near_search_create(&search, hashes, plain, HASHES), PD_OK);
    assert_int_equal(pd_near_search_run(&searched, search, 0, INT64_MAX, note, &seen), PD_OK);
    assert_int_equal(searched, HASHES);
    for (int a = 0; a < HASHES; a++) {
        for (int b = 0; b < a; b++) {
            uint64_t difference = hashes[a] ^ hashes[b];
            bool both = !plain[a] && !plain[b];
            int near = both && __builtin_popcountll(difference) <= PD_NEAR_DISTANCE;
            int mirrored =
                both && __builtin_popcountll(difference ^ pd_near_mirror(0)) <= PD_NEAR_DISTANCE;
            assert_int_equal(seen.pairs[a * HASHES + b], near + 16 * mirrored);
            close += near + mirrored;
        }
    }
    assert_true(close > 1000);
    assert_int_equal(seen.count, close);
    seen.count = 0;
    assert_int_equal(pd_near_search_run(&searched, search, 0, 100, note, &seen), PD_OK);
    assert_in_range(searched, 1, HASHES - 1);
    assert_in_range(seen.count, 101, close);
    pd_near_search_destroy(&search);
    free(seen.pairs);
}

/* --- Pairs --- */

static void pairs_of_dropped_images_are_not_counted(void **state)
{
    (void)state;
    pd_near_pair made[] = {{.a = 1, .b = 0, .joins = true},
                           {.a = 2, .b = 0},
                           {.a = 3, .b = 2, .joins = true},
                           {.a = 4, .b = 3, .joins = true}};
    pd_near_pairs pairs = {.pairs = made, .count = 4, .joined = 3, .example = 0};
    pd_near_pairs_renumber(&pairs, (int64_t[]){0, -1, 1, 2, -1});
    assert_int_equal(pairs.count, 2);
    assert_int_equal(pairs.joined, 1);
    assert_int_equal(pairs.example, 1);
    assert_int_equal(made[1].a, 2);
    assert_int_equal(made[1].b, 1);
    pd_near_pairs_renumber(&pairs, (int64_t[]){0, 1, -1});
    assert_int_equal(pairs.count, 1);
    assert_int_equal(pairs.joined, 0);
    assert_int_equal(pairs.example, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_copies_are_near),
        cmocka_unit_test(mirrored_copies_are_near),
        cmocka_unit_test(different_images_are_not_near),
        cmocka_unit_test(a_copy_has_the_means_of_areas),
        cmocka_unit_test(plain_images_have_no_details),
        cmocka_unit_test(the_search_equals_comparing_all),
        cmocka_unit_test(pairs_of_dropped_images_are_not_counted),
    };
    return cmocka_run_group_tests(tests, draw_images, free_images);
}
