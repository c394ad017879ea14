#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pneumo/base/text.h"
#include "pneumo/io/file.h"
#include "pneumo/report/report.h"
#include "report/page.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char path[] = "test_page.html";

enum { SCORES = 200, EPOCHS = 5 };

/* A run with everything that a page can show; all figures differ. */
typedef struct run {
    pd_score scores[SCORES];
    pd_history_row history[EPOCHS];
    pd_page_mistake mistakes[2];
    pd_results results;
    pd_page page;
} run;

static double next_figure;

static pd_figure make_figure(void)
{
    next_figure += 1e-3;
    double value = 0.5 + next_figure;
    return (pd_figure){value, value - 1.0 / 30, value + 1.0 / 70};
}

static pd_metrics make_metrics(double threshold)
{
    return (pd_metrics){.threshold = threshold,
                        .confusion = {91, 9, 83, 17},
                        .accuracy = make_figure(),
                        .balanced_accuracy = make_figure(),
                        .sensitivity = make_figure(),
                        .specificity = make_figure(),
                        .precision = make_figure(),
                        .f1 = make_figure(),
                        .auc = make_figure()};
}

static pd_calibration make_calibration(void)
{
    pd_calibration c = {.brier = make_figure().value, .ece = make_figure().value};
    for (int i = 0; i < PD_CALIBRATION_BINS; i++)
        c.bins[i] = (pd_calibration_bin){0.1 * i, 0.1 * (i + 1), i % 3,
                                         i % 3 ? 0.1 * i + 0.05 : (double)NAN, make_figure()};
    return c;
}

static pd_shape_report make_shape(void)
{
    pd_shape_report shape = {.known = true};
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
        pd_shape_figures *figures = &shape.measures[measure];
        figures->known = true;
        figures->auc_high_normal = make_figure();
        figures->auc_low_normal = make_figure();
        for (int label = 0; label < PD_LABELS; label++) {
            pd_shape_class *group = &figures->classes[label];
            group->p = make_figure().value;
            group->correlation = make_figure();
            group->correlation.low = 0.1;
            for (int i = 0; i < PD_SHAPE_THIRDS; i++)
                group->thirds[i] = (pd_shape_third){make_figure().low, make_figure().high,
                                                    10 * label + i, make_figure()};
        }
    }
    return shape;
}

static pd_results_fold make_fold(pd_score *scores)
{
    pd_results_fold fold = {.present = true,
                            .chosen = make_metrics(0.37),
                            .half = make_metrics(0.5),
                            .patients = make_metrics(0.37),
                            .referred = make_figure(),
                            .decided = make_figure(),
                            .outside = {true, 45, {11, 1, 2, 3, 5, 8, 15}},
                            .calibration = make_calibration(),
                            .uncalibrated = make_calibration(),
                            .shape = make_shape(),
                            .scores = scores,
                            .score_count = SCORES,
                            .has_causes = true,
                            .causes = {{90, 7, 3}, {4, 51, 5}, {6, 8, 26}}};
    fold.chosen_bootstrap = make_metrics(0.37);
    fold.half_bootstrap = make_metrics(0.5);
    for (int cause = 0; cause < PD_CAUSES; cause++)
        fold.by_cause[cause] = make_figure();
    return fold;
}

/* Every change costs specificity: the last most. */
static void make_stress(pd_stress *stress)
{
    *stress = (pd_stress){.present = true,
                          .images = 120,
                          .fold_images = 200,
                          .pooled_auc = make_figure(),
                          .worst = PD_STRESS_ROWS - 1};
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        double share = 0.9 - 0.02 * i;
        stress->rows[i] = (pd_stress_row){.change = i - 1, .metrics = make_metrics(0.37)};
        stress->rows[i].metrics.specificity = (pd_figure){share, share - 0.05, share + 0.05};
        stress->rows[i].metrics.balanced_accuracy.value = (0.7 + share) / 2;
    }
}

static void make_run(run *r)
{
    static const unsigned char picture[] = "\x89PNG\r\n\x1a\nnot much of a picture";
    memset(r, 0, sizeof *r);
    next_figure = 0;
    for (int i = 0; i < SCORES; i++)
        r->scores[i] = (pd_score){.id = i,
                                  .patient = i / 2,
                                  .positive = i % 2,
                                  .probability = fmod(0.37 * i, 1) * 0.6 + 0.35 * (i % 2)};
    for (int i = 0; i < EPOCHS; i++)
        r->history[i] = (pd_history_row){i + 1,
                                         0.1,
                                         1.0 / (i + 1),
                                         1.2 / (i + 1),
                                         0.5 + i / 20.,
                                         0.6 + i / 20.,
                                         0.7 + i / 20.,
                                         0.4,
                                         1,
                                         NAN};
    pd_dataset_info data = {.count = 600,
                            .height = 112,
                            .width = 112,
                            .fold_policy = "by patient, 70/15/15, balanced",
                            .grouping = "from file names",
                            .duplicates = 3,
                            .mean = 120.5,
                            .deviation = 55.25,
                            .counts = {{123, 277}, {101, 102}, {103, 104}},
                            .version = "0.0.9"};
    r->mistakes[0] =
        (pd_page_mistake){"a/one.jpeg", PD_NORMAL, 0.987, picture, sizeof picture, 0.42};
    r->mistakes[1] = (pd_page_mistake){"b/two.jpeg", PD_PNEUMONIA, 0.012, NULL, 0, NAN};
    r->results = (pd_results){.job_name = "first",
                              .model = "cnn",
                              .data_path = "data/chest.h5",
                              .data_digest = "00112233445566778899aabbccddeeff",
                              .version = "0.1.0",
                              .seed = UINT64_MAX,
                              .ranks = 4,
                              .threads = 2,
                              .lanes = 8,
                              .parameters = INT64_C(9007199254740993),
                              .best_epoch = 3,
                              .weights_epoch = 4,
                              .epochs = 5,
                              .history = r->history,
                              .history_count = EPOCHS,
                              .seconds = 1234.5,
                              .images_per_second = 1.0 / 3,
                              .target_sensitivity = 0.5,
                              .target_specificity = 0.4,
                              .decision_rule = "sensitivity of at least 96 %",
                              .temperature = 1.0 / 0.7,
                              .refer_low = 0.1 + 0.2,
                              .refer_high = 0.61,
                              .test_looks = 3,
                              .settings = "[model]\nname = cnn\n",
                              .data = data,
                              .leaks = 2};
    r->results.val = make_fold(r->scores);
    make_stress(&r->results.val.stress);
    r->results.test = make_fold(r->scores);
    r->page = (pd_page){&r->results, r->mistakes, 2};
}

static bool is_void(const char *tag)
{
    return strcmp(tag, "!DOCTYPE") == 0 || strcmp(tag, "meta") == 0 || strcmp(tag, "img") == 0;
}

/* Every element is an expected one of HTML or SVG, and is closed. */
static void check_elements(const char *html)
{
    static const char allowed[] = " !DOCTYPE html head meta title style body main header section "
                                  "figure figcaption p h1 h2 h3 "
                                  "h4 b i ul li table thead tr th td span bdi dl dt dd div pre img "
                                  "svg g rect circle polyline polygon "
                                  "text ";
    char open[32][16], tag[16], spaced[20];
    int depth = 0;
    for (const char *at = html; (at = strchr(at, '<')) != NULL; at++) {
        bool closes = at[1] == '/';
        const char *end = strchr(at, '>');
        assert_non_null(end);
        size_t length = strcspn(at + 1 + closes, " />");
        assert_in_range(length, 1, sizeof tag - 1);
        snprintf(tag, sizeof tag, "%.*s", (int)length, at + 1 + closes);
        snprintf(spaced, sizeof spaced, " %s ", tag);
        if (!strstr(allowed, spaced))
            fail_msg("element %s: %.60s", tag, at);
        if (closes) {
            if (depth == 0 || strcmp(open[depth - 1], tag) != 0)
                fail_msg("</%s> closes <%s>: %.60s", tag, depth ? open[depth - 1] : "", at - 60);
            depth--;
        } else if (!is_void(tag) && end[-1] != '/') {
            assert_in_range(depth, 0, 31);
            strcpy(open[depth++], tag);
        }
    }
    assert_int_equal(depth, 0);
}

/* Checks that every page must pass. */
static void check_page(const char *html)
{
    assert_true(strncmp(html, "<!DOCTYPE html>\n", 16) == 0);
    for (const char *at = html; *at; at += pd_text_character_size(at))
        if (pd_text_character_size(at) == 0)
            fail_msg("not UTF-8: %.20s", at);
    check_elements(html);
    const char *const forbidden[] = {"<script", "javascript:", "http:",  "https:", "href",
                                     "url(",    "@import",     "srcset", ">nan",   "nan<",
                                     ">inf",    "\"nan",       "-nan",   ",nan",   "nan,"};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (strstr(html, forbidden[i]))
            fail_msg("'%s' in the page: %.80s", forbidden[i], strstr(html, forbidden[i]));
    for (const char *at = html; (at = strstr(at, " src=\"")) != NULL; at++)
        assert_true(strncmp(at, " src=\"data:image/png;base64,", 28) == 0);
}

/* The page's text (free()), after the checks for every page. */
static char *write_page(const run *r)
{
    unsigned char *bytes = NULL;
    size_t size;
    if (pd_page_write(path, &r->page) != PD_OK)
        fail_msg("%s", pd_error_message());
    assert_int_equal(pd_file_read(&bytes, &size, path, 1 << 24), PD_OK);
    assert_int_equal(strlen((char *)bytes), size);
    check_page((char *)bytes);
    unlink(path);
    return (char *)bytes;
}

static void check_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("the page has no '%s'", part);
}

static int occurrences(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

static void test_all_parts(void **state)
{
    (void)state;
    run r;
    make_run(&r);
    char *html = write_page(&r);
    const char *const parts[] = {
        "<title>first</title>",
        "<h2>Test fold</h2>",
        "<h2>Validation fold</h2>",
        "<h4>ROC</h4>",
        "<h4>Precision and recall</h4>",
        "<h4>Calibration</h4>",
        "<h4>Scores by class</h4>",
        "<h4>Loss</h4>",
        "<h4>Specificity by width over height</h4>",
        "<h4>Sensitivity by width times height</h4>",
        "<th scope=\"row\">small normal, large pneumonia</th>",
        "<h2>Learning curves</h2>",
        "<h2>Most confident mistakes</h2>",
        "<bdi>a/one.jpeg</bdi>actually normal, probability of pneumonia 0.987; 42 % of",
        "<bdi>b/two.jpeg</bdi>actually pneumonia, probability of pneumonia 0.012</figcaption>",
        "200 images of 200 patients: 100 pneumonia, 100 normal.",
        "data-key=\"test_looks\" data-value=\"3\">3</span></b> times.",
        "2 patients have images in more than one fold",
        "00112233445566778899aabbccddeeff",
        "18446744073709551615",
        "9007199254740993",
        "<dd>20 min 3",
        "sensitivity of at least 96 %",
        "by patient, 70/15/15, balanced",
        "<td>123</td><td>277</td><td>400</td>",
        "<td>103</td><td>104</td><td>207</td>",
        "name = cnn",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        check_has(html, parts[i]);
    /* Four curves of each fold, two over epochs, the stress test and the marks of its legend. */
    assert_int_equal(occurrences(html, "<svg "), 4 + 4 + 2 + 3);
    assert_int_equal(occurrences(html, "Three classes"), 2);
    assert_int_equal(occurrences(html, "<img "), 1);
    assert_null(strstr(html, "The curves end"));
    free(html);
    r.results.weights_epoch = EPOCHS;
    html = write_page(&r);
    check_has(html, "The curves end where these weights were saved.");
    free(html);
}

/* Without patients nothing is said of figures per patient. */
static void test_unknown_patients(void **state)
{
    (void)state;
    run r;
    make_run(&r);
    char *html = write_page(&r);
    check_has(html, "over patients");
    check_has(html, "<h4>Patients, threshold ");
    free(html);
    r.results.unknown_patients = 41;
    r.results.data.unknown_patients = 41;
    html = write_page(&r);
    check_has(html, "200 images: 100 pneumonia, 100 normal.");
    check_has(html, "here the patient of 41 of the data set");
    check_has(html, "<li>the patient of 41 images of the data set is unknown");
    check_has(html, "over images");
    assert_null(strstr(html, "over patients"));
    assert_null(strstr(html, "Patients"));
    assert_null(strstr(html, "whole patients"));
    assert_null(strstr(html, "200 patients"));
    free(html);
}

/* The value at a key such as "folds.val.half.auc.low"; NULL: there is none. */
static const cJSON *find(const cJSON *root, const char *key)
{
    char part[64];
    for (const char *at = key; root && *at;) {
        size_t length = strcspn(at, ".");
        snprintf(part, sizeof part, "%.*s", (int)length, at);
        root = cJSON_IsArray(root) ? cJSON_GetArrayItem(root, atoi(part))
                                   : cJSON_GetObjectItemCaseSensitive(root, part);
        at += length + (at[length] == '.');
    }
    return root;
}

/* Every number with a key equals that of report.json to the last digit. */
static void test_numbers_are_those_of_the_report(void **state)
{
    (void)state;
    run r;
    unsigned char *json = NULL;
    size_t size;
    int count = 0;
    make_run(&r);
    char *html = write_page(&r);
    assert_int_equal(pd_report_write_json("test_page.json", &r.results), PD_OK);
    assert_int_equal(pd_file_read(&json, &size, "test_page.json", 1 << 20), PD_OK);
    unlink("test_page.json");
    cJSON *root = cJSON_Parse((char *)json);
    for (const char *at = html; (at = strstr(at, "data-key=")) != NULL; at++, count++) {
        char key[96], value[40];
        assert_int_equal(sscanf(at, "data-key=\"%95[^\"]\" data-value=\"%39[^\"]\"", key, value),
                         2);
        const cJSON *item = find(root, key);
        if (!item)
            fail_msg("report.json has no %s", key);
        if (strtod(value, NULL) != item->valuedouble)
            fail_msg("%s is %s on the page and %.17g in report.json", key, value,
                     item->valuedouble);
    }
    assert_in_range(count, 300, 1000);
    cJSON_Delete(root);
    free(json);
    free(html);
}

/* The page says on which images the decision was made, and nothing where it was made on none. */
static void test_decision_text(void **state)
{
    (void)state;
    run made, *r = &made;
    make_run(r);
    static const struct {
        const char *fold, *images;
    } table[] = {{NULL, "the validation fold"},
                 {"val", "the validation fold"},
                 {"val changed", "changed images of the validation fold"},
                 {"calibration", "the calibration images"},
                 {"given", NULL},
                 {"no images", NULL}};
    r->results.refer_low = r->results.refer_high = 0.5;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char chosen[160], fitted[160], band[160];
        const char *images = table[i].images != NULL ? table[i].images : "";
        r->results.decision_fold = r->results.temperature_fold = table[i].fold;
        char *html = write_page(r);
        snprintf(chosen, sizeof chosen, "The threshold in use was chosen on %s", images);
        snprintf(fitted, sizeof fitted, ", fitted on %s", images);
        snprintf(band, sizeof band, "None: the model was wrong about at most 1 %% of %s", images);
        const char *const sentences[] = {chosen, fitted, band};
        for (size_t j = 0; j < 3; j++)
            if ((strstr(html, sentences[j]) != NULL) != (table[i].images != NULL))
                fail_msg("fold %s: '%s'", table[i].fold, sentences[j]);
        free(html);
    }
}

/* The stress test: the verdict at the top, a row with both marks in the plot for every change, and
 * a row in the table, with missed targets marked. */
static void test_stress(void **state)
{
    (void)state;
    run r;
    make_run(&r);
    r.results.target_sensitivity = 0.1;
    r.results.target_specificity = 0.7;
    char *html = write_page(&r);
    check_has(html, "verdict missed\">On validation images zoomed in by 15 % and blurred the "
                    "specificity falls to 40.0 % (target 70 %): ");
    const char *warnings = strstr(html, "class=\"warnings\"");
    assert_non_null(warnings);
    assert_null(strstr(warnings, "do not trust")); /* checked once */
    check_has(html, "<h2>Validation images under acquisition changes</h2>");
    check_has(html, "120</span> of <span");
    assert_null(strstr(html, "Test images under acquisition changes"));
    const char *plot = strstr(html, "<figure class=\"stress\">"),
               *table = strstr(html, "changes\">");
    assert_true(plot != NULL && table > plot);
    char *figure = strndup(plot, (size_t)(table - plot));
    /* A row and the legend's own; rows 11 to 25 are below 0.7. */
    assert_int_equal(occurrences(figure, "<polygon "), PD_STRESS_ROWS + 1);
    assert_int_equal(occurrences(figure, "stroke=\"var(--plot-second)\" stroke-width=\"1.4\""),
                     PD_STRESS_ROWS + 1);
    assert_int_equal(occurrences(figure, "fill=\"var(--wrong)\""), 15);
    assert_int_equal(occurrences(figure, "stroke-dasharray"), 2);
    assert_int_equal(occurrences(figure, ">worst<"), 1);
    for (int i = 0; i < PD_CHANGES; i++) {
        check_has(figure, pd_changes[i].name);
        check_has(table, pd_changes[i].phrase);
    }
    assert_int_equal(occurrences(table, "class=\"missing\""), 15);
    assert_int_equal(occurrences(table, "(worst)"), 1);
    free(figure);
    free(html);

    /* One class, whose figure meets its target: neither met nor missed, and no row is the worst. */
    const pd_figure none = {NAN, NAN, NAN};
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        pd_metrics *m = &r.results.val.stress.rows[i].metrics;
        m->specificity = m->balanced_accuracy = m->auc = none;
    }
    r.results.val.stress.worst = PD_STRESS_NO_ROW;
    r.results.epoch_on_changed = true;
    html = write_page(&r);
    check_has(html, "<p class=\"verdict\">The stress test has no verdict on the specificity: ");
    assert_null(strstr(strstr(html, "under acquisition changes</h2>"), "orst"));
    check_has(html, "<p class=\"note\">The epoch was chosen on changed images of this fold, ");
    free(html);

    r.results.val.stress.present = false;
    html = write_page(&r);
    check_has(html, "No stress test was run");
    assert_null(strstr(html, "under acquisition changes</h2>"));
    free(html);
}

static void test_verdict(void **state)
{
    (void)state;
    const struct {
        double sensitivity, specificity;
        const char *text;
    } table[] = {
        {0.97, 0.95, "verdict met\">Both targets met: "},
        {0.95, 0.9,
         "data-value=\"0.95\">95.000</span>&nbsp;%</b> of pneumonias (target 95&nbsp;%)"},
        {0.94999, 0.95, "verdict missed\">Target for sensitivity missed: "},
        {0.97, 0.5, "verdict missed\">Target for specificity missed: "},
        {0.5, 0.5, "verdict missed\">Both targets missed: "},
        {NAN, 0.95, "verdict\">No verdict: the test fold lacks images of a class."},
        {0.375, NAN, "verdict missed\">Target for sensitivity missed: on the test fold the model "},
        {NAN, 0.5, "(target 90&nbsp;%); the fold lacks images of the other class.</p>"},
    };
    run r;
    make_run(&r);
    r.results.target_sensitivity = 0.95;
    r.results.target_specificity = 0.9;
    r.results.test_looks = 1;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        double a = table[i].sensitivity, b = table[i].specificity;
        r.results.test.chosen.sensitivity = (pd_figure){a, a - 0.01, a + 0.01};
        r.results.test.chosen.specificity = (pd_figure){b, b - 0.01, b + 0.01};
        char *html = write_page(&r);
        check_has(html, table[i].text);
        check_has(html, "</b> time. ");
        free(html);
    }
    /* A target that is met, with an interval that reaches below it. */
    r.results.test.chosen.sensitivity = (pd_figure){0.97, 0.93, 0.99};
    r.results.test.chosen.specificity = (pd_figure){0.97, 0.93, 0.99};
    char *html = write_page(&r);
    check_has(html, "The 95 % interval of the sensitivity reaches down to 93.0 %");
    assert_null(strstr(html, "interval of the specificity reaches down"));
    free(html);
}

static void test_hostile_texts(void **state)
{
    (void)state;
    const char *const texts[] = {
        "<script>alert(1)</script>",
        "</pre></style></title><img src=x onerror=alert(1)>",
        "\"><svg onload=alert(1)>",
        "' \" & &lt; <!-- -->",
        "R\xf6ntgen \xe8\x83 \xff\x80",
        "\x01\x1b[31m\x7f line\nbreak",
        "right \xe2\x80\xae to left, NUL-like \xc0\x80",
        "",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        run r;
        make_run(&r);
        r.results.job_name = r.results.model = r.results.data_path = r.results.data_digest =
            r.results.version = r.results.decision_rule = r.results.settings = texts[i];
        r.mistakes[0].name = r.mistakes[1].name = texts[i];
        snprintf(r.results.data.fold_policy, sizeof r.results.data.fold_policy, "%s", texts[i]);
        snprintf(r.results.data.grouping, sizeof r.results.data.grouping, "%s", texts[i]);
        snprintf(r.results.data.version, sizeof r.results.data.version, "%s", texts[i]);
        /* A warning that names the model. */
        r.results.test.chosen.confusion = (pd_confusion){100, 0, 0, 100};
        free(write_page(&r));
    }
}

static void test_missing_parts(void **state)
{
    (void)state;
    run r;
    make_run(&r);
    r.results.test.present = false;
    r.results.weights_epoch = 0;
    r.results.history_count = 0;
    r.page.mistake_count = 0;
    char *html = write_page(&r);
    check_has(html, "No verdict: the test fold has not been evaluated.");
    check_has(html, "The model was not trained here.");
    check_has(html, "None to show.");
    assert_null(strstr(html, "<h2>Test fold"));
    check_has(html, "<h2>Validation fold");
    free(html);

    memset(&r.results, 0, sizeof r.results);
    r.page = (pd_page){.results = &r.results};
    html = write_page(&r);
    check_has(html, "<h1>unknown</h1>");
    assert_int_equal(occurrences(html, "<svg "), 0);
    free(html);
}

/* The count of evaluations is of the training data's test fold, whose figures may not be shown. */
static void test_other_data(void **state)
{
    (void)state;
    run r;
    make_run(&r);
    char *html = write_page(&r);
    check_has(html, "<p>Test fold evaluated <b>");
    check_has(html, "the test fold was evaluated 3 times");
    free(html);
    r.results.other_data = true;
    html = write_page(&r);
    check_has(html, "<p>Test fold of the training data evaluated <b>");
    check_has(html, "the test fold of the training data was evaluated 3 times");
    free(html);
}

/* Seed and lanes of an average are those of its members, and of an import unknown, as is how often
 * its test fold was evaluated. */
static void test_origin(void **state)
{
    (void)state;
    run r;
    make_run(&r);
    char *html = write_page(&r);
    check_has(html, "<dt>seed</dt><dd>18446744073709551615</dd>");
    check_has(html, "data-key=\"lanes\" data-value=\"8\"");
    check_has(html, "<h3>Job</h3>\n<pre>");
    free(html);
    r.results.members = 3;
    r.results.trained_digest = "ff";
    html = write_page(&r);
    check_has(html, "<dt>seed</dt><dd>those of the members</dd>");
    check_has(html, "<dt>lanes</dt><dd>those of the members</dd>");
    check_has(html, "<h3>Job of the first member</h3>\n<pre>");
    assert_null(strstr(html, "18446744073709551615"));
    free(html);
    r.results.members = 1;
    r.results.trained_digest = "";
    html = write_page(&r);
    check_has(html, "<dt>seed</dt><dd>unknown</dd>");
    check_has(html, "<dt>lanes</dt><dd>unknown</dd>");
    check_has(html, "<p>Evaluations of the test fold are not counted, as the data set of the "
                    "training is unknown. Only the first ");
    assert_null(strstr(html, "data-key=\"test_looks\""));
    free(html);
}

/* Unknown figures: dashes, no plots without data, and no "nan" anywhere. */
static void test_nothing_defined(void **state)
{
    (void)state;
    run r;
    make_run(&r);
    pd_figure none = {NAN, NAN, NAN};
    pd_metrics m = {NAN, {0}, none, none, none, none, none, none, none};
    pd_results_fold *fold = &r.results.test;
    fold->chosen = fold->half = fold->patients = m;
    fold->chosen_bootstrap = fold->half_bootstrap = m;
    fold->referred = fold->decided = none;
    for (int i = 0; i < PD_SHAPE_MEASURES * PD_LABELS; i++) {
        pd_shape_class *group = &fold->shape.measures[i / PD_LABELS].classes[i % PD_LABELS];
        group->p = NAN;
        group->correlation = none;
        for (int third = 0; third < PD_SHAPE_THIRDS; third++)
            group->thirds[third] = (pd_shape_third){NAN, NAN, 0, none};
    }
    fold->shape.measures[PD_SHAPE_AREA].auc_high_normal = none;
    fold->outside.checked = false;
    for (int i = 0; i < PD_CAUSES; i++)
        fold->by_cause[i] = none;
    fold->calibration.brier = fold->calibration.ece = NAN;
    for (int i = 0; i < PD_CALIBRATION_BINS; i++)
        fold->calibration.bins[i] = (pd_calibration_bin){0, 0, i, NAN, none};
    fold->uncalibrated = fold->calibration;
    fold->score_count = 0;
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        r.results.val.stress.rows[i].metrics = m;
    r.results.val.stress.pooled_auc = none;
    for (int i = 0; i < EPOCHS; i++)
        r.history[i] = (pd_history_row){i + 1, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    r.results.seconds = r.results.images_per_second = NAN;
    r.results.temperature = r.results.refer_low = r.results.refer_high = NAN;
    char *html = write_page(&r);
    check_has(html, "they need images of both classes");
    check_has(html, "Unknown: the checkpoint has no profile of the training images.");
    check_has(html, "data-key=\"folds.test.chosen.auc.value\" data-value=\"null\">–</span>");
    free(html);

    /* One epoch, one class, scores outside 0..1. */
    make_run(&r);
    r.results.history_count = 1;
    r.history[0].val_loss = INFINITY;
    for (int i = 0; i < SCORES; i++) {
        r.scores[i].positive = 1;
        r.scores[i].probability = i % 3 == 0 ? (double)NAN : i % 3 == 1 ? -7 : 1;
    }
    r.results.test.chosen.auc = r.results.val.chosen.auc = none;
    r.results.test.shape.known = false;
    r.results.val.shape.measures[PD_SHAPE_AREA].known = false;
    html = write_page(&r);
    assert_int_equal(occurrences(html, "<svg "), 2 + 2 + 2 + 3);
    assert_int_equal(occurrences(html, "Shape and size"), 1);
    assert_null(strstr(html, "by width times height"));
    free(html);
}

static void test_unwritable(void **state)
{
    (void)state;
    run r;
    make_run(&r);
    assert_int_equal(pd_page_write("no/such/folder/report.html", &r.page), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "no/such/folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_patients),
        cmocka_unit_test(test_all_parts),
        cmocka_unit_test(test_numbers_are_those_of_the_report),
        cmocka_unit_test(test_stress),
        cmocka_unit_test(test_decision_text),
        cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_missing_parts),
        cmocka_unit_test(test_nothing_defined),
        cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_other_data),
        cmocka_unit_test(test_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
