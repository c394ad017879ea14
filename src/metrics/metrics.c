#include "pneumo/metrics/metrics.h"

#include "ranking.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static const double z = PD_Z95;

static const pd_figure undefined = {NAN, NAN, NAN};

pd_status pd_scores_check(pd_score *scores, size_t count, const int64_t *expected,
                          size_t expected_count)
{
    if (count > 0)
        qsort(scores, count, sizeof *scores, pd_score_compare_ids);
    /* Both lists ascend, so the first difference identifies the id at fault. */
    for (size_t i = 0; i < count || i < expected_count; i++) {
        if (i == count || (i < expected_count && scores[i].id > expected[i]))
            return pd_fail("sample %" PRId64 " has no score: there are %zu scores for %zu samples",
                           expected[i], count, expected_count);
        if (i > 0 && scores[i].id == scores[i - 1].id)
            return pd_fail("sample %" PRId64 " was scored twice: there are %zu scores for %zu "
                           "samples",
                           scores[i].id, count, expected_count);
        if (i == expected_count || scores[i].id < expected[i])
            return pd_fail("sample %" PRId64 " was scored but does not belong to the fold: there "
                           "are %zu scores for %zu samples",
                           scores[i].id, count, expected_count);
    }
    return PD_OK;
}

/* Half the width of the Wilson interval of proportion p; decreases with n. */
static double wilson_half(double p, double n)
{
    return z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
}

pd_figure pd_wilson(int64_t successes, int64_t trials)
{
    if (trials <= 0 || successes < 0 || successes > trials)
        return undefined;
    return pd_wilson_effective((double)successes / (double)trials, (double)trials);
}

pd_figure pd_wilson_effective(double p, double n)
{
    double center = (p + z * z / (2 * n)) / (1 + z * z / n);
    double half = wilson_half(p, n);
    /* In exact arithmetic p lies inside; at 0 and 1 rounding could move it outside. */
    return (pd_figure){p, fmax(0, fmin(center - half, p)), fmin(1, fmax(center + half, p))};
}

int64_t pd_wilson_trials(double rate, double half_width)
{
    int64_t few = 0, enough = 1;
    if (!(rate >= 0 && rate <= 1 && half_width > 0))
        return 0;
    while (wilson_half(rate, (double)enough) >= half_width) {
        few = enough;
        enough *= 2;
    }
    while (enough - few > 1) {
        int64_t middle = few + (enough - few) / 2;
        if (wilson_half(rate, (double)middle) < half_width)
            enough = middle;
        else
            few = middle;
    }
    return enough;
}

/* Lower limit of Newcombe's score interval for an AUC of m positives and n negatives (his method
 * 5: Statistics in Medicine 25, 559-573, 2006): the theta below the estimate that is z standard
 * errors away from it, with the error that Hanley and McNeil give for theta. */
static double newcombe_low(double auc, double m, double n)
{
    double others = (m + n) / 2 - 1;
    double low = 0, high = auc;
    for (int i = 0; i < 60; i++) {
        double theta = (low + high) / 2;
        double variance = theta * (1 - theta) / (m * n) *
                          (1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta)));
        if (auc - theta > z * sqrt(variance))
            low = theta;
        else
            high = theta;
    }
    return low;
}

pd_status pd_auc(pd_figure *out, const pd_score *scores, size_t count)
{
    pd_status status = PD_OK;
    pd_placement *placements = NULL;
    size_t positives;
    double auc, squares[2] = {0}; /* of deviations from the area, by class */
    *out = undefined;
    PD_TRY(pd_ranking_placements(&placements, &auc, &positives, scores, count));
    if (placements == NULL)
        goto cleanup;

    for (size_t i = 0; i < count; i++)
        squares[placements[i].positive] += pow(placements[i].share - auc, 2);
    double m = (double)positives, n = (double)(count - positives);
    double variance = squares[1] / (m - 1) / m + squares[0] / (n - 1) / n;
    if (m > 1 && n > 1 && variance > 0) {
        double half = z * sqrt(variance);
        *out = (pd_figure){auc, fmax(0, auc - half), fmin(1, auc + half)};
    } else {
        *out = (pd_figure){auc, newcombe_low(auc, m, n), 1 - newcombe_low(1 - auc, m, n)};
    }
cleanup:
    free(placements);
    return status;
}

pd_status pd_auc_patients(pd_figure *out, const pd_score *scores, size_t count)
{
    pd_status status = PD_OK;
    pd_placement *placements = NULL;
    size_t positives;
    double auc;
    *out = undefined;
    PD_TRY(pd_ranking_placements(&placements, &auc, &positives, scores, count));
    if (placements == NULL)
        goto cleanup;

    double patients[2], variance = pd_placements_variance(placements, count, auc, patients);
    if (variance > DBL_EPSILON * DBL_EPSILON) { /* more than rounding */
        double half = z * sqrt(variance);
        *out = (pd_figure){auc, fmax(0, auc - half), fmin(1, auc + half)};
    } else {
        *out = (pd_figure){auc, newcombe_low(auc, patients[1], patients[0]),
                           1 - newcombe_low(1 - auc, patients[1], patients[0])};
    }
cleanup:
    free(placements);
    return status;
}

/* The mean of two independent proportions. The distances to their Wilson limits add in squares:
 * Newcombe's hybrid score method (method 10: Statistics in Medicine 17, 873-890, 1998) for
 * sensitivity - (1 - specificity), halved; for sums of any figures Zou and Donner, Statistics in
 * Medicine 27, 1693-1702, 2008. */
static pd_figure balanced(pd_figure a, pd_figure b)
{
    double mean = (a.value + b.value) / 2;
    return (pd_figure){mean, mean - hypot(a.value - a.low, b.value - b.low) / 2,
                       mean + hypot(a.high - a.value, b.high - b.value) / 2};
}

/* Of the samples that are positive or called positive, f = TP / (TP + FP + FN) is a plain
 * proportion, and F1 = 2f / (1 + f) rises with it, so that Wilson's limits for f give limits for
 * F1: the "Wilson indirect" interval of Lam, Gopal and Qian, arXiv:2309.14621, 2023. Unlike that of
 * the delta method, its width is not 0 at F1 = 0 and 1. */
static pd_figure f1(const pd_confusion *c)
{
    pd_figure f =
        pd_wilson(c->true_positive, c->true_positive + c->false_positive + c->false_negative);
    return (pd_figure){2 * f.value / (1 + f.value), 2 * f.low / (1 + f.low),
                       2 * f.high / (1 + f.high)};
}

void pd_confusion_add(pd_confusion *counts, const pd_score *scores, size_t count, double threshold)
{
    for (size_t i = 0; i < count; i++) {
        bool called = scores[i].probability >= threshold;
        if (scores[i].positive)
            *(called ? &counts->true_positive : &counts->false_negative) += 1;
        else
            *(called ? &counts->false_positive : &counts->true_negative) += 1;
    }
}

void pd_metrics_from_confusion(pd_metrics *out, pd_confusion c)
{
    out->confusion = c;
    out->accuracy =
        pd_wilson(c.true_positive + c.true_negative,
                  c.true_positive + c.false_negative + c.true_negative + c.false_positive);
    out->sensitivity = pd_wilson(c.true_positive, c.true_positive + c.false_negative);
    out->specificity = pd_wilson(c.true_negative, c.true_negative + c.false_positive);
    out->precision = pd_wilson(c.true_positive, c.true_positive + c.false_positive);
    out->balanced_accuracy = balanced(out->sensitivity, out->specificity);
    out->f1 = f1(&c);
}

pd_status pd_metrics_compute(pd_metrics *out, const pd_score *scores, size_t count,
                             double threshold)
{
    pd_status status = PD_OK;
    *out = (pd_metrics){.threshold = threshold};
    if (isnan(threshold))
        return pd_fail("the decision threshold is NaN");
    PD_TRY(pd_auc(&out->auc, scores, count));

    pd_confusion c = {0};
    pd_confusion_add(&c, scores, count, threshold);
    pd_metrics_from_confusion(out, c);
cleanup:
    return status;
}

const char *pd_metrics_one_class(const pd_metrics *metrics)
{
    const pd_confusion *c = &metrics->confusion;
    int64_t called_positive = c->true_positive + c->false_positive;
    int64_t called_negative = c->false_negative + c->true_negative;
    if (called_positive == 0 && called_negative > 0)
        return c->false_negative > 0 ? "predicts NORMAL for every image: recall 0"
                                     : "predicts NORMAL for every image, and every image is normal";
    if (called_negative == 0 && called_positive > 0)
        return c->false_positive > 0
                   ? "predicts PNEUMONIA for every image: specificity 0"
                   : "predicts PNEUMONIA for every image, and every image is pneumonia";
    return NULL;
}

const char *const pd_figure_names[PD_FIGURES] = {
    "accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "f1", "auc"};

pd_figure *pd_metrics_figure_at(pd_metrics *metrics, int i)
{
    pd_figure *const figures[PD_FIGURES] = {&metrics->accuracy,    &metrics->balanced_accuracy,
                                            &metrics->sensitivity, &metrics->specificity,
                                            &metrics->precision,   &metrics->f1,
                                            &metrics->auc};
    return figures[i];
}

pd_figure pd_metrics_figure(const pd_metrics *metrics, int i)
{
    pd_metrics copy = *metrics;
    return *pd_metrics_figure_at(&copy, i);
}
