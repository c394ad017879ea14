#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/report/calibrate_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *print(const pd_calibrate_result *result)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    pd_calibrate_print(out, result);
    fclose(out);
    return text;
}

static void check_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, text);
}

static void test_table(void **state)
{
    (void)state;
    pd_calibrate_result result = {
        .source = "two folders",
        .grouping = "by file name",
        .images = {50, 400},
        .patients = 300,
        .duplicates = 2,
        .before = {.threshold = 0.5, .temperature = 1.25},
        .after = {.threshold = 0.25, .temperature = 0.5, .rule = "a rule"},
        .parts = 10};
    pd_metrics_from_confusion(&result.judged_before, (pd_confusion){300, 100, 50, 0});
    pd_metrics_from_confusion(&result.judged_after, (pd_confusion){396, 4, 48, 2});
    pd_metrics_from_confusion(&result.held_out, (pd_confusion){392, 8, 45, 5});
    char *text = print(&result);
    check_has(text,
              "images: two folders: 50 normal and 400 pneumonia, of 300 patients (by file name)");
    check_has(text, "rule: a rule");
    check_has(text, "exact duplicates left out: 2");
    assert_null(strstr(text, "unreadable"));
    assert_null(strstr(text, "'before' was chosen on"));
    check_has(text, "Images of one patient are counted as independent");
    check_has(text, "75.0 % [ 70.5,  79.0]     99.0 % [ 97.5,  99.6]     98.0 % [ 96.1,  99.0]");
    check_has(text, "which is optimistic");
    check_has(text, "10 parts of whole patients");
    /* The half-width at 98 % of 400, and at 90 % of 50. */
    check_has(text, "sensitivity: the interval is +-1.4 points; that is under +-3 points");
    char expected[128];
    snprintf(
        expected, sizeof expected,
        "specificity: the interval is +-8.5 points; %d more normal images would bring it under "
        "+-3 points",
        (int)pd_wilson_trials(0.9, 0.03) - 50);
    check_has(text, expected);
    free(text);

    result.patients = 450;
    result.before_images = 12;
    text = print(&result);
    assert_null(strstr(text, "counted as independent"));
    check_has(text, "'before' was chosen on 12 of these images, too.");
    free(text);

    result.unknown_patients = 7;
    text = print(&result);
    check_has(text, "400 pneumonia; in the whole source the patient of 7 images is unknown");
    check_has(text, "10 parts,");
    assert_null(strstr(text, "patients"));
    free(text);

    result.parts = 1;
    pd_metrics_from_confusion(&result.held_out, (pd_confusion){0});
    text = print(&result);
    check_has(text, "it needs two groups with pneumonia images, and two with only\nnormal images.");
    check_has(text, "At the rates of 'after'");
    free(text);

    result.unknown_patients = 0;
    text = print(&result);
    check_has(text, "it needs two patients with pneumonia images, and");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
