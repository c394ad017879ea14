/* Detecting two data sets that have a patient in different folds, or test images in common. */
#include "pneumo/data/overlap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/files.h"

#define FOLDER "data-overlap"

enum { COUNT = 6, PIXELS = 4 };

/* An image: its pixels are all `grey`. */
typedef struct given {
    uint8_t grey;
    int32_t patient;
    pd_fold fold;
} given;

/* Patient 1 has two images, patient 2 three. */
static const given base[COUNT] = {{10, 1, PD_TRAIN}, {11, 1, PD_TRAIN}, {20, 2, PD_VAL},
                                  {21, 2, PD_VAL},   {22, 2, PD_VAL},   {30, 3, PD_TEST}};

static pd_dataset *open_new(const char *path, const given *images, int count)
{
    pd_dataset *dataset;
    pd_sample samples[COUNT];
    uint8_t pixels[COUNT][PIXELS];
    char names[COUNT][16];
    pd_dataset_info info = {.count = count, .height = 2, .width = 2, .deviation = 1};
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%d.jpeg", images[i].grey);
        memset(pixels[i], images[i].grey, PIXELS);
        samples[i] =
            (pd_sample){.patient = images[i].patient, .fold = images[i].fold, .name = names[i]};
    }
    assert_int_equal(pd_dataset_create(&dataset, path, &info, samples), PD_OK);
    assert_int_equal(pd_dataset_write(dataset, 0, count, pixels[0]), PD_OK);
    assert_int_equal(pd_dataset_finish(dataset, &info), PD_OK);
    pd_dataset_destroy(&dataset);
    assert_int_equal(pd_dataset_open(&dataset, path), PD_OK);
    return dataset;
}

/* Compares the base with another data set, in both orders. */
static pd_status check(const given *images, int count)
{
    fresh_folder(FOLDER);
    pd_dataset *a = open_new(FOLDER "/a.h5", base, COUNT);
    pd_dataset *b = open_new(FOLDER "/b.h5", images, count);
    const pd_overlap_side left = {a, "a.h5"}, right = {b, "b.h5"};
    pd_status status = pd_overlap_check(&right, &left);
    assert_int_equal(pd_overlap_check(&left, &right), status);
    pd_dataset_destroy(&a);
    pd_dataset_destroy(&b);
    return status;
}

static void test_agree(void **state)
{
    (void)state;
    /* Other patient numbers, another order, and images that are in only one data set. */
    const given same[] = {{30, 0, PD_TEST}, {22, 3, PD_VAL}, {11, 2, PD_TRAIN}, {40, 1, PD_VAL}};
    assert_int_equal(check(base, COUNT), PD_OK);
    assert_int_equal(check(same, 4), PD_OK);
}

static void test_image_in_another_fold(void **state)
{
    (void)state;
    const given moved[] = {{20, 0, PD_TRAIN}};
    assert_int_equal(check(moved, 1), PD_FAILED);
    assert_message(
        "a.h5 and b.h5: their folds contradict each other: the patient of '20.jpeg' (VAL) "
        "in the first has images in another fold than the patient of '20.jpeg' (TRAIN)");
    const given tested[] = {{30, 0, PD_VAL}};
    assert_int_equal(check(tested, 1), PD_FAILED);
}

/* The common image is in the same fold, but another image of its patient is not. */
static void test_patient_in_another_fold(void **state)
{
    (void)state;
    const given patient[] = {{40, 1, PD_TRAIN}, {20, 1, PD_VAL}};
    assert_int_equal(check(patient, 2), PD_FAILED);
    const given others[] = {{40, 0, PD_TRAIN}, {20, 1, PD_VAL}};
    assert_int_equal(check(others, 2), PD_OK);
}

/* Images with the same pixels within one file. */
static void test_repeated_pixels(void **state)
{
    (void)state;
    const given twice[] = {{20, 0, PD_VAL}, {20, 1, PD_VAL}, {20, 2, PD_TRAIN}};
    assert_int_equal(check(twice, 2), PD_OK);
    assert_int_equal(check(twice, 3), PD_FAILED);
}

/* By pixels, in the test folds of both only, and at one size only. */
static void test_shared_test_images(void **state)
{
    (void)state;
    const struct {
        given images[2];
        bool shared;
    } table[] = {
        {{{40, 0, PD_TEST}, {30, 1, PD_TEST}}, true},
        {{{40, 0, PD_TEST}, {30, 1, PD_VAL}}, false},
        {{{20, 0, PD_TEST}, {30, 1, PD_TRAIN}}, false},
        {{{30, 0, PD_TEST}, {30, 0, PD_TEST}}, true},
        {{{10, 0, PD_TRAIN}, {20, 1, PD_VAL}}, false}, /* an empty test fold */
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        bool shared, reverse;
        fresh_folder(FOLDER);
        pd_dataset *a = open_new(FOLDER "/a.h5", base, COUNT);
        pd_dataset *b = open_new(FOLDER "/b.h5", table[i].images, 2);
        assert_int_equal(pd_overlap_tests(&shared, a, b), PD_OK);
        assert_int_equal(pd_overlap_tests(&reverse, b, a), PD_OK);
        assert_true(shared == table[i].shared && reverse == shared);
        pd_dataset_destroy(&a);
        pd_dataset_destroy(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agree),
        cmocka_unit_test(test_image_in_another_fold),
        cmocka_unit_test(test_patient_in_another_fold),
        cmocka_unit_test(test_repeated_pixels),
        cmocka_unit_test(test_shared_test_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
