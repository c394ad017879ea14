/* Parts of the train fold: size, class shares, whole patients, and that a larger part holds a
 * smaller one. */
#include "pneumo/data/subset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 900, CLASSES = 2 };

static pd_sample samples[2 * IMAGES];
static int64_t ids[IMAGES];
static int32_t labels[IMAGES];

/* Every second sample is in the fold; a third are of class 0; patients have 1 to 5 images. */
static void make_fold(void)
{
    int32_t patient = 0;
    for (int i = 0, left = 0; i < IMAGES; i++, left--) {
        if (left == 0) {
            patient++;
            left = 1 + patient % 5;
        }
        ids[i] = 2 * i + 1;
        samples[ids[i]].patient = patient;
        labels[i] = i < IMAGES / 3 ? 0 : 1;
    }
}

static size_t choose(size_t images, uint64_t seed)
{
    size_t count = IMAGES;
    make_fold();
    assert_int_equal(pd_subset_choose(ids, labels, &count, samples, CLASSES, images, seed), PD_OK);
    return count;
}

static void parts_have_the_asked_size_and_the_class_shares(void **state)
{
    (void)state;
    static const size_t sizes[] = {3, 10, 100, 899, 900, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t wanted = sizes[i] < IMAGES ? sizes[i] : IMAGES, first = 0;
        assert_int_equal(choose(sizes[i], 1), wanted);
        for (size_t j = 0; j < wanted; j++) {
            first += labels[j] == 0;
            assert_int_equal(labels[j], (ids[j] - 1) / 2 < IMAGES / 3 ? 0 : 1);
            assert_true(j == 0 || ids[j - 1] < ids[j]);
        }
        assert_true(3 * first + 2 >= wanted && 3 * first <= wanted + 2);
    }
}

/* Of each class, all patients but one have all or none of their images in the part. */
static void patients_stay_whole(void **state)
{
    (void)state;
    int in[IMAGES][CLASSES] = {{0}}, all[IMAGES][CLASSES] = {{0}}, parts[CLASSES] = {0};
    size_t count = choose(100, 1);
    for (size_t i = 0; i < count; i++)
        in[samples[ids[i]].patient][labels[i]]++;
    make_fold();
    for (int i = 0; i < IMAGES; i++)
        all[samples[ids[i]].patient][labels[i]]++;
    for (int p = 0; p < IMAGES; p++)
        for (int label = 0; label < CLASSES; label++)
            parts[label] += in[p][label] > 0 && in[p][label] < all[p][label];
    assert_true(parts[0] <= 1 && parts[1] <= 1);
}

static void a_larger_part_has_the_images_of_a_smaller_one(void **state)
{
    (void)state;
    bool small[2 * IMAGES] = {false};
    size_t count = choose(99, 5), found = 0;
    for (size_t i = 0; i < count; i++)
        small[ids[i]] = true;
    count = choose(300, 5);
    for (size_t i = 0; i < count; i++)
        found += small[ids[i]];
    assert_int_equal(found, 99);
    count = choose(300, 6);
    found = 0;
    for (size_t i = 0; i < count; i++)
        found += small[ids[i]];
    assert_true(found < 60); /* about a third by chance */
}

static void a_class_without_an_image_is_an_error(void **state)
{
    (void)state;
    size_t count = IMAGES;
    make_fold();
    assert_int_equal(pd_subset_choose(ids, labels, &count, samples, CLASSES, 1, 1), PD_FAILED);
    assert_string_equal(pd_error_message(), "too few for one image of each class");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_have_the_asked_size_and_the_class_shares),
        cmocka_unit_test(patients_stay_whole),
        cmocka_unit_test(a_larger_part_has_the_images_of_a_smaller_one),
        cmocka_unit_test(a_class_without_an_image_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
