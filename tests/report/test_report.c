#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/io/file.h"
#include "pneumo/report/report.h"
#include "report/verdict.h"

#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char path[] = "test_report.json";

/* Figures that need all 17 digits, or none. */
static pd_metrics make_metrics(double seed)
{
    pd_figure f = {1 / (seed + 2), nextafter(1 / (seed + 2), 0), nextafter(1 / (seed + 2), 1)};
    return (pd_metrics){.threshold = nextafter(seed / 7, 1),
                        .confusion = {11, 12, 13, 14},
                        .accuracy = f,
                        .balanced_accuracy = {0.1 + 0.2, 0.3, DBL_MIN},
                        .sensitivity = {1, 1 - DBL_EPSILON, 1},
                        .specificity = {0, 0, DBL_TRUE_MIN},
                        .precision = {NAN, NAN, NAN},
                        .f1 = {f.low, f.value, f.high},
                        .auc = {0.5, 0.25, 0.75}};
}

/* By shape, without a warning; one third of the pneumonias is empty. */
static pd_shape_class make_shape_class(double seed, double unit)
{
    pd_shape_class group = {.p = 1 / (seed + 1),
                            .correlation = {-0.1, -1 / (seed + 3), 1 / (seed + 4)}};
    for (int i = 0; i < PD_SHAPE_THIRDS; i++)
        group.thirds[i] = (pd_shape_third){
            unit * (seed + i), unit * (seed + i + 1.0 / 3), 7 + i, {1 / (seed + i), 0.1, 0.9}};
    return group;
}

static pd_shape_report make_shape(void)
{
    pd_shape_report shape = {.known = true};
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
        pd_shape_figures *figures = &shape.measures[measure];
        double unit = measure == PD_SHAPE_ASPECT ? 1 : 1e6;
        *figures = (pd_shape_figures){true,
                                      {make_shape_class(1.25, unit), make_shape_class(1.5, unit)},
                                      {0.9, 0.8, 0.95 + measure},
                                      {0.99, 0.9, 1}};
        figures->classes[PD_PNEUMONIA].thirds[1] = (pd_shape_third){NAN, NAN, 0, {NAN, NAN, NAN}};
    }
    shape.measures[1].classes[0].p = NAN;
    shape.measures[1].classes[0].correlation = (pd_figure){NAN, NAN, NAN};
    return shape;
}

static pd_results make_report(void)
{
    return (pd_results){
        .job_name = "first",
        .model = "cnn",
        .data_path = "data/chest.h5",
        .data_digest = "00112233445566778899aabbccddeeff",
        .version = "0.1.0",
        .settings = "[run]\nseed = 1\n",
        .trained_digest = "ff",
        .processor = "EPYC",
        .seed = UINT64_MAX,
        .ranks = 4,
        .threads = 2,
        .lanes = 8,
        .parameters = INT64_C(9007199254740993), /* not representable as a double */
        .best_epoch = 7,
        .weights_epoch = 8,
        .epochs = 12,
        .seconds = 1234.5,
        .images_per_second = NAN,
        .target_sensitivity = 0.95,
        .target_specificity = 0.9,
        .decision_rule = "sensitivity >= 0.95",
        .temperature = 1.25,
        .refer_low = 0.1,
        .refer_high = 0.9,
        .views = 2,
        .test_looks = 1,
        .data = {.count = 600,
                 .height = 112,
                 .width = 113,
                 .fold_policy = "by patient",
                 .grouping = "by name",
                 .seed = UINT64_MAX - 1,
                 .duplicates = 3,
                 .counts = {{1, 2}, {3, 4}, {5, 6}},
                 .version = "0.0.9"},
        .patients = {21, 22, 23},
        .causes = {{31, 32, 33, 34}, {35, 36, 37, 38}, {39, 40, 41, 42}},
        .val = {.present = true, .chosen = make_metrics(1), .half = make_metrics(2)},
        .test = {.present = true,
                 .chosen = make_metrics(3),
                 .half = make_metrics(4),
                 .chosen_bootstrap = make_metrics(5),
                 .half_bootstrap = make_metrics(6),
                 .patients = make_metrics(7),
                 .by_cause = {{0.5, 0.25, 0.75}, {1, 0.5, 1}, {0.25, 0, 0.5}, {NAN, NAN, NAN}},
                 .referred = {0.125, 0, 0.25},
                 .decided = {0.875, 0.5, 1},
                 .outside = {true, 3, {[PD_TRAIT_RATIO] = 1, [PD_TRAIT_SHARPNESS] = 2}},
                 .calibration = {.brier = 0.02,
                                 .ece = 0.01,
                                 .bins = {{0, 0.1, 7, 0.05, {0.1, 0, 0.2}}}},
                 .uncalibrated = {.brier = 0.04, .ece = 0.03},
                 .shape = make_shape(),
                 .has_causes = true,
                 .causes = {{9, 1, 0}, {2, 8, 0}, {0, 4, 6}}},
    };
}

/* Writes, reads and parses; *text (free()) is the content of the file. */
static cJSON *write_and_parse(const pd_results *results, char **text)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    if (pd_report_write_json(path, results) != PD_OK)
        fail_msg("%s", pd_error_message());
    assert_int_equal(pd_file_read(&bytes, &size, path, 1 << 20), PD_OK);
    assert_int_equal(bytes[size - 1], '\n');
    cJSON *root = cJSON_Parse((char *)bytes);
    assert_non_null(root);
    if (text)
        *text = (char *)bytes;
    else
        free(bytes);
    unlink(path);
    return root;
}

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item)
        fail_msg("the report has no '%s'", key);
    return item;
}

static void check_number(const cJSON *object, const char *key, double expected)
{
    const cJSON *item = get(object, key);
    if (isnan(expected))
        assert_true(cJSON_IsNull(item));
    else if (!cJSON_IsNumber(item) || item->valuedouble != expected)
        fail_msg("'%s' is %.17g, not %.17g", key, item->valuedouble, expected);
}

static void check_string(const cJSON *object, const char *key, const char *expected)
{
    assert_string_equal(cJSON_GetStringValue(get(object, key)), expected);
}

static void check_figure(const cJSON *object, const char *key, pd_figure figure)
{
    const cJSON *item = get(object, key);
    assert_int_equal(cJSON_GetArraySize(item), 3);
    check_number(item, "value", figure.value);
    check_number(item, "low", figure.low);
    check_number(item, "high", figure.high);
}

static void check_figures(const cJSON *object, const pd_metrics *m)
{
    for (int i = 0; i < PD_FIGURES; i++)
        check_figure(object, pd_figure_names[i], pd_metrics_figure(m, i));
}

static void check_metrics(const cJSON *object, const pd_metrics *m)
{
    assert_int_equal(cJSON_GetArraySize(object), 9);
    check_number(object, "threshold", m->threshold);
    const cJSON *confusion = get(object, "confusion");
    check_number(confusion, "true_positive", (double)m->confusion.true_positive);
    check_number(confusion, "false_negative", (double)m->confusion.false_negative);
    check_number(confusion, "true_negative", (double)m->confusion.true_negative);
    check_number(confusion, "false_positive", (double)m->confusion.false_positive);
    check_figures(object, m);
}

static void check_shape(const cJSON *object, const pd_shape_report *shape)
{
    static const char *const measures[] = {"aspect", "area"},
                             *const classes[] = {"normal", "pneumonia"},
                             *const thirds[] = {"lowest", "middle", "highest"};
    assert_int_equal(cJSON_GetArraySize(object), 2);
    for (int measure = 0; measure < 2; measure++) {
        const pd_shape_figures *figures = &shape->measures[measure];
        const cJSON *of_measure = get(object, measures[measure]);
        check_figure(of_measure, "auc_high_normal", figures->auc_high_normal);
        check_figure(of_measure, "auc_low_normal", figures->auc_low_normal);
        for (int label = 0; label < 2; label++) {
            const pd_shape_class *group = &figures->classes[label];
            const cJSON *of_class = get(of_measure, classes[label]);
            check_number(of_class, "p", group->p);
            check_figure(of_class, "correlation", group->correlation);
            for (int i = 0; i < 3; i++) {
                const cJSON *third = get(of_class, thirds[i]);
                check_number(third, "low", group->thirds[i].low);
                check_number(third, "high", group->thirds[i].high);
                check_number(third, "count", (double)group->thirds[i].count);
                check_figure(third, "right", group->thirds[i].right);
            }
        }
    }
}

static void check_data(const cJSON *data, const pd_results *r)
{
    check_string(data, "path", r->data_path);
    check_string(data, "digest", r->data_digest);
    check_string(data, "trained_digest", r->trained_digest);
    check_number(data, "images", (double)r->data.count);
    check_number(data, "width", r->data.width);
    check_number(data, "height", r->data.height);
    check_number(data, "duplicates", (double)r->data.duplicates);
    check_string(data, "fold_policy", r->data.fold_policy);
    check_string(data, "grouping", r->data.grouping);
    check_string(data, "version", r->data.version);
    for (int fold = 0; fold < PD_FOLDS; fold++) {
        const cJSON *of = get(get(data, "folds"), pd_fold_names[fold]);
        for (int label = 0; label < PD_LABELS; label++)
            check_number(of, pd_label_names[label], (double)r->data.counts[fold][label]);
        for (int cause = PD_CAUSE_BACTERIA; cause < PD_CAUSES; cause++)
            check_number(of, pd_cause_names[cause], (double)r->causes[fold][cause]);
        check_number(of, "patients", (double)r->patients[fold]);
    }
}

static void test_json_equals_report(void **state)
{
    (void)state;
    pd_results r = make_report();
    char *text = NULL;
    cJSON *root = write_and_parse(&r, &text);
    check_string(root, "job", r.job_name);
    check_string(root, "model", r.model);
    check_data(get(root, "data"), &r);
    check_string(root, "settings", r.settings);
    check_string(root, "processor", r.processor);
    check_number(root, "leaks", 0);
    check_string(root, "version", r.version);
    check_number(root, "ranks", r.ranks);
    check_number(root, "threads", r.threads);
    check_number(root, "lanes", r.lanes);
    check_number(root, "epochs", (double)r.epochs);
    check_number(root, "best_epoch", (double)r.best_epoch);
    check_number(root, "weights_epoch", (double)r.weights_epoch);
    check_number(root, "seconds", r.seconds);
    check_number(root, "images_per_second", r.images_per_second);
    check_number(get(root, "targets"), "sensitivity", r.target_sensitivity);
    check_number(get(root, "targets"), "specificity", r.target_specificity);
    check_string(get(root, "decision"), "rule", r.decision_rule);
    check_number(get(root, "decision"), "threshold", r.val.chosen.threshold);
    check_string(get(root, "decision"), "fold", "val");
    const cJSON *folds = get(root, "folds");
    check_number(get(root, "decision"), "temperature", r.temperature);
    assert_float_equal(get(get(root, "decision"), "views")->valuedouble, 2, 0);
    check_number(get(root, "decision"), "refer_low", r.refer_low);
    check_number(get(root, "decision"), "refer_high", r.refer_high);
    check_number(root, "test_looks", (double)r.test_looks);
    check_metrics(get(get(folds, "val"), "chosen"), &r.val.chosen);
    check_metrics(get(get(folds, "val"), "half"), &r.val.half);
    const cJSON *test = get(folds, "test");
    check_metrics(get(test, "chosen"), &r.test.chosen);
    check_metrics(get(test, "half"), &r.test.half);
    check_metrics(get(test, "patients"), &r.test.patients);
    check_figures(get(test, "chosen_bootstrap"), &r.test.chosen_bootstrap);
    check_figures(get(test, "half_bootstrap"), &r.test.half_bootstrap);
    for (int cause = 0; cause < PD_CAUSES; cause++)
        check_figure(get(test, "by_cause"), pd_cause_names[cause], r.test.by_cause[cause]);
    check_figure(test, "referred", r.test.referred);
    check_figure(test, "decided", r.test.decided);
    check_number(get(test, "outside"), "count", 3);
    for (int trait = 0; trait < PD_TRAITS; trait++)
        check_number(get(get(test, "outside"), "by_trait"), pd_trait_names[trait],
                     (double)r.test.outside.by_trait[trait]);
    assert_true(cJSON_IsNull(get(get(folds, "val"), "outside")));
    check_number(get(test, "calibration"), "brier", r.test.calibration.brier);
    check_number(get(test, "calibration"), "ece", r.test.calibration.ece);
    check_number(get(test, "uncalibrated"), "ece", r.test.uncalibrated.ece);
    const cJSON *bins = get(get(test, "calibration"), "bins");
    assert_int_equal(cJSON_GetArraySize(bins), PD_CALIBRATION_BINS);
    check_number(cJSON_GetArrayItem(bins, 0), "count", 7);
    check_number(cJSON_GetArrayItem(bins, 0), "mean_probability", 0.05);
    check_figure(cJSON_GetArrayItem(bins, 0), "positive", r.test.calibration.bins[0].positive);
    check_shape(get(test, "shape"), &r.test.shape);
    assert_null(cJSON_GetObjectItem(get(folds, "val"), "shape"));
    assert_null(cJSON_GetObjectItem(get(folds, "val"), "causes"));
    assert_int_equal(cJSON_GetArraySize(get(root, "warnings")), 0);

    static const char *const classes[] = {"NORMAL", "BACTERIA", "VIRUS"};
    const cJSON *causes = get(get(folds, "test"), "causes");
    for (int truth = 0; truth < 3; truth++) {
        const cJSON *row = get(causes, classes[truth]);
        for (int called = 0; called < 3; called++)
            check_number(get(row, "predicted"), classes[called],
                         (double)r.test.causes[truth][called]);
        check_figure(row, "recall", pd_wilson(r.test.causes[truth][truth], 10));
    }
    /* Integers beyond the range of a double are exact in the text, and null is there. */
    assert_non_null(strstr(text, "18446744073709551615"));
    assert_non_null(strstr(text, "18446744073709551614"));
    assert_non_null(strstr(text, "9007199254740993"));
    assert_null(strstr(text, "nan"));
    free(text);
    cJSON_Delete(root);
}

/* Rows whose specificity falls from change to change; the last is the worst. */
static pd_stress make_stress(void)
{
    pd_stress stress = {.present = true,
                        .images = 300,
                        .fold_images = 778,
                        .pooled_auc = {0.75, 0.5, 0.875},
                        .worst = PD_STRESS_ROWS - 1};
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        double share = 0.99 - 0.01 * i;
        pd_stress_row *row = &stress.rows[i];
        *row = (pd_stress_row){.change = i - 1, .metrics = make_metrics(i)};
        row->metrics.threshold = 0.25;
        row->metrics.sensitivity = (pd_figure){0.97, 0.9, 1};
        row->metrics.specificity = (pd_figure){share, share - 0.1, 1};
        row->metrics.balanced_accuracy.value = (0.97 + share) / 2;
    }
    return stress;
}

static void test_json_of_stress(void **state)
{
    (void)state;
    pd_results r = make_report();
    r.val.stress = make_stress();
    r.epoch_on_changed = true;
    cJSON *root = write_and_parse(&r, NULL);
    const cJSON *folds = get(root, "folds"), *stress = get(get(folds, "val"), "stress");
    assert_null(cJSON_GetObjectItem(get(folds, "test"), "stress"));
    check_number(stress, "images", 300);
    check_number(stress, "fold_images", 778);
    check_figure(stress, "pooled_auc", r.val.stress.pooled_auc);
    check_string(stress, "worst", "zoom-0.85-blur-0.008");
    check_string(stress, "caveat", pd_verdict_caveat(&r));
    const cJSON *rows = get(stress, "rows");
    assert_int_equal(cJSON_GetArraySize(rows), PD_STRESS_ROWS);
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        cJSON *row = cJSON_GetArrayItem(rows, i);
        check_string(row, "name", i == 0 ? "clean" : pd_changes[i - 1].name);
        check_string(row, "phrase", i == 0 ? "as they are" : pd_changes[i - 1].phrase);
        check_string(row, "family",
                     i == 0 ? "none" : pd_change_family_names[pd_changes[i - 1].family]);
        cJSON_DeleteItemFromObject(row, "name");
        cJSON_DeleteItemFromObject(row, "phrase");
        cJSON_DeleteItemFromObject(row, "family");
        check_metrics(row, &r.val.stress.rows[i].metrics);
    }
    /* The verdict, which is also among the warnings. */
    const cJSON *verdict = get(stress, "verdict"), *warnings = get(root, "warnings");
    int lines = cJSON_GetArraySize(verdict);
    assert_int_equal(lines, PD_CHANGE_FAMILIES);
    for (int i = 0; i < lines; i++)
        assert_string_equal(cJSON_GetArrayItem(verdict, i)->valuestring,
                            cJSON_GetArrayItem(warnings, i)->valuestring);
    cJSON_Delete(root);
}

static void test_json_without_folds(void **state)
{
    (void)state;
    pd_results r = {.seconds = INFINITY};
    cJSON *root = write_and_parse(&r, NULL);
    assert_true(cJSON_IsNull(get(root, "job")));
    assert_true(cJSON_IsNull(get(root, "seconds")));
    assert_true(cJSON_IsNull(get(get(root, "decision"), "threshold")));
    assert_int_equal(cJSON_GetArraySize(get(root, "folds")), 0);
    cJSON_Delete(root);
}

static void test_json_hostile_strings(void **state)
{
    (void)state;
    const struct {
        const char *given, *kept;
    } table[] = {
        {"quote \" back \\ slash /", NULL},
        {"line\nreturn\rtab\t bell\a escape\x1b[31m", NULL},
        {"\",\"seed\":1,\"x\":\"", NULL},
        {"Röntgen 胸部 🩻", NULL},
        {"latin-1 R\xf6ntgen", "latin-1 R?ntgen"},
        {"cut short \xe8\x83", "cut short ??"},
        {"surrogate \xed\xa0\x80, overlong \xc0\xaf \xe0\x80\xaf",
         "surrogate ???, overlong ?? ???"},
        {"too large \xf4\x90\x80\x80 \xff", "too large ???? ?"},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *kept = table[i].kept ? table[i].kept : table[i].given;
        pd_results r = make_report();
        r.job_name = r.model = r.data_path = r.data_digest = r.version = r.decision_rule =
            table[i].given;
        r.test.chosen.confusion = (pd_confusion){0, 5, 5, 0};
        cJSON *root = write_and_parse(&r, NULL);
        check_string(root, "job", kept);
        check_string(root, "model", kept);
        check_string(root, "version", kept);
        check_string(get(root, "data"), "path", kept);
        check_string(get(root, "data"), "digest", kept);
        check_string(get(root, "decision"), "rule", kept);
        assert_int_equal(cJSON_GetArraySize(get(root, "warnings")), 1);
        assert_non_null(strstr(cJSON_GetArrayItem(get(root, "warnings"), 0)->valuestring, kept));
        cJSON_Delete(root);
    }
}

static void test_json_unwritable(void **state)
{
    (void)state;
    pd_results r = make_report();
    assert_int_equal(pd_report_write_json("no/such/folder/report.json", &r), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "no/such/folder"));
}

/* Inlined, GCC 12 takes what the stream stores at `text` for a pointer to `text`. */
static __attribute__((noinline)) char *print(const pd_results *results)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    pd_report_print(out, results);
    fclose(out);
    return text;
}

static void check_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no '%s' in:\n%s", part, text);
}

/* Counts the lines of the tables of a report without causes: those that start with two spaces. Each
 * must have a name of 20 columns and one or two cells of 23, with gaps of 4 before them. */
static int check_aligned(const char *text)
{
    int lines = 0;
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        int length = (int)strcspn(line, "\n");
        if (strncmp(line, "  ", 2) != 0)
            continue;
        bool first = length >= 47 && strncmp(line + 20, "    ", 4) == 0 && line[46] != ' ';
        bool second = length == 74 && strncmp(line + 47, "    ", 4) == 0 && line[73] != ' ';
        if (!first || (length != 47 && !second))
            fail_msg("out of line: '%.*s'", length, line);
        lines++;
    }
    return lines;
}

static void test_print_outside(void **state)
{
    (void)state;
    pd_results r = make_report();
    char *text = print(&r);
    check_has(text, "\nunlike the training images: 3 (1 by ratio, 2 by sharpness)\n");
    check_has(text, "\nimages unlike the training images are not counted: the checkpoint has no "
                    "profile\n");
    free(text);
    r.val.outside.checked = true;
    text = print(&r);
    check_has(text, "\nunlike the training images: 0\n");
    free(text);
}

static void test_print_alignment(void **state)
{
    (void)state;
    const pd_figure extremes[] = {
        {NAN, NAN, NAN}, {0, 0, 0}, {1, 1, 1}, {0.99999, 0, 1}, {1e-300, 0, 1}};
    const double thresholds[] = {0, 1, 0.5, 1.0 / 3, -1.23456789e-300, 5e-324, 1e300, INFINITY};
    const int64_t counts[] = {0, 9, 99999, 9999999999};
    for (size_t i = 0; i < 5 * 8 * 4; i++) {
        pd_figure f = extremes[i % 5], g = extremes[(i + 1) % 5];
        int64_t n = counts[i / 40], one = 1;
        pd_results r = make_report();
        r.test.has_causes = false;
        r.test.chosen = (pd_metrics){thresholds[i / 5 % 8], {n, one, n, one}, f, g, f, g, f, g, f};
        r.test.half = (pd_metrics){0.5, {one, n, one, n}, g, f, g, f, g, f, g};
        r.val = r.test;
        char *text = print(&r);
        /* Per fold: threshold, three of confusion, heading, seven figures; heading, three causes,
         * three by patient, two of doubt; by shape: heading, six of each class, two AUCs. */
        assert_int_equal(check_aligned(text), 2 * (12 + 9 + 15));
        assert_null(strstr(text, "nan"));
        free(text);
    }
}

/* The verdict at the top, then a row per change in columns; missed targets are marked, and the
 * worst row is named. */
static void test_print_stress(void **state)
{
    (void)state;
    pd_results r = make_report();
    r.val.stress = make_stress();
    r.decision_fold = "val changed";
    char *text = print(&r);
    const char *head = "\nstress test: On validation images zoomed in by 15 % and blurred the "
                       "specificity falls to 74.0 % (target 90 %): do not trust this model on "
                       "images changed in several ways at once.\n";
    const char *table =
        strstr(text, "\nstress test, val fold: 300 of 778 images under each change");
    check_has(text, head);
    assert_true(table != NULL && strstr(text, head) < table);
    check_has(text, "\nWARNING: On validation images zoomed in by 15 % and blurred ");
    const char *line = strstr(table, "\n  clean ") + 1;
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        bool missed = r.val.stress.rows[i].metrics.specificity.value < 0.9;
        int length = (int)strcspn(line, "\n");
        const char *mark = i == PD_STRESS_ROWS - 1 ? " !  worst\n" : missed ? " !\n" : "\n";
        assert_int_equal(strncmp(line + 2, pd_stress_name(&r.val.stress.rows[i]),
                                 strlen(pd_stress_name(&r.val.stress.rows[i]))),
                         0);
        assert_int_equal(length + 1 - (int)strlen(mark), 2 + 20 + 3 * 27 + 2);
        assert_int_equal(strncmp(line + 105, mark, strlen(mark)), 0);
        assert_int_equal(
            strncmp(line + 22, "    0.5000 [0.2500, 0.7500]      97.0 % [ 90.0, 100.0]", 54), 0);
        line += length + 1;
    }
    check_has(line, "  all changed, pooled     0.7500 [0.5000, 0.8750]\n");
    check_has(line,
              "worst by balanced accuracy: zoom-0.85-blur-0.008, images zoomed in by 15 % and "
              "blurred\nThe threshold was chosen on changed images of this fold, so these figures "
              "are optimistic; 'evaluate --fold test --stress' is not affected.\n");
    free(text);
}

static void test_print_stress_of_one_class(void **state)
{
    (void)state;
    pd_results r = make_report();
    r.val.stress = make_stress();
    const pd_figure none = {NAN, NAN, NAN};
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        pd_metrics *m = &r.val.stress.rows[i].metrics;
        m->auc = m->specificity = m->balanced_accuracy = none;
    }
    r.val.stress.pooled_auc = none;
    r.val.stress.worst = PD_STRESS_NO_ROW;
    char *text = print(&r);
    check_has(text, "stress test: The stress test has no verdict on the specificity: none of its "
                    "validation images is normal.\n");
    assert_null(strstr(text, "worst"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "WARNING: The stress"));
    free(text);
    cJSON *root = write_and_parse(&r, NULL);
    assert_true(cJSON_IsNull(get(get(get(get(root, "folds"), "val"), "stress"), "worst")));
    cJSON_Delete(root);

    /* The only figure misses its target, and so does the other fold. */
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        r.val.stress.rows[i].metrics.sensitivity.value = 0.375;
    r.test.stress = r.val.stress;
    text = print(&r);
    check_has(text, "\nstress test: On test images as they are the sensitivity is 37.5 % ");
    check_has(text, "\nWARNING: On test images as they are the sensitivity is 37.5 % ");
    check_has(text, "\nWARNING: On validation images as they are the sensitivity is 37.5 % ");
    free(text);
}

static void test_print_content(void **state)
{
    (void)state;
    pd_results r = make_report();
    r.test.chosen = (pd_metrics){.threshold = 0.3712,
                                 .confusion = {303, 9, 284, 28},
                                 .sensitivity = {0.9712, 0.9461, 0.9848},
                                 .specificity = {0.9103, 0.8733, 0.9372},
                                 .auc = {0.9876, 0.98, 0.9951}};
    char *text = print(&r);
    check_has(text, "test fold: 624 images, 312 pneumonia and 312 normal\n");
    check_has(text, "threshold 0.3712 ");
    check_has(text, "  truly PNEUMONIA               303           9    ");
    check_has(text, "  truly NORMAL                   28         284    ");
    check_has(text, "  sensitivity             97.1 % [ 94.6,  98.5]    ");
    check_has(text, "  auc                     98.8 % [ 98.0,  99.5]    ");
    check_has(text,
              "\nsensitivity 97.1 % (target 95 %): met; specificity 91.0 % (target 90 %): met\n");
    assert_null(strstr(text, "WARNING"));
    check_has(text, "  spec., lowest           80.0 % [ 10.0,  90.0]  ");
    check_has(text, "  thirds' limits            1.25 1.58 2.58 3.58            1.2 1.6 2.6 3.6\n");
    check_has(text, "  rank correlation         -0.10 [-0.24,  0.19]                          -\n");
    check_has(text, "  sens., middle                     not defined ");
    check_has(text, "  thirds' limits                  1.5 1.83 3.83 ");
    check_has(text, "  auc, high normal        90.0 % [ 80.0,  95.0] ");
    /* Three classes: ten of each, and the recall is the diagonal's share. */
    check_has(text, "  predicted               NORMAL    BACTERIA       VIRUS    ");
    check_has(text, "  truly NORMAL                 9           1           0      90.0 % [");
    check_has(text, "  truly BACTERIA               2           8           0      80.0 % [");
    check_has(text, "  truly VIRUS                  0           4           6      60.0 % [");
    free(text);

    r.test.present = false;
    text = print(&r);
    assert_null(strstr(text, "test fold"));
    assert_null(strstr(text, "target"));
    free(text);
}

static void test_print_verdict(void **state)
{
    (void)state;
    const struct {
        double value;
        const char *line;
    } table[] = {
        {0.95, "sensitivity 95.000 % (target 95 %): met; "},
        {0.94999, "sensitivity 94.999 % (target 95 %): missed; "},
        {0.9496, "sensitivity 94.960 % (target 95 %): missed; "},
        {0.9, "sensitivity 90.0 % (target 95 %): missed; "},
        {NAN, "sensitivity (target 95 %): unknown, no such images; "},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        pd_results r = make_report();
        r.test.chosen.sensitivity.value = table[i].value;
        char *text = print(&r);
        check_has(text, table[i].line);
        check_has(text, "specificity 0.0 % (target 90 %): missed\n");
        free(text);
    }
}

/* Met or missed, by a figure whose interval has the target in it. */
static void test_print_uncertain(void **state)
{
    (void)state;
    pd_results r = make_report();
    pd_metrics *chosen = &r.test.chosen;
    chosen->confusion = (pd_confusion){.true_positive = 1, .true_negative = 800};
    chosen->sensitivity = pd_wilson(1, 1);
    chosen->specificity = pd_wilson(800, 800);
    char *text = print(&r);
    check_has(text, "(target 95 %): met; ");
    check_has(text, "\n1 pneumonia image: too few to be certain of the sensitivity, 95 % interval "
                    "20.7 to 100.0 %\n");
    assert_null(strstr(text, "certain of the specificity"));
    free(text);
    chosen->confusion =
        (pd_confusion){.true_positive = 900, .true_negative = 6, .false_positive = 2};
    chosen->sensitivity = pd_wilson(900, 900);
    chosen->specificity = pd_wilson(6, 8);
    text = print(&r);
    check_has(text, "\n8 normal images: too few to be certain of the specificity, 95 % interval "
                    "40.9 to ");
    assert_null(strstr(text, "certain of the sensitivity"));
    free(text);
}

/* Both outputs name the model and the class that it predicts. */
static void test_one_class_is_called_out(void **state)
{
    (void)state;
    pd_results r = make_report();
    r.val.chosen.confusion = (pd_confusion){10, 0, 0, 10};
    r.val.chosen.threshold = 0.25;
    r.test.half.confusion = (pd_confusion){0, 10, 10, 0};
    r.test.half.threshold = 0.5;
    memcpy(r.test.causes, (int64_t[3][3]){{0, 10, 0}, {0, 10, 0}, {0, 10, 0}},
           sizeof r.test.causes);
    const char *expected[] = {
        "val fold, threshold 0.25: cnn predicts PNEUMONIA for every image: specificity 0",
        "test fold, threshold 0.5: cnn predicts NORMAL for every image: recall 0",
        "test fold, three classes: cnn predicts BACTERIA for every image",
    };
    char *text = print(&r);
    cJSON *root = write_and_parse(&r, NULL);
    assert_int_equal(cJSON_GetArraySize(get(root, "warnings")), 3);
    for (int i = 0; i < 3; i++) {
        check_has(text, expected[i]);
        assert_string_equal(cJSON_GetArrayItem(get(root, "warnings"), i)->valuestring, expected[i]);
    }
    cJSON_Delete(root);
    free(text);
}

/* A model that seems to use the shape gives one warning per fold; unknown shapes give none. */
static void test_shape_is_called_out(void **state)
{
    (void)state;
    const char *expected[] = {
        "val fold: sensitivity differs between the thirds of pneumonias by width over height "
        "(66.7, "
        "28.6 %; p = 0.01, images counted as independent): the model may read the images' shape "
        "instead of the disease",
        "test fold: the probabilities of normal images fall with width times height (rank "
        "correlation -0.40 [-0.60, -0.16], images counted as independent): the model may read the "
        "images' size instead of the disease",
    };
    pd_results r = make_report();
    r.val.shape = make_shape();
    r.val.shape.measures[PD_SHAPE_ASPECT].classes[PD_PNEUMONIA].p = 0.012;
    r.val.shape.measures[PD_SHAPE_AREA].classes[PD_PNEUMONIA].p = 0.04;
    r.test.shape.measures[PD_SHAPE_AREA].classes[PD_NORMAL].correlation =
        (pd_figure){-0.4, -0.6, -0.16};
    cJSON *root = write_and_parse(&r, NULL);
    assert_int_equal(cJSON_GetArraySize(get(root, "warnings")), 2);
    for (int i = 0; i < 2; i++)
        assert_string_equal(cJSON_GetArrayItem(get(root, "warnings"), i)->valuestring, expected[i]);
    cJSON_Delete(root);

    r.val.shape.known = false;
    r.test.shape.measures[PD_SHAPE_AREA].known = false;
    root = write_and_parse(&r, NULL);
    const cJSON *folds = get(root, "folds");
    assert_int_equal(cJSON_GetArraySize(get(root, "warnings")), 0);
    assert_null(cJSON_GetObjectItem(get(folds, "val"), "shape"));
    assert_int_equal(cJSON_GetArraySize(get(get(folds, "test"), "shape")), 1);
    cJSON_Delete(root);
    r.test.has_causes = false;
    char *text = print(&r);
    check_aligned(text);
    check_has(text, "  spec., lowest           80.0 % [ 10.0,  90.0]                  all alike\n");
    assert_null(strstr(text, "nan"));
    r.test.shape.known = false;
    free(text);
    text = print(&r);
    assert_null(strstr(text, "thirds"));
    free(text);
}

/* Warnings of figures that are too good are in both outputs. */
static void test_warnings_of_data(void **state)
{
    (void)state;
    pd_results r = make_report();
    r.leaks = 3;
    r.other_data = r.other_threshold = r.unrecognised = true;
    r.val.left_out = 17;
    r.decision_fold = "calibration";
    const char *expected[] = {
        "3 patients have images in more than one fold",
        "this is not the data set of the training",
        "images used for calibration cannot be recognised in this data set",
        "saved in the middle of an epoch",
        "val fold: 17 images of patients with images that calibration used are left out",
    };
    char *text = print(&r);
    cJSON *root = write_and_parse(&r, NULL);
    check_string(get(root, "decision"), "fold", "calibration");
    check_number(get(get(root, "folds"), "val"), "left_out", 17);
    check_number(root, "leaks", 3);
    check_number(get(get(root, "folds"), "test"), "left_out", 0);
    for (int i = 0; i < 5; i++) {
        check_has(text, expected[i]);
        check_has(cJSON_GetArrayItem(get(root, "warnings"), i)->valuestring, expected[i]);
    }
    cJSON_Delete(root);
    free(text);
}

/* Seed and lanes are given only of weights that one training of this program made; evaluations of
 * the test fold are not counted of an import. */
static void test_origin(void **state)
{
    (void)state;
    static const struct {
        int members;
        const char *trained;
        bool known;
    } table[] = {
        {0, "ff", true}, {1, "ff", true}, {3, "ff", false}, {1, "", false}, {3, "", false}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        pd_results r = make_report();
        r.members = table[i].members;
        r.trained_digest = table[i].trained;
        char *text = print(&r);
        cJSON *root = write_and_parse(&r, NULL);
        assert_true(cJSON_IsNull(get(root, "seed")) != table[i].known);
        assert_true(cJSON_IsNull(get(root, "lanes")) != table[i].known);
        assert_true(cJSON_IsNull(get(root, "test_looks")) == (r.members == 1 && !table[i].known));
        assert_true((strstr(text, " parameters, seed 18446744073709551615\n") != NULL) ==
                    table[i].known);
        assert_true((strstr(text, "; ranks 4, threads 2, lanes 8;") != NULL) == table[i].known);
        check_has(text, "; ranks 4, threads 2");
        cJSON_Delete(root);
        free(text);
    }
}

/* Without patients nothing is said of figures per patient. */
static void test_unknown_patients(void **state)
{
    (void)state;
    pd_results r = make_report();
    char *text = print(&r);
    check_has(text, "patients' sens.");
    free(text);
    r.unknown_patients = 41;
    r.leaks = 3;
    text = print(&r);
    cJSON *root = write_and_parse(&r, NULL);
    const char *warning = cJSON_GetArrayItem(get(root, "warnings"), 0)->valuestring;
    check_has(warning, "the patient of 41 images of the data set is unknown");
    check_has(text, warning);
    check_has(text, "3 groups have images in more than one fold");
    assert_null(strstr(text, "patients"));
    check_number(root, "unknown_patients", 41);
    assert_null(cJSON_GetObjectItem(get(get(root, "folds"), "test"), "patients"));
    cJSON_Delete(root);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_patients),
        cmocka_unit_test(test_json_equals_report),
        cmocka_unit_test(test_json_of_stress),
        cmocka_unit_test(test_json_without_folds),
        cmocka_unit_test(test_json_hostile_strings),
        cmocka_unit_test(test_json_unwritable),
        cmocka_unit_test(test_print_alignment),
        cmocka_unit_test(test_print_outside),
        cmocka_unit_test(test_print_stress),
        cmocka_unit_test(test_print_stress_of_one_class),
        cmocka_unit_test(test_print_content),
        cmocka_unit_test(test_print_verdict),
        cmocka_unit_test(test_print_uncertain),
        cmocka_unit_test(test_one_class_is_called_out),
        cmocka_unit_test(test_shape_is_called_out),
        cmocka_unit_test(test_warnings_of_data),
        cmocka_unit_test(test_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
