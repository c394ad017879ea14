#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/verdict.h"

#include <math.h>
#include <string.h>

static const pd_targets targets = {0.95, 0.9};

static void set_row(pd_stress *stress, const char *name, double sensitivity, double specificity)
{
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        pd_metrics *m = &stress->rows[i].metrics;
        if (strcmp(pd_stress_name(&stress->rows[i]), name) != 0)
            continue;
        m->sensitivity.value = sensitivity;
        m->specificity.value = specificity;
        m->balanced_accuracy.value = (sensitivity + specificity) / 2;
        if (m->balanced_accuracy.value <
            stress->rows[stress->worst].metrics.balanced_accuracy.value)
            stress->worst = i;
        return;
    }
    fail_msg("there is no row '%s'", name);
}

/* All rows at 98 % and 97 %. */
static pd_stress make_stress(void)
{
    pd_stress stress = {.present = true};
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        stress.rows[i].change = i - 1;
        stress.rows[i].metrics.balanced_accuracy.value = 1;
    }
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        set_row(&stress, pd_stress_name(&stress.rows[i]), 0.98, 0.97);
    return stress;
}

static void check_lines(const pd_verdict *verdict, bool missed, const char *const *expected)
{
    int count = 0;
    while (expected[count] != NULL)
        count++;
    for (int i = 0; i < verdict->count && i < count; i++)
        assert_string_equal(verdict->lines[i], expected[i]);
    assert_int_equal(verdict->count, count);
    assert_int_equal(verdict->missed, missed);
}

static void test_holds(void **state)
{
    (void)state;
    pd_stress stress = make_stress();
    set_row(&stress, "jpeg-10", 0.951, 0.92);
    set_row(&stress, "turn-10", 0.95, 0.9); /* exactly met */
    pd_verdict verdict = pd_verdict_of(&stress, "", targets);
    check_lines(&verdict, false,
                (const char *[]){"No change of the catalogue reduces the sensitivity below 95 % or "
                                 "the specificity below 90 % on images; the worst are images "
                                 "turned by 10 degrees (sensitivity 95.0 %, specificity 90.0 %).",
                                 NULL});
    verdict = pd_verdict_of(&(pd_stress){.present = false}, "", targets);
    assert_true(verdict.count == 0 && !verdict.missed);
}

/* Each family by its lowest sensitivity and its lowest specificity that miss a target, the lowest
 * balanced accuracy first. */
static void test_families(void **state)
{
    (void)state;
    pd_stress stress = make_stress();
    set_row(&stress, "zoom-in-0.85", 0.97, 0.5);
    set_row(&stress, "zoom-in-0.7", 0.96, 0.6);
    set_row(&stress, "jpeg-10", 0.949, 0.4);
    set_row(&stress, "gamma-1.4", 0.94, 0.99);
    set_row(&stress, "gamma-0.7", 0.955, 0.905); /* lower balanced accuracy, but no target missed */
    pd_verdict verdict = pd_verdict_of(&stress, "validation ", targets);
    check_lines(
        &verdict, true,
        (const char *[]){
            "On validation images compressed at JPEG quality 10 the sensitivity falls to 94.9 % "
            "(target 95 %) and the specificity falls to 40.0 % (target 90 %): do not trust this "
            "model on images with other sharpness or compression.",
            "On validation images zoomed in by 15 % the specificity falls to 50.0 % (target 90 %): "
            "do not trust this model on images framed differently.",
            "On validation images darkened by a gamma of 1.4 the sensitivity falls to 94.0 % "
            "(target 95 %): do not trust this model on images exposed differently.",
            NULL});
    set_row(&stress, "zoom-0.85-gamma-1.4", 0.9, 0.2);
    verdict = pd_verdict_of(&stress, "", targets);
    assert_int_equal(verdict.count, 4);
    set_row(&stress, "zoom-out-black-1.3", 0.7, 0.99);
    verdict = pd_verdict_of(&stress, "", targets);
    assert_int_equal(verdict.count, 5);
    assert_string_equal(
        verdict.lines[2],
        "On images zoomed in by 15 % the specificity falls to 50.0 % (target 90 %): "
        "do not trust this model on images framed differently.");
    assert_string_equal(verdict.lines[3],
                        "On images with a black frame of 12 % the sensitivity falls to 70.0 % "
                        "(target 95 %): do not trust this model on images framed differently.");
    assert_non_null(strstr(verdict.lines[0], "On images zoomed in by 15 % and darkened the "));
    assert_non_null(strstr(verdict.lines[0], "on images changed in several ways at once."));
}

/* Where the unchanged images miss a target, a change counts if it lowers the figure further. */
static void test_clean_misses(void **state)
{
    (void)state;
    pd_stress stress = make_stress();
    set_row(&stress, "clean", 0.98, 0.89996);
    set_row(&stress, "mirror", 0.98, 0.8999);
    set_row(&stress, "sharpen-1", 0.97, 0.89999);
    set_row(&stress, "gamma-0.7", 0.98, 0.89996);
    pd_verdict verdict = pd_verdict_of(&stress, "", targets);
    check_lines(&verdict, true,
                (const char *[]){
                    "On images as they are the specificity is 89.996 % (target 90 %), before any "
                    "change.",
                    "On images mirrored the specificity falls to 89.990 % (target 90 %): do not "
                    "trust this model on images framed differently.",
                    NULL});
}

/* Leaves only pneumonias. */
static void remove_normals(pd_stress *stress)
{
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        stress->rows[i].metrics.specificity.value =
            stress->rows[i].metrics.balanced_accuracy.value = (double)NAN;
    stress->worst = PD_STRESS_NO_ROW;
}

#define NO_SPECIFICITY(images)                                                                     \
    "The stress test has no verdict on the specificity: none of its " images " is normal."

/* The figure of the only class is judged. */
static void test_one_class(void **state)
{
    (void)state;
    pd_stress stress = make_stress();
    remove_normals(&stress);
    pd_verdict verdict = pd_verdict_of(&stress, "validation ", targets);
    check_lines(&verdict, false, (const char *[]){NO_SPECIFICITY("validation images"), NULL});
    assert_true(verdict.unknown);

    stress = make_stress();
    set_row(&stress, "clean", 0.375, 0.9);
    set_row(&stress, "zoom-in-0.7", 0.3, 0.9);
    set_row(&stress, "jpeg-10", 0.2, 0.9);
    remove_normals(&stress);
    verdict = pd_verdict_of(&stress, "", targets);
    check_lines(&verdict, true,
                (const char *[]){"On images as they are the sensitivity is 37.5 % (target 95 %), "
                                 "before any change.",
                                 "On images compressed at JPEG quality 10 the sensitivity falls to "
                                 "20.0 % (target 95 %): do not trust this model on images with "
                                 "other sharpness or compression.",
                                 "On images zoomed in by 30 % the sensitivity falls to 30.0 % "
                                 "(target 95 %): do not trust this model on images framed "
                                 "differently.",
                                 NO_SPECIFICITY("images"), NULL});
    assert_false(verdict.unknown);
}

/* Both folds: neither hides what the other one misses. */
static void test_two_folds(void **state)
{
    (void)state;
    const char *holds = "No change of the catalogue reduces the sensitivity below 95 % or the "
                        "specificity below 90 % on test images; the worst are images as they are "
                        "(sensitivity 98.0 %, specificity 97.0 %).";
    const char *val_misses =
        "On validation images mirrored the specificity falls to 50.0 % (target 90 %): do not trust "
        "this model on images framed differently.";
    const char *test_misses =
        "On test images mirrored the sensitivity falls to 90.0 % (target 95 %): do not trust this "
        "model on images framed differently.";
    pd_results results = {.target_sensitivity = 0.95, .target_specificity = 0.9};
    results.val.stress = results.test.stress = make_stress();
    pd_verdict verdict = pd_verdict_of_results(&results);
    check_lines(&verdict, false, (const char *[]){holds, NULL});

    set_row(&results.val.stress, "mirror", 0.98, 0.5);
    verdict = pd_verdict_of_results(&results);
    check_lines(&verdict, true, (const char *[]){val_misses, holds, NULL});

    set_row(&results.test.stress, "mirror", 0.9, 0.97);
    verdict = pd_verdict_of_results(&results);
    check_lines(&verdict, true, (const char *[]){test_misses, val_misses, NULL});

    results.test.stress = make_stress();
    remove_normals(&results.test.stress);
    verdict = pd_verdict_of_results(&results);
    check_lines(&verdict, true, (const char *[]){val_misses, NO_SPECIFICITY("test images"), NULL});
    assert_false(verdict.unknown);

    results.val.stress = make_stress();
    verdict = pd_verdict_of_results(&results);
    assert_true(!verdict.missed && !verdict.unknown && verdict.count == 2);
    assert_string_equal(verdict.lines[1], NO_SPECIFICITY("test images"));

    results.val.stress.present = false;
    verdict = pd_verdict_of_results(&results);
    check_lines(&verdict, false, (const char *[]){NO_SPECIFICITY("images"), NULL});
    assert_true(verdict.unknown);
}

/* Names what was chosen on changed images of the validation fold. */
static void test_caveat(void **state)
{
    (void)state;
    const struct {
        bool epoch;
        const char *fold, *begins;
    } table[] = {{true, "val changed", "Epoch and threshold were chosen on changed images of "},
                 {true, "val", "The epoch was chosen on "},
                 {false, "val changed", "The threshold was chosen on "},
                 {false, "val", NULL},
                 {false, NULL, NULL}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        pd_results results = {.epoch_on_changed = table[i].epoch, .decision_fold = table[i].fold};
        results.test.stress.present = true;
        assert_null(pd_verdict_caveat(&results));
        results.val.stress.present = true;
        const char *caveat = pd_verdict_caveat(&results);
        assert_int_equal(caveat == NULL, table[i].begins == NULL);
        if (caveat != NULL)
            assert_ptr_equal(strstr(caveat, table[i].begins), caveat);
        results.other_data = true;
        assert_null(pd_verdict_caveat(&results));
    }
}

/* The longest possible line fits. */
static void test_nothing_is_cut(void **state)
{
    (void)state;
    for (int i = 1; i < PD_STRESS_ROWS; i++) {
        pd_stress stress = make_stress();
        set_row(&stress, pd_stress_name(&stress.rows[i]), 0.949999, 0.899999);
        pd_verdict verdict = pd_verdict_of(&stress, "validation ", targets);
        assert_int_equal(verdict.count, 1);
        const char *line = verdict.lines[0];
        assert_true(strlen(line) < sizeof verdict.lines[0] - 1 && line[strlen(line) - 1] == '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds),          cmocka_unit_test(test_families),
        cmocka_unit_test(test_clean_misses),   cmocka_unit_test(test_one_class),
        cmocka_unit_test(test_two_folds),      cmocka_unit_test(test_caveat),
        cmocka_unit_test(test_nothing_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
