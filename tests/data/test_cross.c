/* Cross-validation puts every patient in one part, evenly, and does not change the test fold. */
#include "pneumo/data/cross.h"

#include "pneumo/base/random.h"
#include "pneumo/data/folds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/files.h"

#define FOLDER    "data-cross"
#define FILE_NAME FOLDER "/a.h5"

enum { COUNT = 900, PATIENTS = 400, PARTS = 5 };

static pd_sample samples[COUNT];

/* The label, cause and fold of a patient; a fifth of the patients are in test. */
static pd_sample sample_of(int32_t patient)
{
    pd_random random = pd_random_stream(3, PD_PURPOSE_TEST, 0, (uint64_t)patient);
    bool ill = pd_random_below(&random, 3) > 0;
    pd_sample sample = {.patient = patient, .name = "x.jpeg"};
    sample.label = ill ? PD_PNEUMONIA : PD_NORMAL;
    if (ill)
        sample.cause = pd_random_below(&random, 3) > 0 ? PD_CAUSE_BACTERIA : PD_CAUSE_VIRUS;
    sample.fold = (pd_fold)(pd_random_below(&random, 5) % PD_FOLDS);
    return sample;
}

/* Opens a data set of `count` images of PATIENTS patients, some with several. */
static pd_dataset *open_with(int64_t count, int64_t unknown_patients)
{
    static const uint8_t images[COUNT];
    pd_dataset *dataset;
    pd_dataset_info info = {.count = count,
                            .height = 1,
                            .width = 1,
                            .deviation = 1,
                            .unknown_patients = unknown_patients};
    pd_random random = pd_random_stream(4, PD_PURPOSE_TEST, 0, 0);
    fresh_folder(FOLDER);
    for (int i = 0; i < count; i++) /* the images of a patient are not adjacent */
        samples[i] = sample_of(i < PATIENTS ? i : (int32_t)pd_random_below(&random, PATIENTS));
    assert_int_equal(pd_dataset_create(&dataset, FILE_NAME, &info, samples), PD_OK);
    assert_int_equal(pd_dataset_write(dataset, 0, count, images), PD_OK);
    assert_int_equal(pd_dataset_finish(dataset, &info), PD_OK);
    pd_dataset_destroy(&dataset);
    assert_int_equal(pd_dataset_open(&dataset, FILE_NAME), PD_OK);
    return dataset;
}

static pd_dataset *open_new(int64_t count)
{
    return open_with(count, 0);
}

/* Every image outside test is in val in exactly one part and in train in all others, patients are
 * kept whole, and the counts agree. */
static void test_every_patient_once(void **state)
{
    (void)state;
    pd_dataset *dataset = open_new(COUNT);
    int in_val[COUNT] = {0};
    for (int part = 1; part <= PARTS; part++) {
        int64_t leaks, counted = 0;
        int32_t example;
        assert_int_equal(pd_cross_assign(dataset, PARTS, part, 1), PD_OK);
        const pd_sample *now = pd_dataset_samples(dataset);
        const pd_dataset_info *info = pd_dataset_get_info(dataset);
        assert_int_equal(pd_folds_leaks(&leaks, &example, now, COUNT), PD_OK);
        assert_int_equal(leaks, 0);
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(now[i].fold == PD_TEST, samples[i].fold == PD_TEST);
            in_val[i] += now[i].fold == PD_VAL;
            counted += now[i].fold == PD_VAL && now[i].label == PD_NORMAL;
        }
        assert_int_equal(info->counts[PD_VAL][PD_NORMAL], counted);
        assert_non_null(strstr(info->fold_policy, "of 5 of train and val"));
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(in_val[i], samples[i].fold != PD_TEST);
    pd_dataset_destroy(&dataset);
}

/* Each label and cause has about the same number of images in every part, since the patients that
 * are dealt last have few. */
static void test_parts_are_even(void **state)
{
    (void)state;
    pd_dataset *dataset = open_new(COUNT);
    int64_t images[PARTS][PD_LABELS][PD_CAUSES] = {{{0}}};
    for (int part = 0; part < PARTS; part++) {
        assert_int_equal(pd_cross_assign(dataset, PARTS, part + 1, 7), PD_OK);
        const pd_sample *now = pd_dataset_samples(dataset);
        for (int i = 0; i < COUNT; i++)
            images[part][now[i].label][now[i].cause] += now[i].fold == PD_VAL;
    }
    for (int part = 1; part < PARTS; part++)
        for (int label = 0; label < PD_LABELS; label++) {
            int64_t here = 0, there = 0;
            for (int cause = 0; cause < PD_CAUSES; cause++) {
                assert_true(labs((long)(images[part][label][cause] - images[0][label][cause])) <=
                            1);
                here += images[part][label][cause];
                there += images[0][label][cause];
            }
            assert_true(labs((long)(here - there)) <= 1);
        }
    pd_dataset_destroy(&dataset);
}

static void folds_of(pd_dataset *dataset, int part, uint64_t seed, pd_fold *folds)
{
    assert_int_equal(pd_cross_assign(dataset, PARTS, part, seed), PD_OK);
    for (int i = 0; i < COUNT; i++)
        folds[i] = pd_dataset_samples(dataset)[i].fold;
}

/* The result depends on the seed, not on the previous assignment. */
static void test_pure_function(void **state)
{
    (void)state;
    static pd_fold first[COUNT], again[COUNT], other[COUNT];
    pd_dataset *dataset = open_new(COUNT);
    folds_of(dataset, 2, 1, first);
    folds_of(dataset, 2, 2, other);
    folds_of(dataset, 5, 1, again);
    folds_of(dataset, 2, 1, again);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
    pd_dataset_destroy(&dataset);
}

static void test_too_few_patients(void **state)
{
    (void)state;
    enum { FEW = 8 };
    pd_dataset *dataset = open_new(FEW);
    assert_int_equal(pd_cross_assign(dataset, PARTS, 1, 1), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "fewer than the 5 parts"));
    for (int i = 0; i < FEW; i++)
        assert_int_equal(pd_dataset_samples(dataset)[i].fold, samples[i].fold);
    pd_dataset_destroy(&dataset);
}

/* Where patients are unknown, no text speaks of them. */
static void test_unknown_patients(void **state)
{
    (void)state;
    for (int64_t unknown = 0; unknown < 3; unknown += 2) {
        pd_dataset *dataset = open_with(COUNT, unknown);
        assert_int_equal(pd_cross_assign(dataset, PARTS, 2, 1), PD_OK);
        assert_string_equal(pd_dataset_get_info(dataset)->fold_policy,
                            unknown > 0 ? "by group, val is part 2 of 5 of train and val"
                                        : "by patient, val is part 2 of 5 of train and val");
        pd_dataset_destroy(&dataset);
        dataset = open_with(8, unknown);
        assert_int_equal(pd_cross_assign(dataset, PARTS, 1, 1), PD_FAILED);
        assert_non_null(strstr(pd_error_message(), unknown > 0 ? " groups, " : " patients, "));
        pd_dataset_destroy(&dataset);
    }
}

static int clear(void **state)
{
    (void)state;
    return system("rm -rf " FOLDER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_patient_once), cmocka_unit_test(test_parts_are_even),
        cmocka_unit_test(test_pure_function),      cmocka_unit_test(test_too_few_patients),
        cmocka_unit_test(test_unknown_patients),
    };
    return cmocka_run_group_tests(tests, NULL, clear);
}
