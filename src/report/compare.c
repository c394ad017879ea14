#include "pneumo/report/compare.h"

#include "pneumo/base/memory.h"
#include "pneumo/base/text.h"
#include "pneumo/io/file.h"
#include "pneumo/metrics/difference.h"
#include "pneumo/metrics/holm.h"
#include "pneumo/report/score_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PAIRS = PD_COMPARISON_FIRST * (PD_COMPARISON_FIRST - 1) / 2 };

static const double significance = 0.05;

/* ---- order ---- */

/* Whether figure a is better than b; an unknown one is worse than any. */
static bool is_better(pd_column column, double a, double b)
{
    if (isnan(a) || isnan(b))
        return !isnan(a);
    return column == PD_COLUMN_PARAMETERS || column == PD_COLUMN_SECONDS ? a < b : a > b;
}

/* Ties are broken by job and folder, so that the result does not depend on the given order. */
static int compare_runs(const void *a, const void *b, void *column)
{
    const pd_outcome *left = a, *right = b;
    pd_column by = *(pd_column *)column;
    double x = left->columns[by].value, y = right->columns[by].value;
    if (!(isnan(x) && isnan(y)) && x != y)
        return is_better(by, x, y) ? -1 : 1;
    int order = strcmp(left->job, right->job);
    return order != 0 ? order : strcmp(left->folder, right->folder);
}

bool pd_comparison_is_best(const pd_comparison *comparison, int run, pd_column column)
{
    double value = comparison->runs[run].columns[column].value;
    if (comparison->count < 2 || isnan(value))
        return false;
    for (int i = 0; i < comparison->count; i++)
        if (is_better(column, comparison->runs[i].columns[column].value, value))
            return false;
    return true;
}

static pd_status name_run(char **out, const pd_comparison *comparison, int run)
{
    const pd_outcome *own = &comparison->runs[run];
    int namesakes = 0;
    for (int i = 0; i < comparison->count; i++)
        namesakes += strcmp(comparison->runs[i].job, own->job) == 0;
    pd_status status =
        namesakes > 1 ? pd_format(out, "%s (%s)", own->job, own->folder) : pd_strdup(out, own->job);
    if (status == PD_OK)
        pd_text_make_printable(*out);
    return status;
}

/* ---- differences ---- */

typedef struct pair {
    int a, b;
    const char *obstacle; /* why the pair is not compared; NULL: it is */
    bool has_auc;         /* both classes have images */
    pd_difference auc, accuracy;
} pair;

/* The test scores of one of the first runs; NULL without scores.csv. */
typedef struct contender {
    pd_score *scores;
    size_t count;
} contender;

static pd_status read_scores(contender *out, const pd_outcome *run)
{
    pd_status status = PD_OK;
    char *path = NULL;
    pd_confusion c = {0};
    PD_TRY(pd_format(&path, "%s/scores.csv", run->folder));
    if (!pd_file_exists(path))
        goto cleanup;
    PD_TRY(pd_score_file_read(&out->scores, &out->count, path, PD_TEST));
    pd_confusion_add(&c, out->scores, out->count, run->threshold);
    if (memcmp(&c, &run->confusion, sizeof c) != 0)
        status = pd_fail("%s: its scores do not yield the counts of report.json beside it: the "
                         "two are of different evaluations; write both again with 'train --resume'",
                         path);
cleanup:
    free(path);
    return status;
}

static bool same_images(const contender *a, const contender *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (a->scores[i].id != b->scores[i].id)
            return false;
    return true;
}

static pd_status compare_pair(pair *out, const pd_outcome *a, const contender *ours,
                              const pd_outcome *b, const contender *theirs)
{
    pd_status status = PD_OK;
    if (strcmp(a->digest, b->digest) != 0)
        out->obstacle = "they were tested on different data sets";
    else if (ours->scores == NULL || theirs->scores == NULL)
        out->obstacle = "scores.csv is missing; write it again with 'train --resume'";
    else if (ours->count == 0 || !same_images(ours, theirs))
        out->obstacle = "they were not tested on the same images of the data set";
    if (out->obstacle != NULL)
        return PD_OK;
    const pd_confusion *c = &a->confusion;
    out->has_auc =
        c->true_positive + c->false_negative > 0 && c->true_negative + c->false_positive > 0;
    if (out->has_auc)
        PD_TRY(pd_difference_auc(&out->auc, ours->scores, theirs->scores, ours->count));
    PD_TRY(pd_difference_accuracy(&out->accuracy, ours->scores, a->threshold, theirs->scores,
                                  b->threshold, ours->count));
cleanup:
    if (status != PD_OK)
        pd_error_prefix(status, "%s and %s", a->folder, b->folder);
    return status;
}

static void correct(pd_difference *const *differences, int count)
{
    double p[MOST_PAIRS];
    for (int i = 0; i < count; i++)
        p[i] = differences[i]->p;
    pd_holm_adjust(p, count);
    for (int i = 0; i < count; i++)
        differences[i]->p = p[i];
}

/* The pairs of the first runs, with corrected p. */
static pd_status compare_first(pair *pairs, int *pair_count, const pd_comparison *comparison)
{
    pd_status status = PD_OK;
    contender contenders[PD_COMPARISON_FIRST] = {0};
    pd_difference *auc[MOST_PAIRS], *accuracy[MOST_PAIRS];
    int first = comparison->count < PD_COMPARISON_FIRST ? comparison->count : PD_COMPARISON_FIRST;
    int count = 0, auc_count = 0, accuracy_count = 0;
    for (int i = 0; i < first && first > 1; i++)
        PD_TRY(read_scores(&contenders[i], &comparison->runs[i]));
    for (int a = 0; a < first; a++) {
        for (int b = a + 1; b < first; b++) {
            pair *out = &pairs[count++];
            *out = (pair){.a = a, .b = b};
            PD_TRY(compare_pair(out, &comparison->runs[a], &contenders[a], &comparison->runs[b],
                                &contenders[b]));
            if (out->obstacle == NULL && out->has_auc)
                auc[auc_count++] = &out->auc;
            if (out->obstacle == NULL)
                accuracy[accuracy_count++] = &out->accuracy;
        }
    }
    correct(auc, auc_count);
    correct(accuracy, accuracy_count);
cleanup:
    *pair_count = count;
    for (int i = 0; i < PD_COMPARISON_FIRST; i++)
        free(contenders[i].scores);
    return status;
}

/* ---- sentences ---- */

/* Replaces values that would print as -0 by 0. */
static double no_minus_zero(double value, int digits)
{
    return fabs(value) < 0.5 * pow(10, -digits) ? 0 : value;
}

/* "differs by 0.0004 (-0.0006 to 0.0014), p = 0.43: no more than noise" */
static pd_status describe(char **out, const pd_difference *d, double factor, int digits,
                          const char *unit)
{
    char p[32];
    if (d->p < 0.001)
        snprintf(p, sizeof p, "p < 0.001");
    else
        snprintf(p, sizeof p, "p = %.3g", d->p);
    return pd_format(out, "differs by %.*f%s (%.*f to %.*f), %s: %s", digits,
                     no_minus_zero(factor * d->value, digits), unit, digits,
                     no_minus_zero(factor * d->low, digits), digits,
                     no_minus_zero(factor * d->high, digits), p,
                     d->p < significance ? "more than noise" : "no more than noise");
}

static char **next_line(pd_comparison *comparison)
{
    return &comparison->lines[comparison->line_count++];
}

static pd_status describe_pair(pd_comparison *comparison, const pair *of)
{
    pd_status status = PD_OK;
    const char *a = comparison->names[of->a], *b = comparison->names[of->b];
    char *auc = NULL, *accuracy = NULL;
    if (of->obstacle != NULL)
        return pd_format(next_line(comparison), "%s and %s: not compared: %s", a, b, of->obstacle);
    if (of->has_auc)
        PD_TRY(describe(&auc, &of->auc, 1, 4, ""));
    else
        PD_TRY(pd_strdup(&auc, "is not defined, as all images are of one class"));
    PD_TRY(describe(&accuracy, &of->accuracy, 100, 1, " points"));
    PD_TRY(pd_format(next_line(comparison), "%s and %s: AUC %s; accuracy %s", a, b, auc, accuracy));
cleanup:
    free(auc);
    free(accuracy);
    return status;
}

static pd_status tell(pd_comparison *comparison, const pair *pairs, int count)
{
    pd_status status = PD_OK;
    int compared = 0;
    bool mixed = false;
    for (int i = 1; i < comparison->count; i++)
        mixed = mixed || strcmp(comparison->runs[i].digest, comparison->runs[0].digest) != 0;
    if (mixed)
        PD_TRY(pd_strdup(next_line(comparison),
                         "The runs were not all tested on the same data set: "
                         "figures of different data sets cannot be compared."));
    for (int i = 0; i < count; i++) {
        PD_TRY(describe_pair(comparison, &pairs[i]));
        compared += pairs[i].obstacle == NULL;
    }
    if (compared > 0)
        PD_TRY(pd_format(next_line(comparison),
                         "Differences are first minus second on the same test images, "
                         "with 95 %% intervals; p by DeLong for AUC and by McNemar for accuracy, "
                         "both by patient where patients are known, each with Holm's correction "
                         "over %d pair%s; more than noise: p < %g.",
                         compared, pd_text_plural(compared), significance));
    if (comparison->count > 1)
        PD_TRY(pd_strdup(next_line(comparison),
                         "The best of many on one test fold looks better than it "
                         "is: choose a model by its validation fold."));
cleanup:
    return status;
}

pd_status pd_compare(pd_comparison **out, const char *const *folders, int count, pd_column sort)
{
    pd_status status = PD_OK;
    pd_comparison *comparison = NULL;
    pair pairs[MOST_PAIRS];
    int pair_count = 0;
    *out = NULL;
    PD_TRY(pd_alloc(&comparison, 1, sizeof *comparison));
    PD_TRY(pd_alloc(&comparison->runs, (size_t)count, sizeof *comparison->runs));
    PD_TRY(pd_alloc(&comparison->names, (size_t)count, sizeof *comparison->names));
    for (; comparison->count < count; comparison->count++)
        PD_TRY(pd_outcome_read(&comparison->runs[comparison->count], folders[comparison->count]));
    qsort_r(comparison->runs, (size_t)count, sizeof *comparison->runs, compare_runs, &sort);
    for (int i = 0; i < count; i++)
        PD_TRY(name_run(&comparison->names[i], comparison, i));
    PD_TRY(compare_first(pairs, &pair_count, comparison));
    PD_TRY(tell(comparison, pairs, pair_count));
    *out = comparison;
    comparison = NULL;
cleanup:
    pd_comparison_destroy(&comparison);
    return status;
}

void pd_comparison_destroy(pd_comparison **comparison)
{
    pd_comparison *old = *comparison;
    if (old == NULL)
        return;
    for (int i = 0; i < old->count; i++)
        free(old->names[i]);
    for (int i = 0; i < old->line_count; i++)
        free(old->lines[i]);
    free(old->names);
    free(old->runs);
    free(old);
    *comparison = NULL;
}
