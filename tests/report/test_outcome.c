#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/files.h"
#include "pneumo/base/random.h"
#include "pneumo/report/outcome.h"
#include "pneumo/report/report.h"

#include <cjson/cJSON.h>
#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char folder[] = "test_outcome.run";
static const char path[] = "test_outcome.run/report.json";

static pd_results make_report(void)
{
    const pd_metrics m = {.threshold = 0.375,
                          .confusion = {11, 12, 13, 14},
                          .accuracy = {0.48, 0.35, 0.61},
                          .sensitivity = {0.47, 0.29, 0.67},
                          .specificity = {0.5, 0.3, 0.7},
                          .precision = {NAN, NAN, NAN},
                          .f1 = {0.45, 0.3, 0.6},
                          .auc = {0.1 + 0.2, 0, 1}};
    return (pd_results){.job_name = "cnn",
                        .model = "cnn",
                        .data_digest = "00112233445566778899aabbccddeeff",
                        .parameters = 1629185,
                        .seconds = 1234.5,
                        .images_per_second = NAN,
                        .test = {.present = true, .chosen = m, .half = m}};
}

static void write_report(const pd_results *results)
{
    fresh_folder(folder);
    assert_int_equal(pd_report_write_json(path, results), PD_OK);
}

static void write_text(const char *text)
{
    unlink(path);
    spill(path, (const unsigned char *)text, strlen(text));
}

static void check_refused(const char *part)
{
    pd_outcome out;
    assert_int_equal(pd_outcome_read(&out, folder), PD_FAILED);
    assert_message(path);
    assert_message(part);
    assert_null(strchr(pd_error_message(), '\n'));
}

static void test_reads_what_report_writes(void **state)
{
    (void)state;
    pd_results r = make_report();
    pd_outcome out;
    write_report(&r);
    if (pd_outcome_read(&out, folder) != PD_OK)
        fail_msg("%s", pd_error_message());
    const pd_metrics *m = &r.test.chosen;
    const pd_figure *c = out.columns;
    assert_string_equal(out.folder, folder);
    assert_string_equal(out.job, "cnn");
    assert_string_equal(out.digest, r.data_digest);
    assert_true(out.threshold == 0.375);
    assert_memory_equal(&out.confusion, &m->confusion, sizeof out.confusion);
    assert_memory_equal(&c[PD_COLUMN_ACCURACY], &m->accuracy, sizeof(pd_figure));
    assert_memory_equal(&c[PD_COLUMN_RECALL], &m->sensitivity, sizeof(pd_figure));
    assert_memory_equal(&c[PD_COLUMN_SPECIFICITY], &m->specificity, sizeof(pd_figure));
    assert_memory_equal(&c[PD_COLUMN_F1], &m->f1, sizeof(pd_figure));
    assert_memory_equal(&c[PD_COLUMN_AUC], &m->auc, sizeof(pd_figure));
    assert_true(c[PD_COLUMN_PARAMETERS].value == 1629185);
    assert_true(c[PD_COLUMN_SECONDS].value == 1234.5 && isnan(c[PD_COLUMN_SECONDS].low));
    assert_true(isnan(c[PD_COLUMN_IMAGES_PER_SECOND].value));

    /* Control characters of a name are replaced; a name that is too long is an error. */
    r.job_name = "a\x1b[31m\nb\xff";
    write_report(&r);
    assert_int_equal(pd_outcome_read(&out, folder), PD_OK);
    assert_string_equal(out.job, "a?[31m?b?");
    char longest[65];
    memset(longest, 'x', 64);
    longest[64] = '\0';
    r.job_name = longest + 1;
    write_report(&r);
    assert_int_equal(pd_outcome_read(&out, folder), PD_OK);
    r.job_name = longest;
    write_report(&r);
    check_refused("'job'");
    r = make_report();
    r.test.present = false;
    write_report(&r);
    check_refused("'folds.test' is missing");
}

/* The worst of all rows for each figure; an invalid row is an error that names it. */
static void test_stress(void **state)
{
    (void)state;
    pd_results r = make_report();
    pd_outcome out;
    r.val = r.test;
    write_report(&r);
    assert_int_equal(pd_outcome_read(&out, folder), PD_OK);
    assert_true(isnan(out.columns[PD_COLUMN_STRESS_AUC].value));
    assert_true(isnan(out.columns[PD_COLUMN_STRESS_BALANCED].value));

    r.val.stress = (pd_stress){.present = true};
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        pd_metrics *m = &r.val.stress.rows[i].metrics;
        r.val.stress.rows[i].change = i - 1;
        m->auc.value = i == 3 ? 0.25 : i == 4 ? (double)NAN : 0.75;
        m->balanced_accuracy.value = i == PD_STRESS_ROWS - 1 ? 0.125 : 0.5;
    }
    write_report(&r);
    if (pd_outcome_read(&out, folder) != PD_OK)
        fail_msg("%s", pd_error_message());
    assert_true(out.columns[PD_COLUMN_STRESS_AUC].value == 0.25);
    assert_true(out.columns[PD_COLUMN_STRESS_BALANCED].value == 0.125);
    assert_true(isnan(out.columns[PD_COLUMN_STRESS_AUC].low));

    bytes file = slurp(path);
    const struct {
        const char *parent, *name, *other, *message;
    } cases[] = {
        {"stress", "rows", NULL, "'folds.val.stress.rows' is missing"},
        {"stress", "rows", "[]", "'folds.val.stress.rows' is not a list"},
        {"stress", "rows", "7", "'folds.val.stress.rows' is not a list"},
        {"stress", "rows", "[{}]", "'folds.val.stress.rows.0.auc' is missing"},
        {"val", "stress", "7", "'folds.val.stress.rows' is missing"},
        {"folds", "val", "7", "'folds.val' is not a fold"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cJSON *root = cJSON_Parse((char *)file.data);
        cJSON *folds = cJSON_GetObjectItem(root, "folds"), *val = cJSON_GetObjectItem(folds, "val");
        cJSON *parent = strcmp(cases[i].parent, "folds") == 0 ? folds
                        : strcmp(cases[i].parent, "val") == 0 ? val
                                                              : cJSON_GetObjectItem(val, "stress");
        if (cases[i].other == NULL)
            cJSON_DeleteItemFromObject(parent, cases[i].name);
        else
            cJSON_ReplaceItemInObject(parent, cases[i].name, cJSON_CreateRaw(cases[i].other));
        char *text = cJSON_Print(root);
        write_text(text);
        check_refused(cases[i].message);
        cJSON_free(text);
        cJSON_Delete(root);
    }
    free(file.data);
}

/* Every member that is read: a missing or replaced one is an error that names it. */
static void test_members(void **state)
{
    (void)state;
    static const char *const members[] = {"job",
                                          "data",
                                          "data.digest",
                                          "folds",
                                          "folds.test",
                                          "folds.test.chosen",
                                          "parameters",
                                          "seconds",
                                          "images_per_second",
                                          "folds.test.chosen.threshold",
                                          "folds.test.chosen.confusion",
                                          "folds.test.chosen.confusion.true_positive",
                                          "folds.test.chosen.confusion.false_negative",
                                          "folds.test.chosen.confusion.true_negative",
                                          "folds.test.chosen.confusion.false_positive",
                                          "folds.test.chosen.accuracy",
                                          "folds.test.chosen.sensitivity.value",
                                          "folds.test.chosen.specificity.low",
                                          "folds.test.chosen.f1.high",
                                          "folds.test.chosen.auc.value"};
    static const char *const others[] = {NULL,    "true", "[]",    "{}",    "[[1]]", "-1",
                                         "1e400", "\"\"", "1e308", "\"1\"", "-1e-9"};
    pd_results r = make_report();
    write_report(&r);
    bytes file = slurp(path);
    for (size_t i = 0; i < COUNT(members) * COUNT(others); i++) {
        const char *key = members[i / COUNT(others)], *other = others[i % COUNT(others)];
        if (other != NULL && strstr(key, "threshold") && strcmp(other, "1e308") == 0)
            continue; /* a valid number */
        if (other != NULL && strcmp(key, "job") == 0 && strcmp(other, "\"1\"") == 0)
            continue;
        if (other != NULL && strcmp(key, "data.digest") == 0 && strcmp(other, "\"1\"") == 0)
            continue;
        cJSON *root = cJSON_Parse((char *)file.data), *parent = root;
        const char *last = key;
        for (const char *dot; (dot = strchr(last, '.')) != NULL; last = dot + 1) {
            char name[32];
            snprintf(name, sizeof name, "%.*s", (int)(dot - last), last);
            parent = cJSON_GetObjectItemCaseSensitive(parent, name);
        }
        if (other == NULL)
            cJSON_DeleteItemFromObjectCaseSensitive(parent, last);
        else
            cJSON_ReplaceItemInObjectCaseSensitive(parent, last, cJSON_CreateRaw(other));
        char *text = cJSON_Print(root);
        write_text(text);
        check_refused(key);
        cJSON_free(text);
        cJSON_Delete(root);
    }
    free(file.data);
}

static void test_damage(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "null",
        "[]",
        "{}",
        "nothing",
        "{\"job\":",
        "{\"job\":\"x\"} and more",
        "{\"job\":{\"job\":{}},\"data\":[[[]]]}",
        "\"folds.test\"",
        "1e999999",
        "{\"job\":\"\\ud800\"}",
        "{\"job\":\"\\u0000\"}",
        "[1,2,3,{\"job\":\"x\"}]",
    };
    pd_outcome out;
    for (size_t i = 0; i < COUNT(texts); i++) {
        write_text(texts[i]);
        check_refused("");
    }
    /* So deep that recursion would overflow the stack. */
    enum { DEEP = 1 << 19 };
    char *deep = malloc(2 * DEEP + 1);
    assert_non_null(deep);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < DEEP; j++)
            memcpy(deep + (i == 0 ? 1 : 2) * j, i == 0 ? "[" : "{\"", i == 0 ? 1 : 2);
        deep[(i == 0 ? 1 : 2) * DEEP] = '\0';
        write_text(deep);
        check_refused("is not JSON");
    }
    /* A number of a million digits. */
    memset(deep, '9', 2 * DEEP);
    deep[2 * DEEP] = '\0';
    memcpy(deep, "{\"seconds\":", 11);
    deep[2 * DEEP - 1] = '}';
    write_text(deep);
    check_refused("");
    free(deep);

    pd_results r = make_report();
    write_report(&r);
    bytes file = slurp(path);
    for (size_t cut = 0; cut + 2 < file.size; cut += 3) { /* the last are "}\n" */
        unlink(path); /* some file systems flush overwritten data */
        spill(path, file.data, cut);
        assert_int_equal(pd_outcome_read(&out, folder), PD_FAILED);
    }
    pd_random random = pd_random_stream(1, PD_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < 1000; i++) {
        unsigned char *at = file.data + pd_random_below(&random, (uint32_t)file.size), kept = *at;
        *at = i % 2 ? (unsigned char)"{}[]\",:\\-9e"[pd_random_below(&random, 11)]
                    : (unsigned char)pd_random_bits(&random);
        unlink(path);
        spill(path, file.data, file.size);
        if (pd_outcome_read(&out, folder) == PD_OK)
            assert_true(strlen(out.job) < sizeof out.job && strlen(out.digest) < sizeof out.digest);
        *at = kept;
    }
    free(file.data);
}

static void test_no_file(void **state)
{
    (void)state;
    pd_outcome out;
    fresh_folder(folder);
    check_refused("is not a finished run");
    assert_int_equal(mkdir(path, 0777), 0);
    check_refused("cannot read: Is a directory");
    assert_int_equal(pd_outcome_read(&out, "no/such/run"), PD_FAILED);
    assert_message("no/such/run/report.json: not found");
    fresh_folder(folder);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_report_writes),
        cmocka_unit_test(test_stress),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
