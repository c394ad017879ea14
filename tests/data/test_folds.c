/* Assigning patients to folds: no patient is in two, and the folds have the requested shares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"
#include "pneumo/data/folds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct pd_made {
    pd_sample *samples;
    int64_t count;
    int32_t patients;
} pd_made;

/* Appends patients of one label and cause, with sizes[kinds] images in rotation. */
static void add_patients(pd_made *made, int patients, const int *sizes, int kinds, pd_label label,
                         pd_cause cause)
{
    for (int p = 0; p < patients; p++, made->patients++) {
        for (int i = 0; i < sizes[p % kinds]; i++) {
            assert_in_range(made->count, 0, 9999);
            made->samples[made->count++] =
                (pd_sample){.label = label, .cause = cause, .patient = made->patients};
        }
    }
}

static pd_made make_samples(void)
{
    pd_made made = {0};
    assert_int_equal(pd_alloc(&made.samples, 10000, sizeof *made.samples), PD_OK);
    return made;
}

/* Similar to the public data set: few normal patients, many with several images, one with 30. */
static pd_made make_published(void)
{
    static const int several[] = {1, 2, 1, 1, 5, 1, 3}, one_large[] = {30};
    pd_made made = make_samples();
    add_patients(&made, 700, several, 6, PD_NORMAL, PD_CAUSE_NONE);
    add_patients(&made, 900, several, 7, PD_PNEUMONIA, PD_CAUSE_BACTERIA);
    add_patients(&made, 500, several, 7, PD_PNEUMONIA, PD_CAUSE_VIRUS);
    add_patients(&made, 1, one_large, 1, PD_PNEUMONIA, PD_CAUSE_BACTERIA);
    return made;
}

static void count_images(const pd_made *made, int64_t have[PD_FOLDS][PD_LABELS],
                         int64_t of_cause[PD_FOLDS][PD_CAUSES])
{
    memset(have, 0, sizeof(int64_t[PD_FOLDS][PD_LABELS]));
    memset(of_cause, 0, sizeof(int64_t[PD_FOLDS][PD_CAUSES]));
    for (int64_t i = 0; i < made->count; i++) {
        have[made->samples[i].fold][made->samples[i].label]++;
        of_cause[made->samples[i].fold][made->samples[i].cause]++;
    }
}

static int64_t count_leaks(const pd_made *made)
{
    int64_t leaks;
    int32_t example;
    assert_int_equal(pd_folds_leaks(&leaks, &example, made->samples, made->count), PD_OK);
    return leaks;
}

/* Patients with gaps between their numbers, one of them in two folds. */
static void patients_are_counted_by_fold(void **state)
{
    (void)state;
    const pd_sample samples[] = {
        {.patient = 7, .fold = PD_TEST},  {.patient = 2, .fold = PD_TRAIN},
        {.patient = 7, .fold = PD_TRAIN}, {.patient = 7, .fold = PD_TEST},
        {.patient = 0, .fold = PD_TRAIN}, {.patient = 2, .fold = PD_TRAIN}};
    int64_t patients[PD_FOLDS];
    assert_int_equal(pd_folds_patients(patients, samples, 6), PD_OK);
    assert_int_equal(patients[PD_TRAIN], 3);
    assert_int_equal(patients[PD_VAL], 0);
    assert_int_equal(patients[PD_TEST], 1);
}

static void balanced_shares_are_exact(void **state)
{
    (void)state;
    pd_made made = make_published();
    for (uint64_t seed = 1; seed <= 5; seed++) {
        pd_fold_options options = PD_FOLDS_DEFAULTS;
        int64_t have[PD_FOLDS][PD_LABELS], of_cause[PD_FOLDS][PD_CAUSES], virus = 0, ill = 0;
        options.seed = seed;
        assert_int_equal(pd_folds_assign(made.samples, made.count, made.patients, &options), PD_OK);
        assert_int_equal(count_leaks(&made), 0);
        count_images(&made, have, of_cause);
        int64_t half = (made.count * 15 + 100) / 200;
        for (int fold = 0; fold < PD_FOLDS; fold++) {
            virus += of_cause[fold][PD_CAUSE_VIRUS];
            ill += have[fold][PD_PNEUMONIA];
        }
        for (int fold = PD_VAL; fold <= PD_TEST; fold++) {
            assert_int_equal(have[fold][PD_NORMAL], half);
            assert_int_equal(have[fold][PD_PNEUMONIA], half);
            assert_true(llabs(of_cause[fold][PD_CAUSE_VIRUS] * ill - half * virus) <= ill);
        }
    }
    free(made.samples);
}

static void stratified_shares_are_exact(void **state)
{
    (void)state;
    pd_made made = make_published();
    pd_fold_options options = PD_FOLDS_DEFAULTS;
    int64_t have[PD_FOLDS][PD_LABELS], of_cause[PD_FOLDS][PD_CAUSES];
    options.shares = PD_SHARES_STRATIFIED;
    memcpy(options.ratio, (int[]){60, 10, 30}, sizeof options.ratio);
    assert_int_equal(pd_folds_assign(made.samples, made.count, made.patients, &options), PD_OK);
    assert_int_equal(count_leaks(&made), 0);
    count_images(&made, have, of_cause);
    for (int label = 0; label < PD_LABELS; label++) {
        int64_t total = have[PD_TRAIN][label] + have[PD_VAL][label] + have[PD_TEST][label];
        assert_int_equal(have[PD_VAL][label], (total * 10 + 50) / 100);
        assert_int_equal(have[PD_TEST][label], (total * 30 + 50) / 100);
    }
    free(made.samples);
}

/* 15 percent of 40 from patients with 3 and 4 images: 6 = 3 + 3 must be found. */
static void awkward_sizes_are_matched_exactly(void **state)
{
    (void)state;
    static const int sizes[] = {4, 3, 3};
    pd_made made = make_samples();
    add_patients(&made, 12, sizes, 3, PD_NORMAL, PD_CAUSE_NONE);
    add_patients(&made, 12, sizes, 3, PD_PNEUMONIA, PD_CAUSE_UNKNOWN);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        pd_fold_options options = PD_FOLDS_DEFAULTS;
        int64_t have[PD_FOLDS][PD_LABELS], of_cause[PD_FOLDS][PD_CAUSES];
        options.seed = seed;
        assert_int_equal(pd_folds_assign(made.samples, made.count, made.patients, &options), PD_OK);
        count_images(&made, have, of_cause);
        for (int label = 0; label < PD_LABELS; label++) {
            assert_int_equal(have[PD_VAL][label], 6);
            assert_int_equal(have[PD_TEST][label], 6);
        }
    }
    free(made.samples);
}

static void only_the_seed_decides(void **state)
{
    (void)state;
    pd_made a = make_published(), b = make_published();
    pd_fold_options options = PD_FOLDS_DEFAULTS;
    int64_t differing = 0;
    assert_int_equal(pd_folds_assign(a.samples, a.count, a.patients, &options), PD_OK);
    for (int64_t i = 0; i < b.count; i++)
        b.samples[i].fold = PD_TEST; /* the previous fold */
    assert_int_equal(pd_folds_assign(b.samples, b.count, b.patients, &options), PD_OK);
    for (int64_t i = 0; i < a.count; i++)
        assert_int_equal(a.samples[i].fold, b.samples[i].fold);
    options.seed = 2;
    assert_int_equal(pd_folds_assign(b.samples, b.count, b.patients, &options), PD_OK);
    for (int64_t i = 0; i < a.count; i++)
        differing += a.samples[i].fold != b.samples[i].fold;
    assert_true(differing > a.count / 10);
    free(a.samples);
    free(b.samples);
}

static void a_patient_of_both_classes_stays_in_train(void **state)
{
    (void)state;
    pd_made made = make_published();
    made.samples[made.count] = made.samples[0];
    made.samples[made.count++].label = PD_PNEUMONIA;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        pd_fold_options options = PD_FOLDS_DEFAULTS;
        options.seed = seed;
        assert_int_equal(pd_folds_assign(made.samples, made.count, made.patients, &options), PD_OK);
        assert_int_equal(made.samples[0].fold, PD_TRAIN);
        assert_int_equal(made.samples[made.count - 1].fold, PD_TRAIN);
    }
    free(made.samples);
}

static void refuse(const pd_made *made, const pd_fold_options *options, const char *words)
{
    assert_int_equal(pd_folds_assign(made->samples, made->count, made->patients, options),
                     PD_FAILED);
    if (!strstr(pd_error_message(), words))
        fail_msg("'%s' does not say '%s'", pd_error_message(), words);
}

static void a_class_that_is_too_small_is_an_error(void **state)
{
    (void)state;
    static const int one[] = {1}, hundred[] = {100};
    pd_fold_options options = PD_FOLDS_DEFAULTS;
    pd_made made = make_samples();
    add_patients(&made, 14, one, 1, PD_NORMAL, PD_CAUSE_NONE);
    add_patients(&made, 86, one, 1, PD_PNEUMONIA, PD_CAUSE_VIRUS);
    refuse(&made, &options, "too few NORMAL images");
    assert_non_null(strstr(pd_error_message(), "stratified"));
    options.shares = PD_SHARES_STRATIFIED;
    assert_int_equal(pd_folds_assign(made.samples, made.count, made.patients, &options), PD_OK);
    free(made.samples);

    /* A single normal patient cannot be in three folds. */
    made = make_samples();
    add_patients(&made, 1, hundred, 1, PD_NORMAL, PD_CAUSE_NONE);
    add_patients(&made, 100, one, 1, PD_PNEUMONIA, PD_CAUSE_VIRUS);
    refuse(&made, &options, "too few NORMAL patients");
    made.count = 101;
    made.patients = 2;
    refuse(&made, &options, "too small to be split");
    free(made.samples);
}

static void keep_moves_patients_of_train_to_val(void **state)
{
    (void)state;
    static const int sizes[] = {1, 4};
    pd_fold_options options = PD_FOLDS_DEFAULTS;
    options.policy = PD_FOLDS_KEEP;
    pd_made made = make_samples();
    add_patients(&made, 200, sizes, 2, PD_NORMAL, PD_CAUSE_NONE);
    add_patients(&made, 300, sizes, 2, PD_PNEUMONIA, PD_CAUSE_BACTERIA);
    add_patients(&made, 100, sizes, 2, PD_PNEUMONIA, PD_CAUSE_VIRUS);
    for (int64_t i = 0; i < made.count; i++)
        made.samples[i].fold = made.samples[i].patient % 10 < 4 ? PD_TEST : PD_TRAIN;
    assert_int_equal(pd_folds_assign(made.samples, made.count, made.patients, &options), PD_OK);
    for (int64_t i = 0; i < made.count; i++)
        assert_int_equal(made.samples[i].fold,
                         made.samples[i].patient % 10 < 4 ? PD_TEST : PD_TRAIN);

    options.val_from_train = 10;
    assert_int_equal(pd_folds_assign(made.samples, made.count, made.patients, &options), PD_OK);
    assert_int_equal(count_leaks(&made), 0);
    int64_t moved[PD_CAUSES] = {0};
    for (int64_t i = 0; i < made.count; i++) {
        bool new_patient = i == 0 || made.samples[i].patient != made.samples[i - 1].patient;
        moved[made.samples[i].cause] += new_patient && made.samples[i].fold == PD_VAL;
        if (made.samples[i].patient % 10 < 4)
            assert_int_equal(made.samples[i].fold, PD_TEST);
    }
    assert_int_equal(moved[PD_CAUSE_NONE], 12);
    assert_int_equal(moved[PD_CAUSE_BACTERIA], 18);
    assert_int_equal(moved[PD_CAUSE_VIRUS], 6);

    made.samples[0].fold = PD_VAL;
    made.samples[1].patient = 0;
    made.samples[1].fold = PD_TEST;
    assert_int_equal(count_leaks(&made), 1 + (made.samples[2].fold != PD_TEST));
    options.val_from_train = 99;
    made.count = 3;
    refuse(&made, &options, "cannot be moved");
    free(made.samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patients_are_counted_by_fold),
        cmocka_unit_test(balanced_shares_are_exact),
        cmocka_unit_test(stratified_shares_are_exact),
        cmocka_unit_test(awkward_sizes_are_matched_exactly),
        cmocka_unit_test(only_the_seed_decides),
        cmocka_unit_test(a_patient_of_both_classes_stays_in_train),
        cmocka_unit_test(a_class_that_is_too_small_is_an_error),
        cmocka_unit_test(keep_moves_patients_of_train_to_val),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
