#include "charts.h"

#include "html.h"
#include "plot.h"
#include "pneumo/base/memory.h"
#include "pneumo/metrics/curves.h"

#include <math.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Axes for shares, wide enough for whole dots at 0 and 1. */
#define SHARES(text)                                                                               \
    {                                                                                              \
        .label = (text), .low = -0.02, .high = 1.02                                                \
    }

static const pd_plot_point gap = {NAN, NAN};

typedef struct legend {
    pd_plot_colour colour;
    const char *text;
} legend;

/* Opens the figure; the caption and figure_end follow. */
static void figure_begin(FILE *out, const char *title, const pd_plot *plot, const legend *entries,
                         size_t count)
{
    fputs("<figure>\n", out);
    pd_html_element(out, "h4", title);
    pd_plot_write(out, plot);
    fputs("<ul class=\"legend\">", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "<li><i style=\"background:var(--plot-%s)\"></i>",
                pd_plot_colour_names[entries[i].colour]);
        pd_html_text(out, entries[i].text);
        fputs("</li>", out);
    }
    fputs("</ul>\n<figcaption>", out);
}

static void figure_end(FILE *out)
{
    fputs("</figcaption>\n</figure>\n", out);
}

/* A curve with the point of the threshold in use. */
typedef struct curve_chart {
    const char *title, *description, *x_label, *y_label;
    const pd_curve *curve;
    pd_plot_point chance[2]; /* ends of the line of a model that guesses */
    pd_figure x, y;          /* at the threshold in use */
} curve_chart;

/* Opens the figure; the caption and figure_end follow. */
static pd_status curve_begin(FILE *out, const curve_chart *chart)
{
    const pd_curve *curve = chart->curve;
    const pd_figure *x = &chart->x, *y = &chart->y;
    pd_plot_point *points = NULL;
    pd_status status = pd_alloc(&points, curve->count, sizeof *points);
    if (status != PD_OK)
        return status;
    for (size_t i = 0; i < curve->count; i++)
        points[i] = (pd_plot_point){curve->points[i].x, curve->points[i].y};
    const pd_plot_point dot[] = {{x->value, y->value}};
    const pd_plot_point cross[] = {
        {x->low, y->value}, {x->high, y->value}, gap, {x->value, y->low}, {x->value, y->high}};
    const pd_plot_mark marks[] = {
        {PD_PLOT_DASHES, PD_PLOT_MUTED, chart->chance, COUNT(chart->chance)},
        {PD_PLOT_LINE, PD_PLOT_FIRST, points, curve->count},
        {PD_PLOT_LINE, PD_PLOT_SECOND, cross, COUNT(cross)},
        {PD_PLOT_DOTS, PD_PLOT_SECOND, dot, COUNT(dot)},
    };
    const pd_plot plot = {chart->description, SHARES(chart->x_label), SHARES(chart->y_label), marks,
                          COUNT(marks)};
    const legend entries[] = {{PD_PLOT_FIRST, "model"},
                              {PD_PLOT_SECOND, "threshold in use, 95 % intervals"},
                              {PD_PLOT_MUTED, "chance"}};
    figure_begin(out, chart->title, &plot, entries, COUNT(entries));
    free(points);
    return PD_OK;
}

pd_status pd_chart_roc(FILE *out, const pd_results_fold *fold)
{
    pd_status status = PD_OK;
    pd_curve curve = {0};
    const pd_figure *specificity = &fold->chosen.specificity;
    PD_TRY(pd_curve_roc(&curve, fold->scores, fold->score_count));
    const curve_chart chart = {
        .title = "ROC",
        .description = "ROC curve: sensitivity against 1 - specificity",
        .x_label = "1 - specificity",
        .y_label = "sensitivity",
        .curve = &curve,
        .chance = {{0, 0}, {1, 1}},
        .x = {1 - specificity->value, 1 - specificity->high, 1 - specificity->low},
        .y = fold->chosen.sensitivity};
    PD_TRY(curve_begin(out, &chart));
    pd_html_print(out, "Area under the curve %.3f [%.3f, %.3f].", fold->chosen.auc.value,
                  fold->chosen.auc.low, fold->chosen.auc.high);
    figure_end(out);
cleanup:
    free(curve.points);
    return status;
}

pd_status pd_chart_precision_recall(FILE *out, const pd_results_fold *fold)
{
    pd_status status = PD_OK;
    pd_curve curve = {0};
    const pd_confusion *c = &fold->chosen.confusion;
    int64_t pneumonia = c->true_positive + c->false_negative;
    int64_t normal = c->true_negative + c->false_positive;
    double share = (double)pneumonia / (double)(pneumonia + normal);
    PD_TRY(pd_curve_precision_recall(&curve, fold->scores, fold->score_count));
    const curve_chart chart = {.title = "Precision and recall",
                               .description = "Precision against recall",
                               .x_label = "recall",
                               .y_label = "precision",
                               .curve = &curve,
                               .chance = {{0, share}, {1, share}},
                               .x = fold->chosen.sensitivity,
                               .y = fold->chosen.precision};
    PD_TRY(curve_begin(out, &chart));
    pd_html_print(
        out,
        "Average precision %.3f. By chance it is the share of pneumonia, %.3f, so figures "
        "of folds with different shares are not comparable.",
        pd_curve_average_precision(&curve), share);
    figure_end(out);
cleanup:
    free(curve.points);
    return status;
}

/* The bins' means as points and their intervals as bars; `bars` may be NULL. */
static void reliability(const pd_calibration *calibration, pd_plot_point *points,
                        pd_plot_point *bars)
{
    for (int i = 0; i < PD_CALIBRATION_BINS; i++) {
        const pd_calibration_bin *bin = &calibration->bins[i];
        bool empty = bin->count == 0;
        points[i] = empty ? gap : (pd_plot_point){bin->mean_probability, bin->positive.value};
        if (bars == NULL)
            continue;
        bars[0] = empty ? gap : (pd_plot_point){bin->mean_probability, bin->positive.low};
        bars[1] = empty ? gap : (pd_plot_point){bin->mean_probability, bin->positive.high};
        bars[2] = gap;
        bars += 3;
    }
}

void pd_chart_calibration(FILE *out, const pd_results_fold *fold)
{
    pd_plot_point after[PD_CALIBRATION_BINS], before[PD_CALIBRATION_BINS];
    pd_plot_point bars[3 * PD_CALIBRATION_BINS];
    const pd_plot_point perfect[] = {{0, 0}, {1, 1}};
    reliability(&fold->calibration, after, bars);
    reliability(&fold->uncalibrated, before, NULL);
    const pd_plot_mark marks[] = {
        {PD_PLOT_DASHES, PD_PLOT_MUTED, perfect, COUNT(perfect)},
        {PD_PLOT_DOTS, PD_PLOT_THIRD, before, COUNT(before)},
        {PD_PLOT_LINE, PD_PLOT_FIRST, bars, COUNT(bars)},
        {PD_PLOT_DOTS, PD_PLOT_FIRST, after, COUNT(after)},
    };
    const pd_plot plot = {"Reliability: share that is pneumonia against the predicted probability",
                          SHARES("predicted probability"), SHARES("share that is pneumonia"), marks,
                          COUNT(marks)};
    const legend entries[] = {{PD_PLOT_FIRST, "as used, 95 % intervals"},
                              {PD_PLOT_THIRD, "before temperature scaling"},
                              {PD_PLOT_MUTED, "perfect calibration"}};
    figure_begin(out, "Calibration", &plot, entries, COUNT(entries));
    fputs("Images in ten bins by probability. On the dashed line, seven in ten of the "
          "images with probability 0.7 are pneumonia.",
          out);
    figure_end(out);
}

enum { SCORE_BINS = 20 };

void pd_chart_scores(FILE *out, const pd_results_fold *fold, double low, double high)
{
    int64_t counts[2][SCORE_BINS] = {{0}}, most = 1;
    for (size_t i = 0; i < fold->score_count; i++) {
        double at = fold->scores[i].probability * SCORE_BINS;
        if (!(at >= 0 && at <= SCORE_BINS))
            continue;
        int bin = at < SCORE_BINS ? (int)at : SCORE_BINS - 1;
        int64_t count = ++counts[fold->scores[i].positive == 1][bin];
        most = count > most ? count : most;
    }
    /* A logarithmic axis has no 0: start below 1, so that a single image is a visible bar. */
    const double floor = 0.5, ceiling = 2.0 * (double)most;
    pd_plot_point bars[2][2 * SCORE_BINS];
    for (int label = 0; label < 2; label++)
        for (int bin = 0; bin < SCORE_BINS; bin++) {
            double start = (bin + 0.08 + 0.42 * label) / SCORE_BINS;
            pd_plot_point *bar = bars[label] + (ptrdiff_t)2 * bin;
            bar[0] = (pd_plot_point){start, floor};
            bar[1] = counts[label][bin] == 0
                         ? gap
                         : (pd_plot_point){start + 0.42 / SCORE_BINS, (double)counts[label][bin]};
        }
    const pd_plot_point band[] = {{low, floor}, {high, ceiling}};
    const double threshold = fold->chosen.threshold;
    const pd_plot_point line[] = {{threshold, floor}, {threshold, ceiling}};
    const pd_plot_mark marks[] = {
        {PD_PLOT_BOXES, PD_PLOT_BAND, band, COUNT(band)},
        {PD_PLOT_BOXES, PD_PLOT_FIRST, bars[0], COUNT(bars[0])},
        {PD_PLOT_BOXES, PD_PLOT_SECOND, bars[1], COUNT(bars[1])},
        {PD_PLOT_DASHES, PD_PLOT_INK, line, COUNT(line)},
    };
    const pd_plot plot = {"Images by probability and true label",
                          SHARES("probability of pneumonia"),
                          {.label = "images", .low = floor, .high = ceiling, .logarithmic = true},
                          marks,
                          COUNT(marks)};
    const legend entries[] = {{PD_PLOT_FIRST, "truly normal"},
                              {PD_PLOT_SECOND, "truly pneumonia"},
                              {PD_PLOT_INK, "threshold in use"},
                              {PD_PLOT_BAND, "band of doubt"}};
    figure_begin(out, "Scores by class", &plot, entries, COUNT(entries));
    fputs("Counts are on a logarithmic scale, which shows single images.", out);
    figure_end(out);
}

/* A curve of the history. */
typedef struct series {
    size_t offset; /* of a double in pd_history_row */
    pd_plot_colour colour;
    const char *text;
} series;

enum { SERIES_MAX = 5 };

/* Curves in one chart. */
typedef struct series_chart {
    const char *title, *label; /* of the chart and of its y axis */
    const series *all;
    size_t count;
} series_chart;

/* The range of all curves; [0, 1] without finite values. */
static void find_range(pd_plot_axis *axis, const pd_history_row *history, int count,
                       const series_chart *chart)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t s = 0; s < chart->count; s++)
        for (int i = 0; i < count; i++) {
            double value = pd_history_value(&history[i], chart->all[s].offset);
            if (!isfinite(value))
                continue;
            low = fmin(low, value);
            high = fmax(high, value);
        }
    if (low > high) {
        low = 0;
        high = 1;
    }
    /* A margin above and below, also for constant curves. */
    double margin = fmax(0.04 * (high - low), 1e-3 * fmax(1, fabs(high)));
    axis->low = low - margin;
    axis->high = high + margin;
}

static pd_status chart_history(FILE *out, const series_chart *chart, const pd_history_row *history,
                               int count, int64_t weights_epoch)
{
    pd_status status = PD_OK;
    pd_plot_point *points = NULL;
    pd_plot_mark marks[1 + 2 * SERIES_MAX];
    legend entries[SERIES_MAX + 1];
    size_t mark_count = 0;
    pd_plot plot = {
        .description = chart->title, .x = {.label = "epoch"}, .y = {.label = chart->label}};
    PD_TRY(pd_alloc(&points, chart->count * (size_t)count, sizeof *points));

    find_range(&plot.y, history, count, chart);
    plot.x.low = history[0].epoch - 0.5;
    plot.x.high = fmax(history[count - 1].epoch, history[0].epoch + 1) + 0.5;
    const pd_plot_point used[] = {{(double)weights_epoch, plot.y.low},
                                  {(double)weights_epoch, plot.y.high}};
    marks[mark_count++] = (pd_plot_mark){PD_PLOT_DASHES, PD_PLOT_MUTED, used, COUNT(used)};
    for (size_t s = 0; s < chart->count; s++) {
        pd_plot_point *curve = points + s * (size_t)count;
        for (int i = 0; i < count; i++)
            curve[i] = (pd_plot_point){history[i].epoch,
                                       pd_history_value(&history[i], chart->all[s].offset)};
        pd_plot_mark mark = {PD_PLOT_LINE, chart->all[s].colour, curve, (size_t)count};
        marks[mark_count++] = mark;
        /* With few epochs, dots also show values that no line joins. */
        mark.shape = PD_PLOT_DOTS;
        if (count <= 12)
            marks[mark_count++] = mark;
        entries[s] = (legend){chart->all[s].colour, chart->all[s].text};
    }
    entries[chart->count] = (legend){PD_PLOT_MUTED, "epoch whose weights are used"};
    plot.marks = marks;
    plot.mark_count = mark_count;
    figure_begin(out, chart->title, &plot, entries, chart->count + 1);
    figure_end(out);
cleanup:
    free(points);
    return status;
}

pd_status pd_chart_loss(FILE *out, const pd_history_row *history, int count, int64_t weights_epoch)
{
    static const series all[] = {
        {offsetof(pd_history_row, train_loss), PD_PLOT_FIRST, "train fold"},
        {offsetof(pd_history_row, val_loss), PD_PLOT_SECOND, "validation fold"},
    };
    const series_chart chart = {"Loss", "cross-entropy", all, COUNT(all)};
    return chart_history(out, &chart, history, count, weights_epoch);
}

pd_status pd_chart_validation(FILE *out, const pd_history_row *history, int count,
                              int64_t weights_epoch)
{
    static const series all[] = {
        {offsetof(pd_history_row, val_auc), PD_PLOT_FIRST, "AUC"},
        {offsetof(pd_history_row, val_accuracy), PD_PLOT_SECOND, "accuracy"},
        {offsetof(pd_history_row, val_sensitivity), PD_PLOT_THIRD, "sensitivity"},
        {offsetof(pd_history_row, val_specificity), PD_PLOT_FOURTH, "specificity"},
        {offsetof(pd_history_row, val_stress_auc), PD_PLOT_INK, "AUC of changed images"},
    };
    bool changed = false;
    for (int i = 0; i < count; i++)
        changed = changed || isfinite(history[i].val_stress_auc);
    const series_chart chart = {"Validation fold", "share", all, COUNT(all) - !changed};
    return chart_history(out, &chart, history, count, weights_epoch);
}
