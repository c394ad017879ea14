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

static void test_one_class(void **state)
{
    (void)state;
    pd_stress stress = make_stress();
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        stress.rows[i].metrics.specificity.value = stress.rows[i].metrics.balanced_accuracy.value =
            (double)NAN;
    pd_verdict verdict = pd_verdict_of(&stress, "validation ", targets);
    check_lines(&verdict, false,
                (const char *[]){"The stress test has no verdict: all its validation images are of "
                                 "one class.",
                                 NULL});
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
        cmocka_unit_test(test_nothing_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
