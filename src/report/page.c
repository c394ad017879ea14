#include "page.h"

#include "charts.h"
#include "html.h"
#include "plot.h"
#include "pneumo/base/clock.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"
#include "stress_chart.h"
#include "warnings.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The colours on paper and on light screens. */
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

/* "unknown" for what is not known. */
static const char *known(const char *text)
{
    return text != NULL ? text : "unknown";
}

/* ---- numbers ----
 *
 * What report.json has under a key stands on the page with that key and the same digits, beside
 * those that people read. */

typedef struct key {
    char text[96];
} key;

static key member(const char *object, const char *name)
{
    key k;
    snprintf(k.text, sizeof(k.text), "%.63s.%.31s", object, name);
    return k;
}

/* `scale` * value with so many decimals; a dash when it is not finite. */
static void put_number(FILE *out, double value, double scale, int decimals, const char *at)
{
    char digits[PD_TEXT_NUMBER];
    if (isfinite(value))
        fprintf(out, "<span data-key=\"%s\" data-value=\"%s\">%.*f</span>", at,
                pd_text_number(digits, value), decimals, scale * value);
    else
        fprintf(out, "<span data-key=\"%s\" data-value=\"null\">–</span>", at);
}

static void put_percent(FILE *out, double value, const char *at)
{
    put_number(out, value, 100, 1, at);
}

static void put_count(FILE *out, int64_t count, const char *at)
{
    fprintf(out, "<span data-key=\"%s\" data-value=\"%" PRId64 "\">%" PRId64 "</span>", at, count,
            count);
}

static void put_interval(FILE *out, const pd_figure *figure, const char *at)
{
    put_percent(out, figure->low, member(at, "low").text);
    fputs(isfinite(figure->low) ? "–" : " ", out);
    put_percent(out, figure->high, member(at, "high").text);
}

/* ---- the top ---- */

static void write_target(FILE *out, const char *of, const char *name, double value, double target)
{
    /* 94.96 % must not be shown as 95.0 % and missed. */
    int decimals = fabs(value - target) < 0.001 ? 3 : 1;
    fputs("<b>", out);
    put_number(out, value, 100, decimals,
               member(member("folds.test.chosen", name).text, "value").text);
    fprintf(out, "&nbsp;%%</b> of %s (target %g&nbsp;%%)", of, 100 * target);
}

/* Says of a target that is met that it is not certain. */
static void write_doubt(FILE *out, const char *name, const pd_figure *figure, double target)
{
    if (figure->value < target || !(figure->low < target))
        return;
    fputs("<p>", out);
    pd_html_print(out,
                  "The 95 %% interval of the %s reaches down to %.1f %%: other images of the same "
                  "kind could miss its target.",
                  name, 100 * figure->low);
    fputs("</p>\n", out);
}

static void write_verdict(FILE *out, const pd_results *results)
{
    const pd_figure *sensitivity = &results->test.chosen.sensitivity;
    const pd_figure *specificity = &results->test.chosen.specificity;
    const char *unknown = !results->test.present
                              ? "No verdict: the test fold has not been evaluated."
                          : !isfinite(sensitivity->value) || !isfinite(specificity->value)
                              ? "No verdict: the test fold lacks images of a class."
                              : NULL;
    if (unknown) {
        pd_html_element(out, "p class=\"verdict\"", unknown);
        return;
    }
    bool sensitive = sensitivity->value >= results->target_sensitivity;
    bool specific = specificity->value >= results->target_specificity;
    fprintf(out, "<p class=\"verdict %s\">%s: on the test fold the model recognises ",
            sensitive && specific ? "met" : "missed",
            sensitive && specific ? "Both targets met"
            : sensitive           ? "Target for specificity missed"
            : specific            ? "Target for sensitivity missed"
                                  : "Both targets missed");
    write_target(out, "pneumonias", "sensitivity", sensitivity->value, results->target_sensitivity);
    fputs(" and ", out);
    write_target(out, "normal images", "specificity", specificity->value,
                 results->target_specificity);
    fputs(".</p>\n", out);
    write_doubt(out, "sensitivity", sensitivity, results->target_sensitivity);
    write_doubt(out, "specificity", specificity, results->target_specificity);
}

/* How the figures hold when images are taken otherwise. */
static void write_stress_verdict(FILE *out, const pd_results *results)
{
    const pd_verdict verdict = pd_verdict_of_results(results);
    if (verdict.count == 0) {
        pd_html_element(out, "p",
                        "No stress test was run: how the figures hold on images that are taken "
                        "otherwise is not known.");
        return;
    }
    pd_html_element(out, verdict.missed ? "p class=\"verdict missed\"" : "p class=\"verdict met\"",
                    verdict.lines[0]);
    for (int i = 1; i < verdict.count; i++)
        pd_html_element(out, "p", verdict.lines[i]);
    fputc('\n', out);
}

static void write_top(FILE *out, const pd_results *results)
{
    fputs("<header>\n", out);
    pd_html_element(out, "p class=\"kicker\"", "Report of a pneumo-dist run");
    pd_html_element(out, "h1", known(results->job_name));
    write_verdict(out, results);
    write_stress_verdict(out, results);
    fputs("<p>Test fold looked at <b>", out);
    put_count(out, results->test_looks, "test_looks");
    fprintf(out,
            "</b> time%s. Only the first look is free of bias: who looks, changes something and "
            "looks again fits the model to the test fold, and the figures promise more than new "
            "patients will keep.</p>\n",
            results->test_looks == 1 ? "" : "s");
    pd_warnings warnings = pd_warnings_of(results);
    int others = warnings.count - warnings.stress; /* the stress test has had its say */
    if (others > 0) {
        fputs("<ul class=\"warnings\">\n", out);
        for (int i = 0; i < others; i++)
            pd_html_element(out, "li", warnings.lines[i]);
        fputs("\n</ul>\n", out);
    }
    fputs("</header>\n", out);
}

/* ---- tables of a fold ---- */

static const struct {
    const char *title, *name;
    size_t offset;
} figures[] = {
    {"sensitivity", "sensitivity", offsetof(pd_metrics, sensitivity)},
    {"specificity", "specificity", offsetof(pd_metrics, specificity)},
    {"AUC", "auc", offsetof(pd_metrics, auc)},
    {"accuracy", "accuracy", offsetof(pd_metrics, accuracy)},
    {"balanced accuracy", "balanced_accuracy", offsetof(pd_metrics, balanced_accuracy)},
    {"precision", "precision", offsetof(pd_metrics, precision)},
    {"F1", "f1", offsetof(pd_metrics, f1)},
};
enum { FIGURES = sizeof(figures) / sizeof(figures[0]) };

static const pd_figure *figure_of(const pd_metrics *metrics, int i)
{
    return (const pd_figure *)((const char *)metrics + figures[i].offset);
}

/* A table with a column of row titles and these, which are markup; ended by NULL. */
static void open_table(FILE *out, const char *const *columns)
{
    fputs("<table>\n<thead><tr><td></td>", out);
    for (; *columns; columns++)
        fprintf(out, "<th scope=\"col\">%s</th>", *columns);
    fputs("</tr></thead>\n", out);
}

static const char *const figure_columns[] = {"%", "95&nbsp;% interval", NULL};

/* The row of a figure, but for its end. */
static void open_figure_row(FILE *out, const char *title, const pd_figure *figure, const char *at)
{
    fprintf(out, "<tr><th scope=\"row\">%s</th><td><b>", title);
    put_percent(out, figure->value, member(at, "value").text);
    fputs("</b></td><td>", out);
    put_interval(out, figure, at);
    fputs("</td>", out);
}

/* `bootstrap`, at its own key: the same figures with the other intervals. NULL: none. */
static void write_figures(FILE *out, const pd_metrics *metrics, const char *at,
                          const pd_metrics *bootstrap, const char *bootstrap_at)
{
    static const char *const both_columns[] = {"%", "95&nbsp;% interval", "over patients", NULL};
    open_table(out, bootstrap ? both_columns : figure_columns);
    for (int i = 0; i < FIGURES; i++) {
        open_figure_row(out, figures[i].title, figure_of(metrics, i),
                        member(at, figures[i].name).text);
        if (bootstrap) {
            fputs("<td>", out);
            put_interval(out, figure_of(bootstrap, i), member(bootstrap_at, figures[i].name).text);
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table>\n", out);
}

/* counts [size][size], by true and by called class. */
static void write_confusion(FILE *out, int size, const char *const *classes, const int64_t *counts,
                            const key *keys)
{
    fputs("<table class=\"confusion\">\n<thead><tr><td></td>", out);
    for (int called = 0; called < size; called++)
        fprintf(out, "<th scope=\"col\">called %s</th>", classes[called]);
    fputs("</tr></thead>\n", out);
    for (int truth = 0; truth < size; truth++) {
        fprintf(out, "<tr><th scope=\"row\">truly %s</th>", classes[truth]);
        for (int called = 0; called < size; called++) {
            fprintf(out, "<td class=\"%s\">", truth == called ? "right" : "wrong");
            put_count(out, counts[truth * size + called], keys[truth * size + called].text);
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table>\n", out);
}

static void write_decision(FILE *out, const char *title, const pd_metrics *metrics, const char *at,
                           const pd_metrics *bootstrap, const char *bootstrap_at)
{
    static const char *const classes[] = {"pneumonia", "normal"};
    const pd_confusion *c = &metrics->confusion;
    const int64_t counts[] = {c->true_positive, c->false_negative, c->false_positive,
                              c->true_negative};
    key confusion = member(at, "confusion");
    const key keys[] = {
        member(confusion.text, "true_positive"), member(confusion.text, "false_negative"),
        member(confusion.text, "false_positive"), member(confusion.text, "true_negative")};
    fprintf(out, "<section class=\"card\">\n<h4>%s, threshold ", title);
    put_number(out, metrics->threshold, 1, 3, member(at, "threshold").text);
    fputs("</h4>\n", out);
    write_confusion(out, 2, classes, counts, keys);
    write_figures(out, metrics, at, bootstrap, bootstrap_at);
    fputs("</section>\n", out);
}

static void write_three_classes(FILE *out, const pd_results_fold *fold, const char *at)
{
    static const char *const classes[] = {"normal", "bacteria", "virus"};
    static const char *const names[] = {"NORMAL", "BACTERIA", "VIRUS"};
    key keys[PD_RESULTS_CLASSES * PD_RESULTS_CLASSES];
    for (int i = 0; i < PD_RESULTS_CLASSES * PD_RESULTS_CLASSES; i++) {
        key truth = member(member(at, "causes").text, names[i / PD_RESULTS_CLASSES]);
        keys[i] = member(member(truth.text, "predicted").text, names[i % PD_RESULTS_CLASSES]);
    }
    fputs("<section class=\"card\">\n<h4>Three classes, the likeliest called</h4>\n", out);
    write_confusion(out, PD_RESULTS_CLASSES, classes, &fold->causes[0][0], keys);
    fputs("</section>\n", out);
}

static void write_by_cause(FILE *out, const pd_results_fold *fold, const char *at)
{
    static const char *const titles[PD_CAUSES] = {"normal", "bacterial pneumonia",
                                                  "viral pneumonia", "pneumonia of unknown cause"};
    key group = member(at, "by_cause");
    fputs("<section class=\"card\">\n<h4>Decided rightly, by cause</h4>\n", out);
    open_table(out, figure_columns);
    for (int cause = 0; cause < PD_CAUSES; cause++) {
        if (!isfinite(fold->by_cause[cause].value))
            continue;
        open_figure_row(out, titles[cause], &fold->by_cause[cause],
                        member(group.text, pd_cause_names[cause]).text);
        fputs("</tr>\n", out);
    }
    fputs("</table>\n</section>\n", out);
}

static void write_band(FILE *out, const pd_results *results, const pd_results_fold *fold,
                       const char *at)
{
    fputs("<section class=\"card\">\n<h4>Band of doubt</h4>\n<p class=\"soft\">", out);
    if (results->refer_low < results->refer_high) {
        fputs("Probabilities from ", out);
        put_number(out, results->refer_low, 1, 3, "decision.refer_low");
        fputs(" to ", out);
        put_number(out, results->refer_high, 1, 3, "decision.refer_high");
        fputs(" are referred to a person.</p>\n", out);
    } else {
        fprintf(out,
                "None: the model was wrong about at most %g %% of the validation fold on either "
                "side of the threshold.</p>\n",
                100 * PD_BAND_ERROR);
    }
    open_table(out, figure_columns);
    open_figure_row(out, "images referred", &fold->referred, member(at, "referred").text);
    fputs("</tr>\n", out);
    open_figure_row(out, "of the others, decided rightly", &fold->decided,
                    member(at, "decided").text);
    fputs("</tr>\n</table>\n</section>\n", out);
}

static void write_outside(FILE *out, const pd_outside *outside, const char *at)
{
    static const char *const columns[] = {"images", NULL};
    key group = member(at, "outside");
    key traits = member(group.text, "by_trait");
    fputs("<section class=\"card\">\n<h4>Unlike the training images</h4>\n<p class=\"soft\">", out);
    if (!outside->checked) {
        fputs("Not known: the checkpoint has no profile of its training images.</p>\n</section>\n",
              out);
        return;
    }
    fputs("Images beyond the limits of the train fold are referred to a person, too; each is "
          "counted by the first trait that tells it apart.</p>\n",
          out);
    open_table(out, columns);
    fputs("<tr><th scope=\"row\">all</th><td>", out);
    put_count(out, outside->count, member(group.text, "count").text);
    fputs("</td></tr>\n", out);
    for (int trait = 0; trait < PD_TRAITS; trait++) {
        fprintf(out, "<tr><th scope=\"row\">%s</th><td>", pd_trait_names[trait]);
        put_count(out, outside->by_trait[trait], member(traits.text, pd_trait_names[trait]).text);
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n</section>\n", out);
}

static void write_calibration(FILE *out, const pd_results *results, const pd_results_fold *fold,
                              const char *at)
{
    static const char *const columns[] = {"Brier score", "expected calibration error", NULL};
    const struct {
        const char *title, *name;
        const pd_calibration *calibration;
    } rows[] = {{"as used", "calibration", &fold->calibration},
                {"before scaling", "uncalibrated", &fold->uncalibrated}};
    fputs(
        "<section class=\"card\">\n<h4>Calibration</h4>\n<p class=\"soft\">The network's log-odds "
        "are divided by the temperature ",
        out);
    put_number(out, results->temperature, 1, 3, "decision.temperature");
    fputs(", fitted on validation. Of both measures lower is better.</p>\n", out);
    open_table(out, columns);
    for (int i = 0; i < 2; i++) {
        key group = member(at, rows[i].name);
        fprintf(out, "<tr><th scope=\"row\">%s</th><td>", rows[i].title);
        put_number(out, rows[i].calibration->brier, 1, 4, member(group.text, "brier").text);
        fputs("</td><td>", out);
        put_number(out, rows[i].calibration->ece, 1, 4, member(group.text, "ece").text);
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n</section>\n", out);
}

/* ---- shape and size ---- */

static const struct {
    const char *title, *range;
    double scale;
    int decimals;
    const char *against, *along; /* normal images of the one end, pneumonias of the other */
} shape_measures[PD_SHAPE_MEASURES] = {
    {"width over height", "range", 1, 2, "wide normal, narrow pneumonia",
     "narrow normal, wide pneumonia"},
    {"width times height", "megapixels", 1e-6, 3, "large normal, small pneumonia",
     "small normal, large pneumonia"}};

/* The row of a third: its range, how many, the share decided rightly. */
static void write_third(FILE *out, const pd_shape_third *third, int measure, const char *title,
                        const char *at)
{
    double scale = shape_measures[measure].scale;
    int decimals = shape_measures[measure].decimals;
    key right = member(at, "right");
    fprintf(out, "<tr><th scope=\"row\">%s</th><td>", title);
    put_number(out, third->low, scale, decimals, member(at, "low").text);
    fputs("–", out);
    put_number(out, third->high, scale, decimals, member(at, "high").text);
    fputs("</td><td>", out);
    put_count(out, third->count, member(at, "count").text);
    fputs("</td><td><b>", out);
    put_percent(out, third->right.value, member(right.text, "value").text);
    fputs("</b></td><td>", out);
    put_interval(out, &third->right, right.text);
    fputs("</td></tr>\n", out);
}

static void write_shape_class(FILE *out, const pd_shape_class *group, int measure, int label,
                              const char *at)
{
    static const char *const titles[PD_LABELS] = {"Specificity", "Sensitivity"};
    const char *const columns[] = {shape_measures[measure].range, "n", "%", "95&nbsp;% interval",
                                   NULL};
    key correlation = member(at, "correlation");
    fprintf(out, "<section class=\"card\">\n<h4>%s by %s</h4>\n", titles[label],
            shape_measures[measure].title);
    open_table(out, columns);
    for (int i = 0; i < PD_SHAPE_THIRDS; i++)
        write_third(out, &group->thirds[i], measure, pd_shape_third_names[i],
                    member(at, pd_shape_third_names[i]).text);
    fputs("</table>\n<p class=\"soft\">Difference between the thirds: p&nbsp;=&nbsp;", out);
    put_number(out, group->p, 1, 4, member(at, "p").text);
    fputs(", adjusted for all such tests of the fold. Rank correlation with the probability ", out);
    put_number(out, group->correlation.value, 1, 2, member(correlation.text, "value").text);
    fputs(" (95&nbsp;% interval ", out);
    put_number(out, group->correlation.low, 1, 2, member(correlation.text, "low").text);
    fputs(" to ", out);
    put_number(out, group->correlation.high, 1, 2, member(correlation.text, "high").text);
    fputs(").</p>\n</section>\n", out);
}

/* The AUC where shape speaks against the truth and where it speaks for it, or the reverse. */
static void write_crossed(FILE *out, const pd_results_fold *fold, int measure, const char *fold_at,
                          const char *at)
{
    const pd_shape_figures *of_measure = &fold->shape.measures[measure];
    fputs("<section class=\"card\">\n<h4>AUC of the outer thirds</h4>\n", out);
    open_table(out, figure_columns);
    open_figure_row(out, "all images", &fold->chosen.auc,
                    member(member(fold_at, "chosen").text, "auc").text);
    fputs("</tr>\n", out);
    open_figure_row(out, shape_measures[measure].against, &of_measure->auc_high_normal,
                    member(at, "auc_high_normal").text);
    fputs("</tr>\n", out);
    open_figure_row(out, shape_measures[measure].along, &of_measure->auc_low_normal,
                    member(at, "auc_low_normal").text);
    fputs("</tr>\n</table>\n</section>\n", out);
}

static void write_shape(FILE *out, const pd_results_fold *fold, const char *fold_at)
{
    if (!fold->shape.known)
        return;
    fputs("<h3>Shape and size of the images</h3>\n", out);
    pd_html_element(
        out, "p class=\"soft note\"",
        "Every image is squeezed into a square, in which a model can still see how "
        "wide or how large it was. Where that differs by class it can be a shortcut. "
        "Within a class it should change nothing: here are thirds of each class, of "
        "n images, at the threshold in use. A model that reads the shape ranks images worse where "
        "the shape speaks for the other class.");
    for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
        const pd_shape_figures *of_measure = &fold->shape.measures[measure];
        key at = member(member(fold_at, "shape").text, pd_shape_measure_names[measure]);
        if (!of_measure->known)
            continue;
        fputs("\n<div class=\"grid\">\n", out);
        for (int label = 0; label < PD_LABELS; label++)
            write_shape_class(out, &of_measure->classes[label], measure, label,
                              member(at.text, pd_shape_class_names[label]).text);
        write_crossed(out, fold, measure, fold_at, at.text);
        fputs("</div>\n", out);
    }
}

/* ---- sections ---- */

static pd_status write_plots(FILE *out, const pd_results *results, const pd_results_fold *fold)
{
    pd_status status = PD_OK;
    fputs("<h3>Curves</h3>\n<div class=\"grid small\">\n", out);
    /* The AUC is known when both classes have images, and only then are there curves. */
    if (isfinite(fold->chosen.auc.value) && fold->score_count > 0) {
        PD_TRY(pd_chart_roc(out, fold));
        PD_TRY(pd_chart_precision_recall(out, fold));
    } else {
        pd_html_element(out, "p class=\"soft\"",
                        "No ROC and no precision-recall curve: they need images of both classes.");
    }
    pd_chart_calibration(out, fold);
    pd_chart_scores(out, fold, results->refer_low, results->refer_high);
    fputs("</div>\n", out);
cleanup:
    return status;
}

static int64_t total(const pd_confusion *c)
{
    return c->true_positive + c->false_negative + c->true_negative + c->false_positive;
}

/* `name`: "val" or "test". */
static pd_status write_fold(FILE *out, const pd_results *results, const pd_results_fold *fold,
                            const char *title, const char *name)
{
    if (!fold->present)
        return PD_OK;
    const pd_confusion *c = &fold->chosen.confusion;
    key at = member("folds", name), chosen = member(at.text, "chosen");
    pd_html_element(out, "h2", title);
    fputs("\n<p class=\"soft note\">", out);
    pd_html_print(out,
                  "%" PRId64 " images of %" PRId64 " patients: %" PRId64 " pneumonia, %" PRId64
                  " normal. The threshold in use was chosen on the validation fold. Images of one "
                  "patient resemble each other, so an interval that takes them for independent can "
                  "be too narrow; the one over patients draws whole patients (bootstrap). A "
                  "patient's probability is the mean over the patient's images.",
                  total(c), total(&fold->patients.confusion), c->true_positive + c->false_negative,
                  c->true_negative + c->false_positive);
    fputs("</p>\n<h3>Decisions</h3>\n<div class=\"grid\">\n", out);
    write_decision(out, "Images", &fold->chosen, chosen.text, &fold->chosen_bootstrap,
                   member(at.text, "chosen_bootstrap").text);
    write_decision(out, "Images", &fold->half, member(at.text, "half").text, &fold->half_bootstrap,
                   member(at.text, "half_bootstrap").text);
    write_decision(out, "Patients", &fold->patients, member(at.text, "patients").text, NULL, NULL);
    fputs("</div>\n<div class=\"grid small\">\n", out);
    if (fold->has_causes)
        write_three_classes(out, fold, at.text);
    write_by_cause(out, fold, at.text);
    write_band(out, results, fold, at.text);
    write_outside(out, &fold->outside, at.text);
    write_calibration(out, results, fold, at.text);
    fputs("</div>\n", out);
    write_shape(out, fold, at.text);
    return write_plots(out, results, fold);
}

static void write_stress_figure(FILE *out, const pd_figure *figure, const char *at, bool missed)
{
    fputs(missed ? "<td><b class=\"missing\">" : "<td><b>", out);
    put_percent(out, figure->value, member(at, "value").text);
    fputs(missed ? " !</b></td><td>" : "</b></td><td>", out);
    put_interval(out, figure, at);
    fputs("</td>", out);
}

static void write_stress_row(FILE *out, const pd_stress *stress, int number, const char *at,
                             pd_targets targets)
{
    const pd_stress_row *row = &stress->rows[number];
    char index[16];
    bool worst = number == stress->worst;
    snprintf(index, sizeof index, "%d", number);
    key own = member(member(at, "rows").text, index);
    fprintf(out, "<tr%s><th scope=\"row\">%s%s</th>", worst ? " class=\"worst\"" : "",
            pd_stress_name(row), worst ? " (worst)" : "");
    pd_html_element(out, "td", pd_stress_phrase(row));
    fputs("<td>", out);
    put_number(out, row->metrics.auc.value, 1, 4,
               member(member(own.text, "auc").text, "value").text);
    fputs("</td>", out);
    write_stress_figure(out, &row->metrics.sensitivity, member(own.text, "sensitivity").text,
                        pd_verdict_misses_sensitivity(row, targets));
    write_stress_figure(out, &row->metrics.specificity, member(own.text, "specificity").text,
                        pd_verdict_misses_specificity(row, targets));
    fputs("</tr>\n", out);
}

/* `name`: "val" or "test". */
static void write_stress(FILE *out, const pd_results *results, const pd_stress *stress,
                         const char *title, const char *name)
{
    static const char *const columns[] = {"images",
                                          "AUC",
                                          "sensitivity&nbsp;%",
                                          "95&nbsp;% interval",
                                          "specificity&nbsp;%",
                                          "95&nbsp;% interval",
                                          NULL};
    const pd_targets targets = pd_results_targets(results);
    key at = member(member("folds", name).text, "stress");
    if (!stress->present)
        return;
    pd_html_element(out, "h2", title);
    fputs("\n<p class=\"soft note\">", out);
    put_count(out, stress->images, member(at.text, "images").text);
    fputs(" of ", out);
    put_count(out, stress->fold_images, member(at.text, "fold_images").text);
    fputs(" images, changed as another machine, room or archive could have given them, at the "
          "threshold in use. AUC of all changed images together ",
          out);
    put_number(out, stress->pooled_auc.value, 1, 4,
               member(member(at.text, "pooled_auc").text, "value").text);
    fputs(". The worst row has the lowest mean of sensitivity and specificity; ! is below a "
          "target.</p>\n",
          out);
    pd_stress_chart_write(out, stress, targets);
    fputs("<div class=\"card changes\">\n", out);
    open_table(out, columns);
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        write_stress_row(out, stress, i, at.text, targets);
    fputs("</table>\n</div>\n", out);
}

static void write_mistake(FILE *out, const pd_page_mistake *mistake)
{
    fputs("<figure>\n", out);
    if (mistake->picture)
        pd_html_png(out, mistake->picture, mistake->picture_size,
                    "the radiograph beside its heat map");
    fputs("<figcaption>", out);
    pd_html_element(out, "bdi", known(mistake->name));
    pd_html_print(out, "truly %s, probability of pneumonia %.3f",
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
                    "Images decided wrongly, the most confident first. A heat map shows what spoke "
                    "for pneumonia; much weight near the border hints at markers and edges rather "
                    "than lungs.");
    fputs("\n<div class=\"grid small\">\n", out);
    for (int i = 0; i < page->mistake_count; i++)
        write_mistake(out, &page->mistakes[i]);
    fputs("</div>\n", out);
}

static pd_status write_learning(FILE *out, const pd_page *page)
{
    pd_status status = PD_OK;
    int64_t best = page->results->best_epoch;
    fputs("<h2>Learning curves</h2>\n", out);
    if (page->history_count == 0) {
        pd_html_element(out, "p class=\"soft\"",
                        page->results->members > 1
                            ? "This is the average of several models; their own reports have them."
                            : "No epoch was completed.");
        return PD_OK;
    }
    fputs("<div class=\"grid small\">\n", out);
    PD_TRY(pd_chart_loss(out, page->history, page->history_count, best));
    PD_TRY(pd_chart_validation(out, page->history, page->history_count, best));
    fputs("</div>\n", out);
cleanup:
    return status;
}

static void describe(FILE *out, const char *term, const char *text)
{
    pd_html_element(out, "dt", term);
    pd_html_element(out, "dd", known(text));
    fputc('\n', out);
}

static void describe_count(FILE *out, const char *term, int64_t count, const char *at)
{
    pd_html_element(out, "dt", term);
    fputs("<dd>", out);
    put_count(out, count, at);
    fputs("</dd>\n", out);
}

static void write_run(FILE *out, const pd_results *results)
{
    char seconds[32] = "unknown", seed[24], views[32];
    if (isfinite(results->seconds))
        pd_clock_format(seconds, sizeof(seconds), results->seconds);
    snprintf(seed, sizeof(seed), "%" PRIu64, results->seed);
    snprintf(views, sizeof views, "%d", results->views);
    fputs("<section>\n<h3>Run</h3>\n<dl>\n", out);
    describe(out, "model", results->model);
    describe_count(out, "parameters", results->parameters, "parameters");
    describe(out, "seed", seed);
    if (results->members > 1) {
        describe_count(out, "models averaged", results->members, "members");
    } else {
        describe_count(out, "epochs", results->epochs, "epochs");
        describe_count(out, "best epoch", results->best_epoch, "best_epoch");
    }
    describe(out, "threshold", results->decision_rule);
    describe(out, "views per image", views);
    describe_count(out, "ranks", results->ranks, "ranks");
    describe_count(out, "threads per rank", results->threads, "threads");
    describe_count(out, "lanes", results->lanes, "lanes");
    describe(out, "training time", seconds);
    fputs("<dt>images per second</dt><dd>", out);
    put_number(out, results->images_per_second, 1, 1, "images_per_second");
    fputs("</dd>\n", out);
    describe(out, "pneumo-dist", results->version);
    fputs("</dl>\n</section>\n", out);
}

static void write_data(FILE *out, const pd_results *results, const pd_dataset_info *data)
{
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
    open_table(out, columns);
    for (int fold = 0; fold < PD_FOLDS; fold++) {
        const int64_t *counts = data->counts[fold];
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
    write_data(out, page->results, page->data);
    fputs("</div>\n<h3>Job</h3>\n", out);
    pd_html_element(out, "pre", known(page->job_text));
    fputc('\n', out);
}

static pd_status write_page(FILE *out, const pd_page *page)
{
    pd_status status = PD_OK;
    const pd_results *results = page->results;
    pd_html_begin(out, known(results->job_name), style);
    write_top(out, results);
    PD_TRY(write_fold(out, results, &results->test, "Test fold", "test"));
    write_stress(out, results, &results->test.stress, "Test images taken otherwise", "test");
    write_stress(out, results, &results->val.stress, "Validation images taken otherwise", "val");
    write_mistakes(out, page);
    PD_TRY(write_fold(out, results, &results->val, "Validation fold", "val"));
    PD_TRY(write_learning(out, page));
    write_making(out, page);
    pd_html_end(out);
cleanup:
    return status;
}

pd_status pd_page_write(const char *path, const pd_page *page)
{
    pd_status status = PD_OK;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return pd_fail("%s: out of memory while the page was put together", path);
    status = write_page(out, page);
    bool complete = !ferror(out);
    if (fclose(out) != 0 || !complete)
        status = pd_fail("%s: out of memory while the page was put together", path);
    PD_TRY(status);
    PD_TRY(pd_file_write(path, text, size));
cleanup:
    free(text);
    return status;
}
