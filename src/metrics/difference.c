#include "pneumo/metrics/difference.h"

#include "pneumo/base/memory.h"
#include "pneumo/metrics/ranking.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const pd_difference undefined = {NAN, NAN, NAN, NAN};

static int compare_placement_ids(const void *a, const void *b)
{
    int64_t left = ((const pd_placement *)a)->id, right = ((const pd_placement *)b)->id;
    return (left > right) - (left < right);
}

/* Stores at *out (free()) a copy in ascending order of ids; a repeated id is an error. */
static pd_status sort_by_id(pd_score **out, const pd_score *scores, size_t count)
{
    pd_status status = PD_OK;
    size_t positives;
    *out = NULL;
    PD_TRY(pd_ranking_check(&positives, scores, count));
    PD_TRY(pd_alloc(out, count, sizeof **out));
    if (count == 0)
        goto cleanup;
    memcpy(*out, scores, count * sizeof **out);
    qsort(*out, count, sizeof **out, pd_score_compare_ids);
    for (size_t i = 1; i < count; i++)
        if ((*out)[i].id == (*out)[i - 1].id) {
            status = pd_fail("two models cannot be compared: sample %" PRId64 " has two scores of "
                             "one model",
                             (*out)[i].id);
            goto cleanup;
        }
cleanup:
    return status;
}

/* Sorts both by id and checks that sample i of one is sample i of the other. */
static pd_status pair(pd_score **sorted_a, pd_score **sorted_b, const pd_score *a,
                      const pd_score *b, size_t count)
{
    pd_status status = PD_OK;
    *sorted_b = NULL;
    PD_TRY(sort_by_id(sorted_a, a, count));
    PD_TRY(sort_by_id(sorted_b, b, count));
    for (size_t i = 0; i < count; i++) {
        const pd_score *of_a = &(*sorted_a)[i], *of_b = &(*sorted_b)[i];
        if (of_a->id != of_b->id) {
            status = pd_fail("two models cannot be compared: only one of them has a score of "
                             "sample %" PRId64 "; both must be evaluated on the same images",
                             of_a->id < of_b->id ? of_a->id : of_b->id);
            goto cleanup;
        }
        if (of_a->positive != of_b->positive) {
            status = pd_fail("two models cannot be compared: sample %" PRId64 " is %s for one "
                             "and %s for the other; both must be evaluated on the same images",
                             of_a->id, of_a->positive ? "pneumonia" : "normal",
                             of_b->positive ? "pneumonia" : "normal");
            goto cleanup;
        }
    }
cleanup:
    return status;
}

/* a - b of independent figures. */
static pd_difference subtract(pd_figure a, pd_figure b)
{
    double value = a.value - b.value;
    double below = hypot(a.value - a.low, b.high - b.value);
    double above = hypot(a.high - a.value, b.value - b.low);
    double error = (value > 0 ? below : above) / PD_Z95;
    return (pd_difference){value, value - below, value + above,
                           erfc(fabs(value) / error * M_SQRT1_2)};
}

/* The difference of the areas is the mean, over either class, of the difference of a sample's two
 * placements, so its variance follows from theirs without the covariances of the paper. */
pd_status pd_difference_auc(pd_difference *out, const pd_score *a, const pd_score *b, size_t count)
{
    pd_status status = PD_OK;
    pd_score *sorted_a = NULL, *sorted_b = NULL;
    pd_placement *placements_a = NULL, *placements_b = NULL;
    size_t positives;
    double auc_a, auc_b, squares[2] = {0}; /* of deviations from the difference, by class */
    *out = undefined;
    PD_TRY(pair(&sorted_a, &sorted_b, a, b, count));
    PD_TRY(pd_ranking_placements(&placements_a, &auc_a, &positives, a, count));
    PD_TRY(pd_ranking_placements(&placements_b, &auc_b, &positives, b, count));
    if (placements_a == NULL)
        goto cleanup;

    qsort(placements_a, count, sizeof *placements_a, compare_placement_ids);
    qsort(placements_b, count, sizeof *placements_b, compare_placement_ids);
    double value = auc_a - auc_b;
    for (size_t i = 0; i < count; i++) {
        double lead = placements_a[i].share - placements_b[i].share;
        squares[placements_a[i].positive] += pow(lead - value, 2);
    }
    double m = (double)positives, n = (double)(count - positives);
    double variance = squares[1] / (m - 1) / m + squares[0] / (n - 1) / n;
    if (m > 1 && n > 1 && variance > DBL_EPSILON * DBL_EPSILON) { /* more than rounding */
        double error = sqrt(variance);
        *out =
            (pd_difference){value, fmax(-1, value - PD_Z95 * error),
                            fmin(1, value + PD_Z95 * error), erfc(fabs(value) / error * M_SQRT1_2)};
    } else {
        pd_figure of_a, of_b;
        PD_TRY(pd_auc(&of_a, a, count));
        PD_TRY(pd_auc(&of_b, b, count));
        *out = subtract(of_a, of_b);
    }
cleanup:
    free(sorted_a);
    free(sorted_b);
    free(placements_a);
    free(placements_b);
    return status;
}

/* Twice the chance of at most `fewer` heads in `trials` tosses, at most 1. */
static double mcnemar(int64_t fewer, int64_t trials)
{
    double k = (double)fewer, n = (double)trials;
    double term = exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * M_LN2);
    double sum = 0;
    for (; k >= 0; k--) {
        sum += term;
        term *= k / (n - k + 1);
    }
    return fmin(1, 2 * sum);
}

pd_status pd_difference_accuracy(pd_difference *out, const pd_score *a, double threshold_a,
                                 const pd_score *b, double threshold_b, size_t count)
{
    pd_status status = PD_OK;
    pd_score *sorted_a = NULL, *sorted_b = NULL;
    int64_t cells[2][2] = {0}; /* [a is right][b is right] */
    *out = undefined;
    if (isnan(threshold_a) || isnan(threshold_b))
        return pd_fail("two models cannot be compared: a decision threshold is NaN");
    PD_TRY(pair(&sorted_a, &sorted_b, a, b, count));
    if (count == 0)
        goto cleanup;

    for (size_t i = 0; i < count; i++) {
        int32_t truth = sorted_a[i].positive;
        cells[(sorted_a[i].probability >= threshold_a) == truth]
             [(sorted_b[i].probability >= threshold_b) == truth]++;
    }
    int64_t only_a = cells[1][0], only_b = cells[0][1], n = (int64_t)count;
    pd_figure of_a = pd_wilson(cells[1][1] + only_a, n), of_b = pd_wilson(cells[1][1] + only_b, n);

    /* Newcombe: the distances to Wilson's limits add like vectors at an angle whose cosine is the
     * correlation of the two, which a continuity correction reduces when it is positive. */
    double together = (double)cells[1][1] * (double)cells[0][0] - (double)only_a * (double)only_b;
    if (together > 0)
        together = fmax(0, together - (double)n / 2);
    double right_a = (double)(cells[1][1] + only_a), wrong_a = (double)n - right_a;
    double right_b = (double)(cells[1][1] + only_b), wrong_b = (double)n - right_b;
    double spread = sqrt(right_a * wrong_a * right_b * wrong_b);
    double correlation = spread > 0 ? together / spread : 0;
    double a_low = of_a.value - of_a.low, a_high = of_a.high - of_a.value;
    double b_low = of_b.value - of_b.low, b_high = of_b.high - of_b.value;
    double below = a_low * a_low - 2 * correlation * a_low * b_high + b_high * b_high;
    double above = a_high * a_high - 2 * correlation * a_high * b_low + b_low * b_low;
    out->value = (double)(only_a - only_b) / (double)n;
    out->low = out->value - sqrt(fmax(0, below));
    out->high = out->value + sqrt(fmax(0, above));
    out->p = mcnemar(only_a < only_b ? only_a : only_b, only_a + only_b);
cleanup:
    free(sorted_a);
    free(sorted_b);
    return status;
}
