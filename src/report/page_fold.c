#include "page_fold.h"

#include "charts.h"
#include "html.h"
#include "page_parts.h"
#include "pneumo/metrics/calibration.h"

#include <inttypes.h>
#include <math.h>

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
enum { FIGURES = sizeof figures / sizeof *figures };

static const pd_figure *figure_of(const pd_metrics *metrics, int i)
{
    return (const pd_figure *)((const char *)metrics + figures[i].offset);
}

/* `bootstrap`, at its own key: the same figures with bootstrap intervals over `groups`. NULL: none.
 */
static void write_figures(FILE *out, const pd_metrics *metrics, const char *at,
                          const pd_metrics *bootstrap, const char *bootstrap_at, const char *groups)
{
    char over[32];
    snprintf(over, sizeof over, "over %s", groups);
    const char *const both_columns[] = {"%", "95&nbsp;% interval", over, NULL};
    pd_page_open_table(out, bootstrap != NULL ? both_columns : pd_page_figure_columns);
    for (int i = 0; i < FIGURES; i++) {
        pd_page_open_figure_row(out, figures[i].title, figure_of(metrics, i),
                                pd_page_key_of(at, figures[i].name).text);
        if (bootstrap != NULL) {
            fputs("<td>", out);
            pd_page_put_interval(out, figure_of(bootstrap, i),
                                 pd_page_key_of(bootstrap_at, figures[i].name).text);
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table>\n", out);
}

/* counts [size][size], by true and predicted class. */
static void write_confusion(FILE *out, int size, const char *const *classes, const int64_t *counts,
                            const pd_page_key *keys)
{
    fputs("<table class=\"confusion\">\n<thead><tr><td></td>", out);
    for (int called = 0; called < size; called++)
        fprintf(out, "<th scope=\"col\">predicted %s</th>", classes[called]);
    fputs("</tr></thead>\n", out);
    for (int truth = 0; truth < size; truth++) {
        fprintf(out, "<tr><th scope=\"row\">actually %s</th>", classes[truth]);
        for (int called = 0; called < size; called++) {
            fprintf(out, "<td class=\"%s\">", truth == called ? "right" : "wrong");
            pd_page_put_count(out, counts[truth * size + called], keys[truth * size + called].text);
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table>\n", out);
}

static void write_decision(FILE *out, const char *title, const pd_metrics *metrics, const char *at,
                           const pd_metrics *bootstrap, const char *bootstrap_at,
                           const char *groups)
{
    static const char *const classes[] = {"pneumonia", "normal"};
    const pd_confusion *c = &metrics->confusion;
    const int64_t counts[] = {c->true_positive, c->false_negative, c->false_positive,
                              c->true_negative};
    pd_page_key confusion = pd_page_key_of(at, "confusion");
    const pd_page_key keys[] = {pd_page_key_of(confusion.text, "true_positive"),
                                pd_page_key_of(confusion.text, "false_negative"),
                                pd_page_key_of(confusion.text, "false_positive"),
                                pd_page_key_of(confusion.text, "true_negative")};
    fprintf(out, "<section class=\"card\">\n<h4>%s, threshold ", title);
    pd_page_put_number(out, metrics->threshold, 1, 3, pd_page_key_of(at, "threshold").text);
    fputs("</h4>\n", out);
    write_confusion(out, 2, classes, counts, keys);
    write_figures(out, metrics, at, bootstrap, bootstrap_at, groups);
    fputs("</section>\n", out);
}

static void write_three_classes(FILE *out, const pd_results_fold *fold, const char *at)
{
    static const char *const classes[] = {"normal", "bacteria", "virus"};
    static const char *const names[] = {"NORMAL", "BACTERIA", "VIRUS"};
    pd_page_key keys[PD_RESULTS_CLASSES * PD_RESULTS_CLASSES];
    for (int i = 0; i < PD_RESULTS_CLASSES * PD_RESULTS_CLASSES; i++) {
        pd_page_key truth =
            pd_page_key_of(pd_page_key_of(at, "causes").text, names[i / PD_RESULTS_CLASSES]);
        keys[i] = pd_page_key_of(pd_page_key_of(truth.text, "predicted").text,
                                 names[i % PD_RESULTS_CLASSES]);
    }
    fputs("<section class=\"card\">\n<h4>Three classes, the most likely predicted</h4>\n", out);
    write_confusion(out, PD_RESULTS_CLASSES, classes, &fold->causes[0][0], keys);
    fputs("</section>\n", out);
}

static void write_by_cause(FILE *out, const pd_results_fold *fold, const char *at)
{
    static const char *const titles[PD_CAUSES] = {"normal", "bacterial pneumonia",
                                                  "viral pneumonia", "pneumonia of unknown cause"};
    pd_page_key group = pd_page_key_of(at, "by_cause");
    fputs("<section class=\"card\">\n<h4>Classified correctly, by cause</h4>\n", out);
    pd_page_open_table(out, pd_page_figure_columns);
    for (int cause = 0; cause < PD_CAUSES; cause++) {
        if (!isfinite(fold->by_cause[cause].value))
            continue;
        pd_page_open_figure_row(out, titles[cause], &fold->by_cause[cause],
                                pd_page_key_of(group.text, pd_cause_names[cause]).text);
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
        pd_page_put_number(out, results->refer_low, 1, 3, "decision.refer_low");
        fputs(" to ", out);
        pd_page_put_number(out, results->refer_high, 1, 3, "decision.refer_high");
        fputs(" are referred to a person.</p>\n", out);
    } else {
        const char *images = pd_results_decided_on(results);
        fputs("None", out);
        if (images != NULL)
            pd_html_print(out,
                          ": the model was wrong about at most %g %% of %s on either side of the "
                          "threshold",
                          100 * PD_BAND_ERROR, images);
        fputs(".</p>\n", out);
    }
    pd_page_open_table(out, pd_page_figure_columns);
    pd_page_open_figure_row(out, "images referred", &fold->referred,
                            pd_page_key_of(at, "referred").text);
    fputs("</tr>\n", out);
    pd_page_open_figure_row(out, "of the others, classified correctly", &fold->decided,
                            pd_page_key_of(at, "decided").text);
    fputs("</tr>\n</table>\n</section>\n", out);
}

static void write_outside(FILE *out, const pd_outside *outside, const char *at)
{
    static const char *const columns[] = {"images", NULL};
    pd_page_key group = pd_page_key_of(at, "outside");
    pd_page_key traits = pd_page_key_of(group.text, "by_trait");
    fputs("<section class=\"card\">\n<h4>Unlike the training images</h4>\n<p class=\"soft\">", out);
    if (!outside->checked) {
        fputs("Unknown: the checkpoint has no profile of the training images.</p>\n</section>\n",
              out);
        return;
    }
    fputs("Images outside the limits of the train fold are also referred to a person. Each is "
          "counted under the first trait outside its limits.</p>\n",
          out);
    pd_page_open_table(out, columns);
    fputs("<tr><th scope=\"row\">all</th><td>", out);
    pd_page_put_count(out, outside->count, pd_page_key_of(group.text, "count").text);
    fputs("</td></tr>\n", out);
    for (int trait = 0; trait < PD_TRAITS; trait++) {
        fprintf(out, "<tr><th scope=\"row\">%s</th><td>", pd_trait_names[trait]);
        pd_page_put_count(out, outside->by_trait[trait],
                          pd_page_key_of(traits.text, pd_trait_names[trait]).text);
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
    pd_page_put_number(out, results->temperature, 1, 3, "decision.temperature");
    if (pd_results_scaled_on(results) != NULL)
        pd_html_print(out, ", fitted on %s", pd_results_scaled_on(results));
    fputs(". For both measures, lower is better.</p>\n", out);
    pd_page_open_table(out, columns);
    for (int i = 0; i < 2; i++) {
        pd_page_key group = pd_page_key_of(at, rows[i].name);
        fprintf(out, "<tr><th scope=\"row\">%s</th><td>", rows[i].title);
        pd_page_put_number(out, rows[i].calibration->brier, 1, 4,
                           pd_page_key_of(group.text, "brier").text);
        fputs("</td><td>", out);
        pd_page_put_number(out, rows[i].calibration->ece, 1, 4,
                           pd_page_key_of(group.text, "ece").text);
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n</section>\n", out);
}

static pd_status write_plots(FILE *out, const pd_results *results, const pd_results_fold *fold)
{
    pd_status status = PD_OK;
    fputs("<h3>Curves</h3>\n<div class=\"grid small\">\n", out);
    /* Curves need images of both classes, and so does the AUC. */
    if (isfinite(fold->chosen.auc.value) && fold->score_count > 0) {
        PD_TRY(pd_chart_roc(out, fold));
        PD_TRY(pd_chart_precision_recall(out, fold));
    } else {
        pd_html_element(out, "p class=\"soft\"",
                        "No ROC and precision-recall curves: they need images of both classes.");
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

/* The fold's size, and what the intervals assume. */
static void write_groups(FILE *out, const pd_results *results, const pd_results_fold *fold)
{
    const pd_confusion *c = &fold->chosen.confusion;
    pd_html_print(out, "%" PRId64 " images", total(c));
    if (results->unknown_patients == 0)
        pd_html_print(out, " of %" PRId64 " patients", total(&fold->patients.confusion));
    pd_html_print(out, ": %" PRId64 " pneumonia, %" PRId64 " normal. ",
                  c->true_positive + c->false_negative, c->true_negative + c->false_positive);
    if (pd_results_decided_on(results) != NULL)
        pd_html_print(out, "The threshold in use was chosen on %s. ",
                      pd_results_decided_on(results));
    pd_html_print(out, "Images of one patient resemble each other, so an interval that treats them "
                       "as independent can be too narrow; ");
    if (results->unknown_patients == 0)
        pd_html_print(out, "the interval over patients resamples whole patients (bootstrap). A "
                           "patient's probability is the mean over the patient's images.");
    else
        pd_html_print(out,
                      "here the patient of %" PRId64 " of the data set's images is unknown, so the "
                      "interval over images (bootstrap) resamples such images one by one.",
                      results->unknown_patients);
}

pd_status pd_page_write_fold(FILE *out, const pd_results *results, const pd_results_fold *fold,
                             const char *title, const char *name)
{
    if (!fold->present)
        return PD_OK;
    const char *groups = results->unknown_patients == 0 ? "patients" : "images";
    pd_page_key at = pd_page_key_of("folds", name), chosen = pd_page_key_of(at.text, "chosen");
    pd_html_element(out, "h2", title);
    fputs("\n<p class=\"soft note\">", out);
    write_groups(out, results, fold);
    fputs("</p>\n<h3>Decisions</h3>\n<div class=\"grid\">\n", out);
    write_decision(out, "Images", &fold->chosen, chosen.text, &fold->chosen_bootstrap,
                   pd_page_key_of(at.text, "chosen_bootstrap").text, groups);
    write_decision(out, "Images", &fold->half, pd_page_key_of(at.text, "half").text,
                   &fold->half_bootstrap, pd_page_key_of(at.text, "half_bootstrap").text, groups);
    if (results->unknown_patients == 0)
        write_decision(out, "Patients", &fold->patients, pd_page_key_of(at.text, "patients").text,
                       NULL, "", groups);
    fputs("</div>\n<div class=\"grid small\">\n", out);
    if (fold->has_causes)
        write_three_classes(out, fold, at.text);
    write_by_cause(out, fold, at.text);
    write_band(out, results, fold, at.text);
    write_outside(out, &fold->outside, at.text);
    write_calibration(out, results, fold, at.text);
    fputs("</div>\n", out);
    pd_page_write_shape(out, fold, at.text);
    return write_plots(out, results, fold);
}
