/* Acquisition changes: their effect compared with SciPy and libjpeg, that they are pure functions
 * of seed and sample, and the consistency of the catalogue. */
#include "pneumo/base/random.h"
#include "pneumo/data/augment.h"
#include "pneumo/data/change.h"
#include "pneumo/data/image.h"

#include "golden/changes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { H = GOLDEN_HEIGHT, W = GOLDEN_WIDTH, PIXELS = H * W };

static uint8_t image[PIXELS];
static const pd_grey_image original = {.height = H, .width = W, .pixels = image};
static float *scratch;

static int set_up(void **state)
{
    (void)state;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            image[y * W + x] =
                (uint8_t)(3 * x + 2 * y + 40 * ((x / 8 + y / 8) % 2) + 5 * (x * y % 11));
    scratch = malloc(pd_change_scratch(H, W) * sizeof *scratch);
    return scratch == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    free(scratch);
    return 0;
}

static const pd_change *find(const char *name)
{
    for (int i = 0; i < PD_CHANGES; i++)
        if (strcmp(pd_changes[i].name, name) == 0)
            return &pd_changes[i];
    fail_msg("the catalogue has no '%s'", name);
    return NULL;
}

static void apply(const pd_change *change, uint64_t seed, int64_t sample, uint8_t *out)
{
    assert_int_equal(pd_change_apply(change, seed, sample, &original, out, scratch), PD_OK);
}

static int pick(int i)
{
    return i * 1153 % PIXELS;
}

/* Rounding to whole grey values allows 0.5. JPEG codecs can differ by a few greys in single pixels.
 */
static void changes_match_scipy(void **state)
{
    (void)state;
    uint8_t out[PIXELS];
    for (size_t c = 0; c < sizeof golden_changes / sizeof *golden_changes; c++) {
        const char *name = golden_changes[c].name;
        const pd_change *change = find(name);
        double sum = 0;
        apply(change, 1, 7, out);
        for (int i = 0; i < GOLDEN_PICKS; i++) {
            double difference = fabs((double)out[pick(i)] - (double)golden_changes[c].greys[i]);
            sum += difference;
            if (difference > (change->jpeg > 0 ? 8 : 0.51))
                fail_msg("%s, pixel %d: %d instead of %g", name, pick(i), out[pick(i)],
                         (double)golden_changes[c].greys[i]);
        }
        assert_true(sum / GOLDEN_PICKS < (change->jpeg > 0 ? 2 : 0.4));
    }
}

static void maps_match_scipy(void **state)
{
    (void)state;
    float out[PIXELS];
    for (size_t c = 0; c < sizeof golden_maps / sizeof *golden_maps; c++) {
        pd_view view = pd_view_plain();
        memcpy(view.map, golden_maps[c].map, sizeof view.map);
        view.fill = golden_maps[c].fill;
        pd_view_render_grey(&view, &original, out, H, W, scratch);
        for (int i = 0; i < GOLDEN_PICKS; i++)
            if (fabsf(out[pick(i)] - golden_maps[c].greys[i]) > 0.02f)
                fail_msg("%s, pixel %d: %g instead of %g", golden_maps[c].name, pick(i),
                         (double)out[pick(i)], (double)golden_maps[c].greys[i]);
    }
}

/* Rotations go either way by the same angle about the centre; shifts have the same length in all
 * directions. */
static void directions_are_random_per_sample(void **state)
{
    (void)state;
    int left = 0, quadrants[4] = {0};
    const float c = cosf(0.17453293f), s = sinf(0.17453293f);
    for (int sample = 0; sample < 400; sample++) {
        pd_view turn = pd_change_view(find("turn-10"), 1, sample);
        const float *m = turn.map;
        assert_true(fabsf(m[0] - c) < 1e-5f && fabsf(m[4] - c) < 1e-5f);
        assert_true(fabsf(fabsf(m[3]) - s) < 1e-5f && fabsf(m[1] + m[3]) < 1e-5f);
        assert_true(fabsf(0.5f * (m[0] + m[1]) + m[2] - 0.5f) < 1e-5f);
        assert_true(fabsf(0.5f * (m[3] + m[4]) + m[5] - 0.5f) < 1e-5f);
        left += m[3] < 0;

        pd_view shift = pd_change_view(find("shift-0.08"), 1, sample);
        assert_true(shift.map[0] == 1 && shift.map[1] == 0 && shift.map[3] == 0);
        assert_true(fabsf(hypotf(shift.map[2], shift.map[5]) - 0.08f) < 1e-5f);
        quadrants[(shift.map[2] < 0) + 2 * (shift.map[5] < 0)]++;
    }
    assert_in_range(left, 160, 240);
    for (int i = 0; i < 4; i++)
        assert_in_range(quadrants[i], 60, 140);
}

/* Noise has the requested mean and deviation, measured on a grey at which nothing is clipped. */
static void noise_has_the_requested_deviation(void **state)
{
    (void)state;
    uint8_t grey[PIXELS], out[PIXELS];
    double sum = 0, squares = 0;
    memset(grey, 128, sizeof grey);
    const pd_grey_image even = {.height = H, .width = W, .pixels = grey};
    assert_int_equal(pd_change_apply(find("noise-0.04"), 1, 5, &even, out, scratch), PD_OK);
    for (int i = 0; i < PIXELS; i++) {
        double d = out[i] - 128.0;
        sum += d;
        squares += d * d;
    }
    /* Rounding to whole greys adds a variance of 1/12; the limits are four standard errors. */
    double deviation = sqrt(0.04 * 255 * 0.04 * 255 + 1.0 / 12);
    assert_true(fabs(sum / PIXELS) < 4 * deviation / sqrt(PIXELS));
    assert_true(fabs(sqrt(squares / PIXELS) - deviation) < 4 * deviation / sqrt(2.0 * PIXELS));
}

/* The result equals encoding and decoding by hand, and a lower quality has a larger error. */
static void jpeg_is_compressed_and_decoded(void **state)
{
    (void)state;
    double errors[2];
    const char *const names[] = {"jpeg-30", "jpeg-10"};
    for (int i = 0; i < 2; i++) {
        const pd_change *change = find(names[i]);
        uint8_t out[PIXELS];
        unsigned char *bytes = NULL;
        size_t size;
        pd_image decoded = {0};
        const pd_image given = {.height = H, .width = W, .pixels = image};
        apply(change, 1, 0, out);
        assert_int_equal(pd_image_encode_jpeg(&bytes, &size, &given, change->jpeg), PD_OK);
        assert_int_equal(pd_image_decode(&decoded, bytes, size), PD_OK);
        assert_memory_equal(out, decoded.pixels, PIXELS);
        errors[i] = 0;
        for (int p = 0; p < PIXELS; p++)
            errors[i] += pow((double)out[p] - image[p], 2) / PIXELS;
        pd_image_free(&decoded);
        free(bytes);
    }
    assert_true(errors[0] > 1 && errors[1] > 1.5 * errors[0]);
}

/* Deterministic changes are the same for every sample; random ones differ between samples, seeds
 * and changes. Nothing depends on previous calls. */
static void changes_are_pure_functions(void **state)
{
    (void)state;
    uint8_t first[PIXELS], again[PIXELS], other[PIXELS];
    for (int i = 0; i < PD_CHANGES; i++) {
        const pd_change *change = &pd_changes[i];
        bool drawn = change->shift > 0 || change->turn > 0 || change->noise > 0;
        apply(change, 3, 11, first);
        apply(&pd_changes[(i + 1) % PD_CHANGES], 3, 12, other);
        apply(change, 3, 11, again);
        assert_memory_equal(first, again, PIXELS);
        bool by_sample = false, by_seed = false; /* a rotation has only two directions */
        for (int k = 1; k < 16; k++) {
            apply(change, 3, 11 + k, other);
            by_sample = by_sample || memcmp(first, other, PIXELS) != 0;
            apply(change, 3 + (uint64_t)k, 11, other);
            by_seed = by_seed || memcmp(first, other, PIXELS) != 0;
        }
        assert_int_equal(by_sample, drawn);
        assert_int_equal(by_seed, drawn);
    }
}

/* Every row changes the image, has a description, and has a unique name. */
static void the_catalogue_is_consistent(void **state)
{
    (void)state;
    static uint8_t out[PD_CHANGES][PIXELS];
    int families[PD_CHANGE_FAMILIES] = {0};
    for (int i = 0; i < PD_CHANGES; i++) {
        const pd_change *change = &pd_changes[i];
        apply(change, 1, 0, out[i]);
        if (memcmp(out[i], image, PIXELS) == 0)
            fail_msg("%s changes nothing", change->name);
        assert_true(strlen(change->name) <= 20 && strlen(change->phrase) > 0);
        families[change->family]++;
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(change->name, pd_changes[j].name);
            assert_string_not_equal(change->phrase, pd_changes[j].phrase);
            assert_int_not_equal(memcmp(out[i], out[j], PIXELS), 0);
        }
    }
    for (int i = 0; i < PD_CHANGE_FAMILIES; i++)
        assert_true(families[i] > 0);
}

/* The noise of training differs from the noise of the stress test. */
static void augmentation_shares_no_random_numbers(void **state)
{
    (void)state;
    const pd_augment augment = {
        .crop_min = 1, .crop_max = 1, .crop_ratio = 1, .resample_min = 1, .noise = 0.04};
    pd_view tested = pd_change_view(find("noise-0.04"), 1, 9);
    for (uint32_t epoch = 0; epoch < 50; epoch++) {
        pd_view trained = pd_augment_draw(&augment, 1, epoch, 9, 0);
        assert_true(trained.noise_seed != tested.noise_seed);
    }
    /* So does the noise of another change of the same sample. */
    pd_view other = pd_change_view(find("sharpen-1"), 1, 9);
    assert_true(other.noise_seed != tested.noise_seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_match_scipy),
        cmocka_unit_test(maps_match_scipy),
        cmocka_unit_test(directions_are_random_per_sample),
        cmocka_unit_test(noise_has_the_requested_deviation),
        cmocka_unit_test(jpeg_is_compressed_and_decoded),
        cmocka_unit_test(changes_are_pure_functions),
        cmocka_unit_test(the_catalogue_is_consistent),
        cmocka_unit_test(augmentation_shares_no_random_numbers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
