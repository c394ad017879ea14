#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/files.h"
#include "pneumo/base/random.h"
#include "pneumo/base/text.h"
#include "pneumo/metrics/difference.h"
#include "pneumo/report/compare.h"
#include "pneumo/report/report.h"
#include "pneumo/report/score_file.h"
#include "pneumo/report/table.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MOST = 400 };

static const char digest[] = "00112233445566778899aabbccddeeff";
static const char other_digest[] = "ff112233445566778899aabbccddeeff";

static pd_sample samples[MOST];

/* A run to create: its name and quality. */
typedef struct recipe {
    const char *folder, *job, *digest;
    int first, count; /* ids of its test images */
    double skill;     /* separation of the classes; negative: all images are pneumonia */
    uint64_t noise;
    int64_t parameters;
    double seconds;
} recipe;

static void make_scores(pd_score *scores, const recipe *r)
{
    pd_random random = pd_random_stream(r->noise, PD_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < r->count; i++) {
        int32_t positive = r->skill < 0 || (r->first + i) % 2;
        double logit = (double)pd_random_normal(&random) + (positive ? r->skill : -r->skill);
        scores[i] = (pd_score){.id = r->first + i,
                               .logit = logit,
                               .probability = 1 / (1 + exp(-logit)),
                               .positive = positive,
                               .patient = r->first + i};
    }
}

static void make_run(const recipe *r)
{
    static char name[] = "x.png";
    char path[256];
    pd_score scores[MOST];
    make_scores(scores, r);
    for (int i = 0; i < MOST; i++)
        samples[i] = (pd_sample){.fold = PD_TEST,
                                 .label = r->skill < 0 || i % 2 ? PD_PNEUMONIA : PD_NORMAL,
                                 .patient = i,
                                 .name = name};
    pd_results results = {
        .job_name = r->job,
        .data_digest = r->digest,
        .parameters = r->parameters,
        .seconds = r->seconds,
        .images_per_second = 1000 / r->seconds,
        .views = 1,
        .samples = samples,
        .test = {.present = true, .scores = scores, .score_count = (size_t)r->count}};
    assert_int_equal(pd_metrics_compute(&results.test.chosen, scores, (size_t)r->count, 0.5),
                     PD_OK);
    fresh_folder(r->folder);
    snprintf(path, sizeof path, "%s/report.json", r->folder);
    assert_int_equal(pd_report_write_json(path, &results), PD_OK);
    snprintf(path, sizeof path, "%s/scores.csv", r->folder);
    assert_int_equal(pd_score_file_write(path, &results), PD_OK);
}

/* Good, better, best; and a copy of the best under another name. */
static const recipe best = {"t_best", "best", digest, 0, 400, 2.0, 1, 3000, 300};
static const recipe twin = {"t_twin", "twin", digest, 0, 400, 2.0, 1, 1000, (double)NAN};
static const recipe good = {"t_good", "good", digest, 0, 400, 1.0, 2, 2000, 100};
static const recipe poor = {"t_poor", "poor", digest, 0, 400, 0.1, 3, 2000, 200};

static int set_up(void **state)
{
    (void)state;
    make_run(&best);
    make_run(&twin);
    make_run(&good);
    make_run(&poor);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    return system("rm -rf t_*");
}

static pd_comparison *compare(pd_column sort, int count, const char *const *folders)
{
    pd_comparison *result = NULL;
    if (pd_compare(&result, folders, count, sort) != PD_OK)
        fail_msg("%s", pd_error_message());
    assert_int_equal(result->count, count);
    return result;
}

static void check_order(pd_column sort, const char *const *names)
{
    /* The given order does not matter. */
    const char *const given[][4] = {{"t_best", "t_twin", "t_good", "t_poor"},
                                    {"t_poor", "t_good", "t_twin", "t_best"},
                                    {"t_good", "t_best", "t_poor", "t_twin"}};
    for (size_t i = 0; i < COUNT(given); i++) {
        pd_comparison *c = compare(sort, 4, given[i]);
        for (int j = 0; j < 4; j++)
            assert_string_equal(c->names[j], names[j]);
        pd_comparison_destroy(&c);
        assert_null(c);
    }
}

static void test_order(void **state)
{
    (void)state;
    check_order(PD_COLUMN_AUC, (const char *[]){"best", "twin", "good", "poor"});
    check_order(PD_COLUMN_RECALL, (const char *[]){"best", "twin", "good", "poor"});
    check_order(PD_COLUMN_PARAMETERS, (const char *[]){"twin", "good", "poor", "best"});
    check_order(PD_COLUMN_SECONDS, (const char *[]){"good", "poor", "best", "twin"});
    check_order(PD_COLUMN_IMAGES_PER_SECOND, (const char *[]){"good", "poor", "best", "twin"});
}

static void test_best(void **state)
{
    (void)state;
    const char *const given[] = {"t_best", "t_twin", "t_good", "t_poor"};
    pd_comparison *c = compare(PD_COLUMN_AUC, 4, given);
    for (int run = 0; run < 4; run++) {
        for (pd_column column = 0; column <= PD_COLUMN_AUC; column++)
            assert_int_equal(pd_comparison_is_best(c, run, column), run < 2); /* equals both are */
        assert_int_equal(pd_comparison_is_best(c, run, PD_COLUMN_PARAMETERS), run == 1);
        assert_int_equal(pd_comparison_is_best(c, run, PD_COLUMN_SECONDS), run == 2);
        assert_int_equal(pd_comparison_is_best(c, run, PD_COLUMN_IMAGES_PER_SECOND), run == 2);
    }
    pd_comparison_destroy(&c);
    c = compare(PD_COLUMN_AUC, 1, given);
    assert_false(pd_comparison_is_best(c, 0, PD_COLUMN_AUC));
    assert_int_equal(c->line_count, 0);
    pd_comparison_destroy(&c);
}

static void check_line(const pd_comparison *c, int line, const char *start, const char *end)
{
    assert_true(line < c->line_count);
    const char *text = c->lines[line];
    size_t length = strlen(text), end_length = strlen(end);
    if (strncmp(text, start, strlen(start)) != 0 || length < end_length ||
        strcmp(text + length - end_length, end) != 0)
        fail_msg("'%s' is not '%s ... %s'", text, start, end);
}

static void test_sentences(void **state)
{
    (void)state;
    pd_comparison *c =
        compare(PD_COLUMN_AUC, 4, (const char *[]){"t_poor", "t_good", "t_twin", "t_best"});
    assert_int_equal(c->line_count, 5);
    check_line(c, 0, "best and twin: AUC differs by 0.0000 (", ", p = 1: no more than noise");
    check_line(c, 2, "twin and good: AUC differs by 0.", ", p < 0.001: more than noise");
    check_line(c, 3, "Differences are first minus second",
               "over 3 pairs; more than noise: p < 0.05.");
    check_line(c, 4, "The best of many on one test fold", "by its validation fold.");

    /* The figures are those of the tests, p times 3 and at most 1. */
    pd_score a[MOST], b[MOST];
    pd_difference auc, accuracy;
    char expected[256];
    make_scores(a, &best);
    make_scores(b, &good);
    assert_int_equal(pd_difference_auc(&auc, a, b, MOST), PD_OK);
    assert_int_equal(pd_difference_accuracy(&accuracy, a, 0.5, b, 0.5, MOST), PD_OK);
    snprintf(expected, sizeof expected,
             "best and good: AUC differs by %.4f (%.4f to %.4f), p < 0.001: more than noise; "
             "accuracy differs by %.1f points (%.1f to %.1f), p < 0.001: more than noise",
             auc.value, auc.low, auc.high, 100 * accuracy.value, 100 * accuracy.low,
             100 * accuracy.high);
    assert_string_equal(c->lines[1], expected);
    pd_comparison_destroy(&c);
}

/* A difference that is just significant for one pair is not for the best of three pairs. */
static void test_sentences_are_corrected(void **state)
{
    (void)state;
    const recipe first = {"t_first", "first", digest, 0, 400, 1.0, 10, 1, 1};
    recipe second = {"t_second", "second", digest, 0, 400, 1.0, 0, 1, 1};
    pd_score a[MOST], b[MOST];
    pd_difference auc;
    char expected[64];
    make_scores(a, &first);
    do { /* such a pair occurs by chance */
        second.noise++;
        make_scores(b, &second);
        assert_int_equal(pd_difference_auc(&auc, a, b, MOST), PD_OK);
    } while (!(auc.value > 0 && auc.p > 0.02 && auc.p < 0.04));
    make_run(&first);
    make_run(&second);
    pd_comparison *c = compare(PD_COLUMN_AUC, 2, (const char *[]){"t_second", "t_first"});
    snprintf(expected, sizeof expected, "), p = %.3g: more than noise; accuracy", auc.p);
    assert_non_null(strstr(c->lines[0], expected));
    assert_non_null(strstr(c->lines[1], "over 1 pair;"));
    pd_comparison_destroy(&c);
    /* The poor one differs significantly from both, so this p is the largest of three and
     * multiplied by 1; among three similar ones it is the smallest and multiplied by 3. */
    c = compare(PD_COLUMN_AUC, 3, (const char *[]){"t_second", "t_first", "t_poor"});
    assert_non_null(strstr(c->lines[0], expected));
    pd_comparison_destroy(&c);
    recipe third = second;
    third.folder = "t_third";
    third.job = "third";
    make_run(&third);
    c = compare(PD_COLUMN_AUC, 3, (const char *[]){"t_second", "t_first", "t_third"});
    snprintf(expected, sizeof expected, "), p = %.3g: no more than noise; accuracy", 3 * auc.p);
    assert_non_null(strstr(c->lines[0], expected));
    pd_comparison_destroy(&c);
}

static void test_no_common_images(void **state)
{
    (void)state;
    recipe r = {"t_other", "other", other_digest, 0, 400, 3.0, 4, 1, 1};
    make_run(&r);
    pd_comparison *c = compare(PD_COLUMN_AUC, 3, (const char *[]){"t_best", "t_other", "t_good"});
    assert_int_equal(c->line_count, 6);
    check_line(c, 0, "The runs were not all tested on the same data set", "compared.");
    check_line(c, 1, "other and best: not compared: ", "different data sets");
    check_line(c, 2, "other and good: not compared: ", "different data sets");
    check_line(c, 3, "best and good: AUC differs by ", "noise");
    check_line(c, 4, "Differences", "over 1 pair; more than noise: p < 0.05.");
    pd_comparison_destroy(&c);

    /* The same data set, but other images: one less, or as many but different ones. */
    for (int i = 0; i < 2; i++) {
        r = (recipe){"t_other", "other", digest, i, 398 + i, 3.0, 4, 1, 1};
        make_run(&r);
        const recipe full = {"t_full", "full", digest, 0, 399, 2.0, 1, 1, 1};
        make_run(&full);
        c = compare(PD_COLUMN_AUC, 2, (const char *[]){"t_full", "t_other"});
        assert_int_equal(c->line_count, 2);
        check_line(c, 0, "other and full: not compared: ",
                   "not tested on the same images of the data set");
        pd_comparison_destroy(&c);
    }

    assert_int_equal(unlink("t_other/scores.csv"), 0);
    c = compare(PD_COLUMN_AUC, 2, (const char *[]){"t_full", "t_other"});
    check_line(c, 0, "other and full: not compared: scores.csv is missing", "");
    pd_comparison_destroy(&c);

    /* No images at all. */
    for (int i = 0; i < 2; i++) {
        r = (recipe){i ? "t_full" : "t_other", i ? "full" : "other", digest, 0, 0, 1, 1, 1, 1};
        make_run(&r);
    }
    c = compare(PD_COLUMN_AUC, 2, (const char *[]){"t_full", "t_other"});
    check_line(c, 0,
               "full and other: not compared: ", "not tested on the same images of the data set");
    pd_comparison_destroy(&c);
}

/* A test fold of one class has accuracies, but no AUC. */
static void test_one_class(void **state)
{
    (void)state;
    const recipe a = {"t_a", "a", digest, 0, 100, -1, 5, 1, 1};
    const recipe b = {"t_b", "b", digest, 0, 100, -1, 6, 1, 1};
    make_run(&a);
    make_run(&b);
    pd_comparison *c = compare(PD_COLUMN_AUC, 2, (const char *[]){"t_b", "t_a"});
    check_line(c, 0,
               "a and b: AUC is not defined, as all images are of one class; accuracy differs",
               "noise");
    assert_false(pd_comparison_is_best(c, 0, PD_COLUMN_AUC));
    pd_comparison_destroy(&c);
}

static void test_files_at_odds(void **state)
{
    (void)state;
    pd_comparison *c;
    const char *const folders[] = {"t_best", "t_odd"};
    const recipe odd = {"t_odd", "odd", digest, 0, 400, 1.5, 7, 1, 1};
    make_run(&odd);
    assert_int_equal(system("cp t_poor/scores.csv t_odd/scores.csv"), 0);
    assert_int_equal(pd_compare(&c, folders, 2, PD_COLUMN_AUC), PD_FAILED);
    assert_null(c);
    assert_message("t_odd/scores.csv: its scores do not yield the counts of report.json");
    assert_int_equal(system("head -n 9 t_poor/scores.csv >t_odd/scores.csv"), 0);
    assert_int_equal(pd_compare(&c, folders, 2, PD_COLUMN_AUC), PD_FAILED);
    assert_message("t_odd/scores.csv: its scores do not yield");
    spill("t_odd/scores.csv", (const unsigned char *)"nothing", 7);
    assert_int_equal(pd_compare(&c, folders, 2, PD_COLUMN_AUC), PD_FAILED);
    assert_message("t_odd/scores.csv:1: not a table of scores");
    spill("t_odd/report.json", (const unsigned char *)"{}", 2);
    assert_int_equal(pd_compare(&c, folders, 2, PD_COLUMN_AUC), PD_FAILED);
    assert_message("t_odd/report.json: 'job' is missing");
    assert_int_equal(pd_compare(&c, (const char *[]){"t_best", "t_none"}, 2, PD_COLUMN_AUC),
                     PD_FAILED);
    assert_message("t_none/report.json: not found");
}

static char *print(const pd_comparison *comparison)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    pd_table_print(out, comparison);
    fclose(out);
    return text;
}

static void check_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no '%s' in:\n%s", part, text);
}

/* Columns of the line at `text`. */
static int line_width(const char *text)
{
    char line[512];
    snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
    return pd_text_columns(line);
}

static void test_screen(void **state)
{
    (void)state;
    recipe r = {
        "t_long", "R\xc3\xb6ntgen \x1b[31m a name \xe8\x83\xb8", digest, 0, 400, 1.5, 8, 123456789,
        86400};
    make_run(&r);
    pd_comparison *c = compare(PD_COLUMN_AUC, 5,
                               (const char *[]){"t_best", "t_twin", "t_good", "t_poor", "t_long"});
    char *text = print(c);
    const char *line = text;
    int width = line_width(line);
    for (int i = 0; i < 6; i++, line = strchr(line, '\n') + 1)
        assert_int_equal(line_width(line), width);
    assert_int_equal(*line, '\n');
    check_has(text, "R\xc3\xb6ntgen ?[31m a name \xe8\x83\xb8 ");
    check_has(text, "24 h 00 min");
    check_has(text, " 123456789 ");
    check_has(text, "1 min 40 s");
    check_has(text, " *10.0\n"); /* images per second of the fastest */
    check_has(text, " -\n");     /* and of one where it is unknown */
    for (int i = 0; i < c->line_count; i++)
        check_has(text, c->lines[i]);
    char cell[64];
    const pd_figure *auc = &c->runs[0].columns[PD_COLUMN_AUC];
    snprintf(cell, sizeof cell, " *%.4f (%.4f-%.4f) ", auc->value, auc->low, auc->high);
    check_has(text, cell);
    free(text);
    pd_comparison_destroy(&c);
}

/* Runs of one job are distinguished by their folders. */
static void test_names(void **state)
{
    (void)state;
    recipe r = {"t_seed 2\x07", "best", digest, 0, 400, 2.5, 9, 1, 1};
    make_run(&r);
    pd_comparison *c =
        compare(PD_COLUMN_AUC, 3, (const char *[]){"t_best", "t_seed 2\x07", "t_good"});
    assert_string_equal(c->names[0], "best (t_seed 2?)");
    assert_string_equal(c->names[1], "best (t_best)");
    assert_string_equal(c->names[2], "good");
    pd_comparison_destroy(&c);
}

static void test_csv(void **state)
{
    (void)state;
    recipe r = {"t_a, \"b\"", "a, b", digest, 0, 400, 2.5, 9, 12345, (double)NAN};
    make_run(&r);
    pd_comparison *c = compare(PD_COLUMN_AUC, 2, (const char *[]){"t_best", "t_a, \"b\""});
    assert_int_equal(pd_table_write_csv("t_table.csv", c), PD_OK);
    bytes file = slurp("t_table.csv");
    const char *text = (const char *)file.data;
    check_has(text, "run,job,data_digest,accuracy,accuracy_low,accuracy_high,recall,recall_low,"
                    "recall_high,specificity,specificity_low,specificity_high,f1,f1_low,f1_high,"
                    "auc,auc_low,auc_high,stress_auc,stress_balanced_accuracy,parameters,seconds,"
                    "images_per_second\n"
                    "\"t_a, \"\"b\"\"\",\"a, b\",00112233445566778899aabbccddeeff,");
    check_has(text, ",,,12345,,\nt_best,best,00112233445566778899aabbccddeeff,");
    const char *at = strstr(text, "\nt_best,");
    at = strchr(strchr(strchr(at, ',') + 1, ',') + 1, ',');
    for (pd_column column = 0; column <= PD_COLUMN_AUC; column++) {
        const pd_figure *figure = &c->runs[1].columns[column];
        const double parts[] = {figure->value, figure->low, figure->high};
        for (int i = 0; i < 3; i++) {
            char *end;
            assert_true(strtod(at + 1, &end) == parts[i]);
            at = end;
        }
    }
    assert_string_equal(at, ",,,3000,300,3.3333333333333335\n");
    free(file.data);
    assert_int_equal(pd_table_write_csv("t_none/table.csv", c), PD_FAILED);
    pd_comparison_destroy(&c);
}

static void test_html(void **state)
{
    (void)state;
    recipe r = {"t_<b>", "<script>alert('1')</script>", digest, 0, 400, 2.5, 9, 12345, 1};
    make_run(&r);
    pd_comparison *c = compare(PD_COLUMN_AUC, 2, (const char *[]){"t_best", "t_<b>"});
    assert_int_equal(pd_table_write_html("t_table.html", c), PD_OK);
    bytes file = slurp("t_table.html");
    const char *text = (const char *)file.data;
    check_has(text, "<title>Comparison of 2 runs</title>");
    check_has(text, "<th>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;</th>");
    check_has(text, "<li>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; and best: AUC differs by");
    check_has(text, "<td data-title=\"parameters\" class=\"best\">* 3000</td>");
    check_has(text, "<td data-title=\"parameters\">12345</td>");
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "http"));
    assert_null(strstr(text, "url("));
    free(file.data);
    assert_int_equal(pd_table_write_html("t_none/table.html", c), PD_FAILED);
    pd_comparison_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_best),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_sentences_are_corrected),
        cmocka_unit_test(test_no_common_images),
        cmocka_unit_test(test_one_class),
        cmocka_unit_test(test_files_at_odds),
        cmocka_unit_test(test_screen),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_html),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
