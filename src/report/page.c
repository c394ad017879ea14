#include "page.h"

#include "charts.h"
#include "html.h"
#include "page_fold.h"
#include "page_parts.h"
#include "pneumo/base/clock.h"
#include "pneumo/base/text.h"
#include "text_file.h"
#include "warnings.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Colours for print and light screens. */
#define LIGHT                                                                                      \
    "--good:#1d6b3c;--bad:#a8321f;--mark:#e8f3ec;--wrong:#fbebe7;--plot-ink:#3a4148;"              \
    "--plot-grid:#e4e7ea;--plot-band:#eef0f2;--plot-muted:#8a929a;--plot-first:#1f5fa8;"           \
    "--plot-second:#c2551a;--plot-third:#2e8b57;--plot-fourth:#7a4ea3"

static const char style[] =
    ":root{" LIGHT "}\n"
    "@media(prefers-color-scheme:dark){:root{--good:#7fd0a0;--bad:#f2917c;--mark:#1d3527;"
    "--wrong:#43231d;--plot-ink:#c3c9cf;--plot-grid:#2b3136;--plot-band:#24292e;"
    "--plot-muted:#7d868e;--plot-first:#6fb1f0;--plot-second:#f0965a;--plot-third:#6cc48f;"
    "--plot-fourth:#b79ae0}}\n"
    "@media print{:root{" LIGHT "}html{font-size:12.5px}main{padding:0}"
    ".card,figure,tr{break-inside:avoid}h2,h3,h4,.note{break-after:avoid}}\n"
    "body{font-size:1rem}\n"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}\n"
    "header p{max-width:44rem;margin:.5rem 0}\n"
    ".kicker{color:var(--soft);font-size:.9rem}\n"
    ".verdict{font-size:1.25rem;line-height:1.4;padding-left:.9rem;"
    "border-left:4px solid var(--soft)}\n"
    ".met{border-color:var(--good)}\n"
    ".missed{border-color:var(--bad)}\n"
    ".warnings{margin:1rem 0;padding:.6rem .9rem .6rem 2rem;max-width:44rem;"
    "border:1px solid var(--bad);border-radius:4px}\n"
    "h2{font-size:1.35rem;margin:2.8rem 0 .3rem;padding-top:.8rem;"
    "border-top:1px solid var(--line)}\n"
    "h3{font-size:1.05rem;margin:2rem 0 .5rem}\n"
    "h4{font-size:.95rem;margin:0 0 .3rem}\n"
    ".soft,figcaption{color:var(--soft);font-size:.85rem}\n"
    ".note{max-width:44rem}\n"
    ".grid{display:grid;gap:2rem 2.5rem;"
    "grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr))}\n"
    ".small{grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr))}\n"
    "@media print{.small{grid-template-columns:1fr 1fr}}\n"
    ".grid+.grid{margin-top:2rem}\n"
    ".card{overflow-x:auto}\n"
    "figure{margin:0}\n"
    "table{font-size:.85rem;width:100%;overflow-wrap:normal}\n"
    "th,td{padding:.3rem .5rem;vertical-align:baseline;font-weight:normal}\n"
    "@media(max-width:30rem){table{font-size:.8rem}th,td{padding:.3rem .35rem}}\n"
    "tr>:first-child{padding-left:0}\n"
    "tr>:last-child{padding-right:0}\n"
    "td,thead th{text-align:right;white-space:nowrap}\n"
    "thead th{color:var(--soft);vertical-align:bottom;white-space:normal}\n"
    ".confusion{margin-bottom:1rem}\n"
    ".confusion tbody td{font-size:1.05rem;padding-right:.5rem}\n"
    ".right{background:var(--mark)}\n"
    ".wrong{background:var(--wrong)}\n"
    "svg{display:block;width:100%;height:auto}\n"
    "svg *{font-family:inherit}\n"
    ".stress{max-width:38rem}\n"
    ".legend .symbol{display:inline-block;width:2rem;height:.8rem;margin-right:.4em}\n"
    ".missing{color:var(--bad);font-weight:700}\n"
    ".changes td:first-of-type,.changes th:first-of-type{text-align:left}\n"
    ".changes tbody th,.changes tr>th:first-child{white-space:nowrap}\n"
    ".changes td:first-of-type{white-space:normal;min-width:9rem}\n"
    ".changes tr.worst{background:var(--wrong)}\n"
    ".legend{list-style:none;margin:.3rem 0;padding:0;font-size:.85rem;display:flex;"
    "flex-wrap:wrap;gap:.1rem 1rem}\n"
    ".legend i{display:inline-block;width:.8em;height:.8em;margin-right:.4em;border-radius:2px;"
    "outline:1px solid var(--line)}\n"
    "img{display:block;width:100%;height:auto;background:#000;margin-bottom:.4rem}\n"
    "figcaption bdi{display:block;color:var(--ink)}\n"
    "dl{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.25rem 1rem;margin:0;"
    "font-size:.9rem}\n"
    "dt{color:var(--soft)}\n"
    "dd{margin:0}\n"
    "pre{font-size:.8rem;line-height:1.4;white-space:pre-wrap;background:var(--plot-band);"
    "padding:.8rem;margin:0}\n";

/* ---- the top ---- */

static void write_target(FILE *out, const char *of, const char *name, double value, double target)
{
    /* More decimals close to the target: 94.96 % must not read as 95.0 % and missed. */
    int decimals = fabs(value - target) < 0.001 ? 3 : 1;
    fputs("<b>", out);
    pd_page_put_number(
        out, value, 100, decimals,
        pd_page_key_of(pd_page_key_of("folds.test.chosen", name).text, "value").text);
    fprintf(out, "&nbsp;%%</b> of %s (target %g&nbsp;%%)", of, 100 * target);
}

/* Notes an interval that reaches below a target that is met. */
static void write_doubt(FILE *out, const char *name, const pd_figure *figure, double target)
{
    if (figure->value < target || !(figure->low < target))
        return;
    fputs("<p>", out);
    pd_html_print(out,
                  "The 95 %% interval of the %s reaches down to %.1f %%: other images of the same "
                  "kind may miss the target.",
                  name, 100 * figure->low);
    fputs("</p>\n", out);
}

static void write_verdict(FILE *out, const pd_results *results)
{
    const pd_figure *sensitivity = &results->test.chosen.sensitivity;
    const pd_figure *specificity = &results->test.chosen.specificity;
    /* An undefined figure, of a class without images, misses nothing. */
    bool sensitive = !(sensitivity->value < results->target_sensitivity);
    bool specific = !(specificity->value < results->target_specificity);
    bool ill = isfinite(sensitivity->value), normal = isfinite(specificity->value);
    const char *unknown = !results->test.present
                              ? "No verdict: the test fold has not been evaluated."
                          : sensitive && specific && !(ill && normal)
                              ? "No verdict: the test fold lacks images of a class."
                              : NULL;
    if (unknown != NULL) {
        pd_html_element(out, "p class=\"verdict\"", unknown);
        return;
    }
    fprintf(out, "<p class=\"verdict %s\">%s: on the test fold the model recognises ",
            sensitive && specific ? "met" : "missed",
            sensitive && specific ? "Both targets met"
            : sensitive           ? "Target for specificity missed"
            : specific            ? "Target for sensitivity missed"
                                  : "Both targets missed");
    if (ill)
        write_target(out, "pneumonias", "sensitivity", sensitivity->value,
                     results->target_sensitivity);
    if (ill && normal)
        fputs(" and ", out);
    if (normal)
        write_target(out, "normal images", "specificity", specificity->value,
                     results->target_specificity);
    fputs(ill && normal ? ".</p>\n" : "; the fold lacks images of the other class.</p>\n", out);
    write_doubt(out, "sensitivity", sensitivity, results->target_sensitivity);
    write_doubt(out, "specificity", specificity, results->target_specificity);
}

/* The verdict of the stress test. */
static void write_stress_verdict(FILE *out, const pd_results *results)
{
    const pd_verdict verdict = pd_verdict_of_results(results);
    if (verdict.count == 0) {
        pd_html_element(out, "p",
                        "No stress test was run: the figures on images that are acquired "
                        "differently are unknown.");
        return;
    }
    pd_html_element(out,
                    verdict.missed    ? "p class=\"verdict missed\""
                    : verdict.unknown ? "p class=\"verdict\""
                                      : "p class=\"verdict met\"",
                    verdict.lines[0]);
    for (int i = 1; i < verdict.count; i++)
        pd_html_element(out, "p", verdict.lines[i]);
    fputc('\n', out);
}

/* How often the test fold was evaluated. */
static void write_looks(FILE *out, const pd_results *results)
{
    fputs("<p>", out);
    if (pd_results_is_import(results)) {
        fputs("Evaluations of the test fold are not counted, as the data set of the training is "
              "unknown.",
              out);
    } else {
        fprintf(out, "Test fold%s evaluated <b>",
                results->other_data ? " of the training data" : "");
        pd_page_put_count(out, results->test_looks, "test_looks");
        fprintf(out, "</b> time%s.", pd_text_plural(results->test_looks));
    }
    fputs(" Only the first evaluation is unbiased: changing the model after an evaluation and "
          "evaluating again fits it to the test fold, and the figures become too optimistic for "
          "new patients.</p>\n",
          out);
}

static void write_top(FILE *out, const pd_results *results)
{
    fputs("<header>\n", out);
    pd_html_element(out, "p class=\"kicker\"", "Report of a pneumo-dist run");
    pd_html_element(out, "h1", pd_page_known(results->job_name));
    write_verdict(out, results);
    write_stress_verdict(out, results);
    write_looks(out, results);
    pd_warnings warnings = pd_warnings_of(results);
    int others = warnings.count - warnings.stress; /* those of the stress test are above */
    if (others > 0) {
        fputs("<ul class=\"warnings\">\n", out);
        for (int i = 0; i < others; i++)
            pd_html_element(out, "li", warnings.lines[i]);
        fputs("\n</ul>\n", out);
    }
    fputs("</header>\n", out);
}

/* ---- the other sections ---- */

static void write_mistake(FILE *out, const pd_page_mistake *mistake)
{
    fputs("<figure>\n", out);
    if (mistake->picture != NULL)
        pd_html_png(out, mistake->picture, mistake->picture_size,
                    "the radiograph beside its heat map");
    fputs("<figcaption>", out);
    pd_html_element(out, "bdi", pd_page_known(mistake->name));
    pd_html_print(out, "actually %s, probability of pneumonia %.3f",
                  mistake->label == PD_PNEUMONIA ? "pneumonia" : "normal", mistake->probability);
    if (isfinite(mistake->border))
        pd_html_print(out, "; %.0f %% of the heat map's weight near the border",
                      100 * mistake->border);
    fputs("</figcaption>\n</figure>\n", out);
}

static void write_mistakes(FILE *out, const pd_page *page)
{
    fputs("<h2>Most confident mistakes</h2>\n", out);
    if (page->mistake_count == 0) {
        pd_html_element(out, "p class=\"soft\"", "None to show.");
        return;
    }
    pd_html_element(out, "p class=\"soft note\"",
                    "Misclassified images, the most confident first. A heat map shows the evidence "
                    "for pneumonia; much weight near the border suggests markers and edges rather "
                    "than lungs.");
    fputs("\n<div class=\"grid small\">\n", out);
    for (int i = 0; i < page->mistake_count; i++)
        write_mistake(out, &page->mistakes[i]);
    fputs("</div>\n", out);
}

static pd_status write_learning(FILE *out, const pd_results *results)
{
    pd_status status = PD_OK;
    int64_t epoch = results->weights_epoch;
    int count = results->history_count;
    fputs("<h2>Learning curves</h2>\n", out);
    if (count == 0) {
        pd_html_element(out, "p class=\"soft\"",
                        results->members > 1
                            ? "This is an average of several models; see their own reports."
                        : epoch == 0 ? "The model was not trained here."
                                     : "No epoch was completed.");
        return PD_OK;
    }
    if (results->history[count - 1].epoch <= epoch)
        pd_html_element(out, "p class=\"soft note\"",
                        "The curves end where these weights were saved.");
    fputs("<div class=\"grid small\">\n", out);
    PD_TRY(pd_chart_loss(out, results->history, count, epoch));
    PD_TRY(pd_chart_validation(out, results->history, count, epoch));
    fputs("</div>\n", out);
cleanup:
    return status;
}

static void describe(FILE *out, const char *term, const char *text)
{
    pd_html_element(out, "dt", term);
    pd_html_element(out, "dd", pd_page_known(text));
    fputc('\n', out);
}

static void describe_count(FILE *out, const char *term, int64_t count, const char *at)
{
    pd_html_element(out, "dt", term);
    fputs("<dd>", out);
    pd_page_put_count(out, count, at);
    fputs("</dd>\n", out);
}

static void write_run(FILE *out, const pd_results *results)
{
    char seconds[32], seed[24], views[32];
    /* What stands for the seed and the lanes where there is no single training. */
    const char *instead = pd_results_knows_seed(results) ? NULL
                          : results->members > 1         ? "those of the members"
                                                         : "unknown";
    snprintf(seed, sizeof seed, "%" PRIu64, results->seed);
    snprintf(views, sizeof views, "%d", results->views);
    fputs("<section>\n<h3>Run</h3>\n<dl>\n", out);
    describe(out, "model", results->model);
    describe_count(out, "parameters", results->parameters, "parameters");
    describe(out, "seed", instead != NULL ? instead : seed);
    if (results->members > 1) {
        describe_count(out, "models averaged", results->members, "members");
    } else if (results->weights_epoch > 0) {
        describe_count(out, "epochs", results->epochs, "epochs");
        describe_count(out, "best epoch", results->best_epoch, "best_epoch");
        describe_count(out, "epoch of the weights", results->weights_epoch, "weights_epoch");
    }
    describe(out, "threshold", results->decision_rule);
    describe(out, "views per image", views);
    describe_count(out, "ranks", results->ranks, "ranks");
    describe_count(out, "threads per rank", results->threads, "threads");
    if (instead != NULL)
        describe(out, "lanes", instead);
    else
        describe_count(out, "lanes", results->lanes, "lanes");
    if (isfinite(results->seconds)) {
        describe(out, "training time", pd_clock_format(seconds, sizeof seconds, results->seconds));
        fputs("<dt>images per second</dt><dd>", out);
        pd_page_put_number(out, results->images_per_second, 1, 1, "images_per_second");
        fputs("</dd>\n", out);
    }
    describe(out, "pneumo-dist", results->version);
    fputs("</dl>\n</section>\n", out);
}

static void write_data(FILE *out, const pd_results *results)
{
    const pd_dataset_info *data = &results->data;
    static const char *const folds[PD_FOLDS] = {"train", "validation", "test"};
    static const char *const columns[] = {"normal", "pneumonia", "both", NULL};
    fputs("<section class=\"card\">\n<h3>Data</h3>\n<dl>\n", out);
    describe(out, "file", results->data_path);
    describe(out, "digest", results->data_digest);
    describe(out, "folds", data->fold_policy);
    describe(out, "patients", data->grouping);
    fputs("<dt>images</dt><dd>", out);
    pd_html_print(out, "%" PRId64 " of %d × %d pixels, seed %" PRIu64, data->count, data->width,
                  data->height, data->seed);
    fputs("</dd>\n<dt>duplicates</dt><dd>", out);
    pd_html_print(out, "%" PRId64 " dropped", data->duplicates);
    fputs("</dd>\n<dt>grey of train fold</dt><dd>", out);
    pd_html_print(out, "mean %.1f, deviation %.1f", data->mean, data->deviation);
    fputs("</dd>\n", out);
    describe(out, "packed by", data->version);
    fputs("</dl>\n", out);
    pd_page_open_table(out, columns);
    for (int fold = 0; fold < PD_FOLDS; fold++) {
        const int64_t *counts = data->counts[fold];
        if (fold == PD_TRAIN && results->members > 1 &&
            counts[PD_NORMAL] + counts[PD_PNEUMONIA] == 0)
            continue; /* the members of a cross-validation have no train fold in common */
        fprintf(out,
                "<tr><th scope=\"row\">%s</th><td>%" PRId64 "</td><td>%" PRId64 "</td><td>%" PRId64
                "</td></tr>\n",
                folds[fold], counts[PD_NORMAL], counts[PD_PNEUMONIA],
                counts[PD_NORMAL] + counts[PD_PNEUMONIA]);
    }
    fputs("</table>\n</section>\n", out);
}

static void write_making(FILE *out, const pd_page *page)
{
    fputs("<h2>How it was made</h2>\n<div class=\"grid\">\n", out);
    write_run(out, page->results);
    write_data(out, page->results);
    fputs("</div>\n", out);
    pd_html_element(out, "h3", page->results->members > 1 ? "Job of the first member" : "Job");
    fputc('\n', out);
    pd_html_element(out, "pre", pd_page_known(page->results->settings));
    fputc('\n', out);
}

static pd_status write_page(FILE *out, const void *content)
{
    pd_status status = PD_OK;
    const pd_page *page = content;
    const pd_results *results = page->results;
    pd_html_begin(out, pd_page_known(results->job_name), style);
    write_top(out, results);
    PD_TRY(pd_page_write_fold(out, results, &results->test, "Test fold", "test"));
    pd_page_write_stress(out, results, &results->test.stress,
                         "Test images under acquisition changes", "test");
    pd_page_write_stress(out, results, &results->val.stress,
                         "Validation images under acquisition changes", "val");
    write_mistakes(out, page);
    PD_TRY(pd_page_write_fold(out, results, &results->val, "Validation fold", "val"));
    PD_TRY(write_learning(out, results));
    write_making(out, page);
    pd_html_end(out);
cleanup:
    return status;
}

pd_status pd_page_write(const char *path, const pd_page *page)
{
    return pd_text_file_write(path, write_page, page);
}
