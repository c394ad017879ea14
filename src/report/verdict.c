#include "verdict.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* By family: the images on which a model that misses a target is not to be trusted. */
static const char *const families[PD_CHANGE_FAMILIES] = {
    "framed differently", "exposed differently", "with other sharpness or compression",
    "changed in several ways at once"};

bool pd_verdict_misses_sensitivity(const pd_stress_row *row, pd_targets targets)
{
    return row->metrics.sensitivity.value < targets.sensitivity;
}

bool pd_verdict_misses_specificity(const pd_stress_row *row, pd_targets targets)
{
    return row->metrics.specificity.value < targets.specificity;
}

bool pd_verdict_misses(const pd_stress_row *row, pd_targets targets)
{
    return pd_verdict_misses_sensitivity(row, targets) ||
           pd_verdict_misses_specificity(row, targets);
}

/* Balanced accuracy, or of images of one class the share classified correctly. */
static double balanced(const pd_stress_row *row)
{
    const pd_metrics *m = &row->metrics;
    return isnan(m->sensitivity.value)   ? m->specificity.value
           : isnan(m->specificity.value) ? m->sensitivity.value
                                         : m->balanced_accuracy.value;
}

static double sensitivity_of(const pd_stress_row *row)
{
    return row->metrics.sensitivity.value;
}

static double specificity_of(const pd_stress_row *row)
{
    return row->metrics.specificity.value;
}

/* Of the family's rows with a figure below its target, and below that of the unchanged images, the
 * one with the lowest; NULL: none. */
static const pd_stress_row *worst_of(const pd_stress *stress, pd_change_family family,
                                     double (*figure)(const pd_stress_row *), double target)
{
    const pd_stress_row *worst = NULL;
    double lowest = fmin(target, figure(&stress->rows[0]));
    for (int i = 1; i < PD_STRESS_ROWS; i++) {
        const pd_stress_row *row = &stress->rows[i];
        if (pd_changes[row->change].family != family || !(figure(row) < lowest))
            continue;
        worst = row;
        lowest = figure(row);
    }
    return worst;
}

enum { CLAUSE = 64 };

/* "falls to 50.0 % (target 90 %)"; "is" where it does not fall. */
static void tell_figure(char text[CLAUSE], double value, double clean, double target)
{
    /* More decimals close to the target: 94.96 % must not read as 95.0 % and missed. */
    int decimals = fabs(value - target) < 0.001 ? 3 : 1;
    snprintf(text, CLAUSE, "%s %.*f %% (target %g %%)", value < clean ? "falls to" : "is", decimals,
             100 * value, 100 * target);
}

/* "On images zoomed in by 15 % the specificity falls to 50.0 % (target 90 %)" */
static int tell_row(char *text, size_t size, const pd_stress *stress, const pd_stress_row *row,
                    const char *images, pd_targets targets)
{
    char sensitivity[CLAUSE], specificity[CLAUSE];
    const pd_metrics *m = &row->metrics, *clean = &stress->rows[0].metrics;
    bool sensitive = !pd_verdict_misses_sensitivity(row, targets);
    bool specific = !pd_verdict_misses_specificity(row, targets);
    tell_figure(sensitivity, m->sensitivity.value, clean->sensitivity.value, targets.sensitivity);
    tell_figure(specificity, m->specificity.value, clean->specificity.value, targets.specificity);
    return snprintf(text, size, "On %simages %s %s%s%s%s%s", images, pd_stress_phrase(row),
                    sensitive ? "" : "the sensitivity ", sensitive ? "" : sensitivity,
                    sensitive || specific ? "" : " and ", specific ? "" : "the specificity ",
                    specific ? "" : specificity);
}

static void tell_clean(pd_verdict *out, const pd_stress *stress, const char *images,
                       pd_targets targets)
{
    char *line = out->lines[out->count++];
    int length = tell_row(line, sizeof out->lines[0], stress, &stress->rows[0], images, targets);
    snprintf(line + length, sizeof out->lines[0] - (size_t)length, ", before any change.");
}

static void tell_change(pd_verdict *out, const pd_stress *stress, const pd_stress_row *row,
                        const char *images, pd_targets targets)
{
    char *line = out->lines[out->count++];
    int length = tell_row(line, sizeof out->lines[0], stress, row, images, targets);
    snprintf(line + length, sizeof out->lines[0] - (size_t)length,
             ": do not trust this model on images %s.", families[pd_changes[row->change].family]);
}

static void tell_worst(pd_verdict *out, const pd_stress *stress, const char *images,
                       pd_targets targets)
{
    const pd_stress_row *worst = &stress->rows[stress->worst];
    snprintf(out->lines[out->count++], sizeof out->lines[0],
             "No change of the catalogue reduces the sensitivity below %g %% or the specificity "
             "below %g %% on %simages; the worst are images %s (sensitivity %.1f %%, specificity "
             "%.1f %%).",
             100 * targets.sensitivity, 100 * targets.specificity, images, pd_stress_phrase(worst),
             100 * worst->metrics.sensitivity.value, 100 * worst->metrics.specificity.value);
}

static void tell_unknown(pd_verdict *out, const pd_stress *stress, const char *images)
{
    bool positive = isnan(stress->rows[0].metrics.specificity.value);
    snprintf(out->lines[out->count++], sizeof out->lines[0],
             "The stress test has no verdict on the %s: none of its %simages is %s.",
             positive ? "specificity" : "sensitivity", images,
             positive ? "normal" : "of pneumonia");
}

/* Adds a row, unless it is NULL, to rows[count], which are in the order of balanced accuracy.
 * Returns their number. */
static int insert(const pd_stress_row **rows, int count, const pd_stress_row *row)
{
    if (row == NULL)
        return count;
    int at = count;
    for (; at > 0 && balanced(row) < balanced(rows[at - 1]); at--)
        rows[at] = rows[at - 1];
    rows[at] = row;
    return count + 1;
}

pd_verdict pd_verdict_of(const pd_stress *stress, const char *images, pd_targets targets)
{
    pd_verdict out = {0};
    const pd_stress_row *rows[2 * PD_CHANGE_FAMILIES];
    int count = 0;
    if (!stress->present)
        return out;
    if (pd_verdict_misses(&stress->rows[0], targets))
        tell_clean(&out, stress, images, targets);
    for (int family = 0; family < PD_CHANGE_FAMILIES; family++) {
        const pd_stress_row *insensitive =
            worst_of(stress, (pd_change_family)family, sensitivity_of, targets.sensitivity);
        const pd_stress_row *unspecific =
            worst_of(stress, (pd_change_family)family, specificity_of, targets.specificity);
        count = insert(rows, count, insensitive);
        if (unspecific != insensitive)
            count = insert(rows, count, unspecific);
    }
    for (int i = 0; i < count; i++)
        tell_change(&out, stress, rows[i], images, targets);
    out.missed = out.count > 0;
    bool one_class = isnan(stress->rows[0].metrics.balanced_accuracy.value);
    out.unknown = one_class && !out.missed;
    if (one_class)
        tell_unknown(&out, stress, images);
    else if (!out.missed)
        tell_worst(&out, stress, images, targets);
    return out;
}

static void append(pd_verdict *to, const pd_verdict *from)
{
    for (int i = 0; i < from->count; i++)
        memcpy(to->lines[to->count++], from->lines[i], sizeof to->lines[0]);
}

pd_verdict pd_verdict_of_results(const pd_results *results)
{
    const pd_targets targets = pd_results_targets(results);
    const pd_stress *on_val = &results->val.stress, *on_test = &results->test.stress;
    pd_verdict val = pd_verdict_of(on_val, "validation ", targets);
    pd_verdict test = pd_verdict_of(on_test, on_val->present ? "test " : "", targets);
    if (!on_val->present)
        return test;
    if (!on_test->present)
        return val;
    /* The test fold's verdict, unless only the validation fold's has something to say. */
    bool first = test.missed || (!val.missed && !test.unknown);
    pd_verdict out = first ? test : val;
    if (!first)
        append(&out, &test);
    else if (val.missed)
        append(&out, &val);
    return out;
}

#define OPTIMISTIC                                                                                 \
    " chosen on changed images of this fold, so these figures are optimistic; 'evaluate --fold "   \
    "test --stress' is not affected."

const char *pd_verdict_caveat(const pd_results *results)
{
    bool epoch = results->epoch_on_changed;
    bool threshold =
        results->decision_fold != NULL && strcmp(results->decision_fold, "val changed") == 0;
    if (!results->val.stress.present || results->other_data || (!epoch && !threshold))
        return NULL;
    return !threshold ? "The epoch was" OPTIMISTIC
           : !epoch   ? "The threshold was" OPTIMISTIC
                      : "Epoch and threshold were" OPTIMISTIC;
}
