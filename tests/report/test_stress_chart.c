#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/stress_chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const pd_targets targets = {0.95, 0.9};

static void set_row(pd_stress *stress, int number, double sensitivity, double specificity)
{
    pd_metrics *m = &stress->rows[number].metrics;
    m->sensitivity = (pd_figure){sensitivity, sensitivity - 0.02, fmin(1, sensitivity + 0.02)};
    m->specificity = (pd_figure){specificity, specificity - 0.02, fmin(1, specificity + 0.02)};
    m->auc.value = 0.987;
}

static pd_stress make_stress(void)
{
    pd_stress stress = {.present = true};
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        stress.rows[i].change = i - 1;
        set_row(&stress, i, 0.97, 0.96);
    }
    return stress;
}

/* The chart (free()). */
static __attribute__((noinline)) char *draw(const pd_stress *stress)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    pd_stress_chart_write(out, stress, targets);
    assert_int_equal(fclose(out), 0);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf\""));
    return text;
}

static int occurrences(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

/* The x of the middle of the diamond of row `number`; rows are drawn in the order of families. */
static double diamond(const char *text, int number)
{
    double x;
    const char *at = text;
    for (int i = 0; i <= number; i++)
        at = strstr(at, "<polygon points=\"") + 1;
    assert_int_equal(sscanf(strchr(at, '"'), "\"%lf,", &x), 1);
    return x + 3.6;
}

static double line_of_target(const char *text, const char *dashes)
{
    double x;
    const char *at = strstr(text, dashes);
    assert_non_null(at);
    while (strncmp(at, "<polyline", 9) != 0)
        at--;
    assert_int_equal(sscanf(at, "<polyline points=\"%lf,", &x), 1);
    return x;
}

/* Figures lie where the axis says: at its ends, and on the line of a target that is just met. */
static void test_places(void **state)
{
    (void)state;
    pd_stress stress = make_stress();
    set_row(&stress, 0, 0.95, 0.96);
    set_row(&stress, 1, 1, 0.96);
    set_row(&stress, 2, 0.9, 0.96);
    char *text = draw(&stress); /* from 0.8 */
    assert_true(fabs(diamond(text, 0) - line_of_target(text, "dasharray=\"6 3\"")) < 0.11);
    assert_true(fabs(diamond(text, 2) - line_of_target(text, "dasharray=\"2 2\"")) < 0.11);
    assert_non_null(strstr(text, ">80<"));
    assert_null(strstr(text, ">70<"));
    double right = diamond(text, 1), middle = diamond(text, 2);
    free(text);

    /* A low figure moves the left end of the axis, not the right one. */
    set_row(&stress, 3, 0.31, 0.96); /* its interval begins at 0.29: from 0.2 */
    text = draw(&stress);
    assert_true(fabs(diamond(text, 1) - right) < 0.11);
    assert_true(fabs((right - diamond(text, 2)) - (right - middle) / 4) < 0.21);
    assert_non_null(strstr(text, ">20<"));
    assert_null(strstr(text, ">10<"));
    free(text);
}

static void test_marks(void **state)
{
    (void)state;
    pd_stress stress = make_stress();
    char *text = draw(&stress);
    assert_int_equal(occurrences(text, "var(--wrong)"), 0);
    assert_int_equal(occurrences(text, ">0.987<"), PD_STRESS_ROWS);
    assert_int_equal(occurrences(text, ">clean<"), 1);
    assert_non_null(strstr(text, "aria-label=\"Sensitivity and specificity under each of 25 "
                                 "changes; worst: images as they are."));
    free(text);

    stress.worst = 5;
    set_row(&stress, 5, 0.97, 0.5);
    set_row(&stress, 6, 0.94, 0.96);
    text = draw(&stress);
    assert_int_equal(occurrences(text, "var(--wrong)"), 2);
    assert_non_null(strstr(text, "font-weight=\"700\">zoom-out-black-1.08<"));
    free(text);
}

/* Undefined figures: names and lines, but no marks except the legend's. */
static void test_nothing_defined(void **state)
{
    (void)state;
    pd_stress stress = {.present = true};
    const pd_figure none = {NAN, NAN, NAN};
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        stress.rows[i] = (pd_stress_row){
            .change = i - 1, .metrics = {NAN, {0}, none, none, none, none, none, none, none}};
    char *text = draw(&stress);
    assert_int_equal(occurrences(text, "<polygon"), 1);
    assert_int_equal(occurrences(text, "stroke-dasharray"), 2);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_nothing_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
