#include "pneumo/report/report.h"
#include "pneumo/base/text.h"

#include "pneumo/base/clock.h"

#include "verdict.h"
#include "warnings.h"

#include <inttypes.h>
#include <math.h>

/* ---- the table ----
 *
 * A name in 20 columns, then for each threshold a cell of 23 columns after a gap of 4. */

enum { CELL = 23 };

/* "  97.1 % [ 94.6,  98.4]" */
static void print_figure(FILE *out, pd_figure figure)
{
    if (isnan(figure.value))
        fprintf(out, "    %*s", CELL, "not defined");
    else
        fprintf(out, "    %6.1f %% [%5.1f, %5.1f]", 100 * figure.value, 100 * figure.low,
                100 * figure.high);
}

static void print_metrics(FILE *out, const pd_metrics *chosen, const pd_metrics *half)
{
    char heading[2][CELL + 1];
    snprintf(heading[0], sizeof *heading, "threshold %.6g", chosen->threshold);
    snprintf(heading[1], sizeof heading[1], "threshold %.6g", half->threshold);
    fprintf(out, "  %-18s    %*s    %*s\n", "", CELL, heading[0], CELL, heading[1]);

    const pd_confusion *a = &chosen->confusion, *b = &half->confusion;
    fprintf(out, "  %-18s    %11s %11s    %11s %11s\n", "predicted", "PNEUMONIA", "NORMAL",
            "PNEUMONIA", "NORMAL");
    fprintf(out,
            "  %-18s    %11" PRId64 " %11" PRId64 "    %11" PRId64 " %11" PRId64 "\n"
            "  %-18s    %11" PRId64 " %11" PRId64 "    %11" PRId64 " %11" PRId64 "\n",
            "truly PNEUMONIA", a->true_positive, a->false_negative, b->true_positive,
            b->false_negative, "truly NORMAL", a->false_positive, a->true_negative,
            b->false_positive, b->true_negative);

    const char *columns = "value  95 % interval";
    fprintf(out, "\n  %-18s    %*s    %*s\n", "", CELL, columns, CELL, columns);
    for (int i = 0; i < PD_FIGURES; i++) {
        fprintf(out, "  %-18s", pd_figure_names[i]);
        print_figure(out, pd_metrics_figure(chosen, i));
        print_figure(out, pd_metrics_figure(half, i));
        fputc('\n', out);
    }
}

static void print_causes(FILE *out, const pd_results_fold *fold)
{
    fprintf(out, "\n  %-18s", "predicted");
    for (int called = 0; called < PD_RESULTS_CLASSES; called++)
        fprintf(out, " %11s", pd_results_classes[called]);
    fprintf(out, "    %*s\n", CELL, "recall  95 % interval");
    for (int truth = 0; truth < PD_RESULTS_CLASSES; truth++) {
        fprintf(out, "  truly %-12s", pd_results_classes[truth]);
        for (int called = 0; called < PD_RESULTS_CLASSES; called++)
            fprintf(out, " %11" PRId64, fold->causes[truth][called]);
        print_figure(out, pd_results_recall(fold, truth));
        fputc('\n', out);
    }
}

static void print_share(FILE *out, const char *name, pd_figure figure)
{
    fprintf(out, "  %-18s", name);
    print_figure(out, figure);
    fputc('\n', out);
}

/* "unlike the training images: 3 (2 by sharpness, 1 by likeness)" */
static void print_outside(FILE *out, const pd_outside *outside)
{
    if (!outside->checked) {
        fputs("images unlike the training images are not counted: the checkpoint has no profile\n",
              out);
        return;
    }
    fprintf(out, "unlike the training images: %" PRId64, outside->count);
    const char *gap = " (";
    for (int trait = 0; trait < PD_TRAITS; trait++) {
        if (outside->by_trait[trait] == 0)
            continue;
        fprintf(out, "%s%" PRId64 " by %s", gap, outside->by_trait[trait], pd_trait_names[trait]);
        gap = ", ";
    }
    fprintf(out, "%s\n", outside->count > 0 ? ")" : "");
}

/* Figures at the chosen threshold only: by cause, by patient, and the band of doubt. */
static void print_more(FILE *out, const pd_results *results, const pd_results_fold *fold)
{
    static const char *const causes[PD_CAUSES] = {"correct, normal", "correct, bacteria",
                                                  "correct, virus", "correct, unknown"};
    fprintf(out, "\n  %-18s    %*s\n", "", CELL, "value  95 % interval");
    for (int cause = 0; cause < PD_CAUSES; cause++)
        if (!isnan(fold->by_cause[cause].value))
            print_share(out, causes[cause], fold->by_cause[cause]);
    if (results->unknown_patients == 0) {
        print_share(out, "patients' sens.", fold->patients.sensitivity);
        print_share(out, "patients' spec.", fold->patients.specificity);
        print_share(out, "patients' auc", fold->patients.auc);
    }
    print_share(out, "in doubt", fold->referred);
    print_share(out, "correct, others", fold->decided);
    fprintf(
        out,
        "\nin doubt are probabilities from %.6g to %.6g; Brier score %.4f, expected calibration "
        "error %.4f\n(before division by temperature %.4g: %.4f, %.4f)\n",
        results->refer_low, results->refer_high, fold->calibration.brier, fold->calibration.ece,
        results->temperature, fold->uncalibrated.brier, fold->uncalibrated.ece);
    print_outside(out, &fold->outside);
}

/* The limits of the thirds: the smallest value of the lowest, then the largest of each. */
static void print_limits(FILE *out, const pd_shape_class *group, double unit, int digits)
{
    char text[64], *at = text;
    at += sprintf(at, "%.*g", digits, group->thirds[0].low / unit);
    for (int i = 0; i < PD_SHAPE_THIRDS; i++)
        if (group->thirds[i].count > 0)
            at += sprintf(at, " %.*g", digits, group->thirds[i].high / unit);
    fprintf(out, "    %*s", CELL, group->thirds[0].count > 0 ? text : "-");
}

/* A row of one class in the columns of both measures. */
enum { LOWEST, MIDDLE, HIGHEST, LIMITS, DIFFERENCE, CORRELATION, SHAPE_ROWS };

static void print_shape_cell(FILE *out, const pd_shape_class *group, int measure, int row)
{
    const pd_figure *r = &group->correlation;
    if (row <= HIGHEST)
        print_figure(out, group->thirds[row].right);
    else if (row == LIMITS && measure == PD_SHAPE_ASPECT)
        print_limits(out, group, 1, 3);
    else if (row == LIMITS)
        print_limits(out, group, 1e6, 2);
    else if (isnan(row == DIFFERENCE ? group->p : r->value))
        fprintf(out, "    %*s", CELL, "-");
    else if (row == DIFFERENCE)
        fprintf(out, "    %*.2g", CELL, group->p);
    else
        fprintf(out, "    %8.2f [%5.2f, %5.2f]", r->value, r->low, r->high);
}

static void print_shape_rows(FILE *out, const pd_shape_report *shape, int label)
{
    static const char *const rows[PD_LABELS][SHAPE_ROWS] = {
        {"spec., lowest", "spec., middle", "spec., highest", "thirds' limits", "p of difference",
         "rank correlation"},
        {"sens., lowest", "sens., middle", "sens., highest", "thirds' limits", "p of difference",
         "rank correlation"}};
    for (int row = 0; row < SHAPE_ROWS; row++) {
        fprintf(out, "  %-18s", rows[label][row]);
        for (int measure = 0; measure < PD_SHAPE_MEASURES; measure++) {
            if (shape->measures[measure].known)
                print_shape_cell(out, &shape->measures[measure].classes[label], measure, row);
            else
                fprintf(out, "    %*s", CELL, "all alike");
        }
        fputc('\n', out);
    }
}

/* How the predictions depend on the shape and size of the original images. */
static void print_shape(FILE *out, const pd_shape_report *shape)
{
    const pd_shape_figures *m = shape->measures;
    fprintf(out, "\n  %-18s    %*s    %*s\n", "by thirds of", CELL, "width / height", CELL,
            "width x height, Mpx");
    for (int label = 0; label < PD_LABELS; label++)
        print_shape_rows(out, shape, label);
    for (int low = 0; low < 2; low++) {
        fprintf(out, "  %-18s", low ? "auc, low normal" : "auc, high normal");
        for (int i = 0; i < PD_SHAPE_MEASURES; i++) {
            if (m[i].known)
                print_figure(out, low ? m[i].auc_low_normal : m[i].auc_high_normal);
            else
                fprintf(out, "    %*s", CELL, "all alike");
        }
        fputc('\n', out);
    }
    fputs("\nThirds are within each class. auc, high normal: the highest third of normal images "
          "against the\nlowest third of pneumonias; low normal: the reverse.\n",
          out);
}

static void print_fold(FILE *out, const char *name, const pd_results *results,
                       const pd_results_fold *fold)
{
    if (!fold->present)
        return;
    const pd_confusion *c = &fold->chosen.confusion;
    int64_t pneumonia = c->true_positive + c->false_negative;
    int64_t normal = c->true_negative + c->false_positive;
    fprintf(out, "\n%s fold: %" PRId64 " images, %" PRId64 " pneumonia and %" PRId64 " normal\n\n",
            name, pneumonia + normal, pneumonia, normal);
    print_metrics(out, &fold->chosen, &fold->half);
    if (fold->has_causes)
        print_causes(out, fold);
    print_more(out, results, fold);
    if (fold->shape.known)
        print_shape(out, &fold->shape);
}

/* "sensitivity 97.1 % (target 95 %): met" */
static void print_verdict(FILE *out, const char *name, double value, double target)
{
    if (isnan(value)) {
        fprintf(out, "%s (target %g %%): unknown, no such images", name, 100 * target);
        return;
    }
    /* More decimals close to the target: 94.96 % must not print as 95.0 % and missed. */
    int digits = fabs(value - target) < 0.001 ? 3 : 1;
    fprintf(out, "%s %.*f %% (target %g %%): %s", name, digits, 100 * value, 100 * target,
            value >= target ? "met" : "missed");
}

/* Whether images like these may well have the other verdict. */
static bool is_uncertain(pd_figure figure, double target)
{
    return figure.value >= target ? figure.low < target : figure.high >= target;
}

static void print_uncertain(FILE *out, const char *name, pd_figure figure, int64_t images,
                            const char *class_name, double target)
{
    if (!isnan(figure.value) && is_uncertain(figure, target))
        fprintf(out,
                "%" PRId64 " %s image%s: too few to be certain of the %s, 95 %% interval %.1f to "
                "%.1f %%\n",
                images, class_name, pd_text_plural(images), name, 100 * figure.low,
                100 * figure.high);
}

/* "0.9986 [0.9974, 0.9997]" */
static void print_area(FILE *out, pd_figure area)
{
    if (isnan(area.value))
        fprintf(out, "    %*s", CELL, "not defined");
    else
        fprintf(out, "    %.4f [%.4f, %.4f]", area.value, area.low, area.high);
}

static void print_stress_row(FILE *out, const pd_stress_row *row, pd_targets targets, bool worst)
{
    fprintf(out, "  %-20s", pd_stress_name(row));
    print_area(out, row->metrics.auc);
    print_figure(out, row->metrics.sensitivity);
    fputs(pd_verdict_misses_sensitivity(row, targets) ? " !" : "  ", out);
    print_figure(out, row->metrics.specificity);
    fprintf(out, "%s%s\n", pd_verdict_misses_specificity(row, targets) ? " !" : "",
            worst ? "  worst" : "");
}

/* A row per change: AUC, sensitivity and specificity with their intervals, "!" after a figure that
 * misses its target; then the caveat, unless it is NULL. */
static void print_stress(FILE *out, const char *fold, const pd_results *results,
                         const pd_stress *stress, const char *caveat)
{
    pd_targets targets = pd_results_targets(results);
    if (!stress->present)
        return;
    fprintf(out,
            "\nstress test, %s fold: %" PRId64 " of %" PRId64 " images under each change, at "
            "threshold %.6g\n\n  %-20s    %*s    %*s      %*s\n",
            fold, stress->images, stress->fold_images, stress->rows[0].metrics.threshold, "change",
            CELL, "AUC  95 % interval", CELL, "sensitivity  interval", CELL,
            "specificity  interval");
    for (int i = 0; i < PD_STRESS_ROWS; i++)
        print_stress_row(out, &stress->rows[i], targets, i == stress->worst);
    fprintf(out, "  %-20s", "all changed, pooled");
    print_area(out, stress->pooled_auc);
    fprintf(out, "\n\n! below its target, sensitivity %g %%, specificity %g %%",
            100 * targets.sensitivity, 100 * targets.specificity);
    if (stress->worst != PD_STRESS_NO_ROW) {
        const pd_stress_row *worst = &stress->rows[stress->worst];
        fprintf(out, "; worst by balanced accuracy: %s, images %s", pd_stress_name(worst),
                pd_stress_phrase(worst));
    }
    fputc('\n', out);
    if (caveat != NULL)
        fprintf(out, "%s\n", caveat);
}

static const char *known(const char *text)
{
    return text != NULL ? text : "unknown";
}

void pd_report_print(FILE *out, const pd_results *results)
{
    bool has_seed = pd_results_knows_seed(results);
    fprintf(out, "job %s: %s with %" PRId64 " parameters", known(results->job_name),
            known(results->model), results->parameters);
    if (has_seed)
        fprintf(out, ", seed %" PRIu64, results->seed);
    fprintf(out, "\ndata %s, digest %s\n", known(results->data_path), known(results->data_digest));
    if (results->members > 1)
        fprintf(out, "average of %d models", results->members);
    else if (results->weights_epoch > 0)
        fprintf(out, "%" PRId64 " epoch%s, best %" PRId64, results->epochs,
                pd_text_plural(results->epochs), results->best_epoch);
    else
        fputs("not trained here", out);
    fprintf(out, "; ranks %d, threads %d", results->ranks, results->threads);
    if (has_seed)
        fprintf(out, ", lanes %d", results->lanes);
    char duration[64];
    if (isfinite(results->seconds))
        fprintf(out, "; %s", pd_clock_format(duration, sizeof duration, results->seconds));
    if (isfinite(results->images_per_second))
        fprintf(out, ", %.1f images/s", results->images_per_second);
    fprintf(out, "\nthreshold: %s\n", known(results->decision_rule));
    pd_verdict verdict = pd_verdict_of_results(results);
    for (int i = 0; i < verdict.count; i++)
        fprintf(out, "stress test: %s\n", verdict.lines[i]);

    print_fold(out, "val", results, &results->val);
    print_fold(out, "test", results, &results->test);
    print_stress(out, "val", results, &results->val.stress, pd_verdict_caveat(results));
    print_stress(out, "test", results, &results->test.stress, NULL);
    if (results->val.present || results->test.present)
        fputc('\n', out);

    pd_warnings w = pd_warnings_of(results);
    for (int i = 0; i < w.count; i++)
        fprintf(out, "WARNING: %s\n", w.lines[i]);
    if (results->test.present) {
        print_verdict(out, "sensitivity", results->test.chosen.sensitivity.value,
                      results->target_sensitivity);
        fputs("; ", out);
        print_verdict(out, "specificity", results->test.chosen.specificity.value,
                      results->target_specificity);
        fputc('\n', out);
        const pd_metrics *chosen = &results->test.chosen;
        const pd_confusion *of = &chosen->confusion;
        print_uncertain(out, "sensitivity", chosen->sensitivity,
                        of->true_positive + of->false_negative, "pneumonia",
                        results->target_sensitivity);
        print_uncertain(out, "specificity", chosen->specificity,
                        of->true_negative + of->false_positive, "normal",
                        results->target_specificity);
    }
}
