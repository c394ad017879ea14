#include "pneumo/metrics/difference.h"

#include "pneumo/base/memory.h"
#include "ranking.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
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
 * placements, so its variance follows from theirs without the covariances of DeLong's paper. */
pd_status pd_difference_auc(pd_difference *out, const pd_score *a, const pd_score *b, size_t count)
{
    pd_status status = PD_OK;
    pd_score *sorted_a = NULL, *sorted_b = NULL;
    pd_placement *placements_a = NULL, *placements_b = NULL;
    size_t positives;
    double auc_a, auc_b, patients[2];
    *out = undefined;
    PD_TRY(pair(&sorted_a, &sorted_b, a, b, count));
    PD_TRY(pd_ranking_placements(&placements_a, &auc_a, &positives, a, count));
    PD_TRY(pd_ranking_placements(&placements_b, &auc_b, &positives, b, count));
    if (placements_a == NULL)
        goto cleanup;

    qsort(placements_a, count, sizeof *placements_a, compare_placement_ids);
    qsort(placements_b, count, sizeof *placements_b, compare_placement_ids);
    double value = auc_a - auc_b;
    for (size_t i = 0; i < count; i++)
        placements_a[i].share -= placements_b[i].share;
    double variance = pd_placements_variance(placements_a, count, value, patients);
    if (variance > DBL_EPSILON * DBL_EPSILON) { /* more than rounding */
        double error = sqrt(variance);
        *out =
            (pd_difference){value, fmax(-1, value - PD_Z95 * error),
                            fmin(1, value + PD_Z95 * error), erfc(fabs(value) / error * M_SQRT1_2)};
    } else {
        pd_figure of_a, of_b;
        PD_TRY(pd_auc_patients(&of_a, a, count));
        PD_TRY(pd_auc_patients(&of_b, b, count));
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

/* By how many images more the first model is right. */
typedef struct lead {
    int32_t patient;
    int64_t images, value;
} lead;

static int compare_leads(const void *a, const void *b)
{
    int32_t left = ((const lead *)a)->patient, right = ((const lead *)b)->patient;
    return (left > right) - (left < right);
}

/* Stores at *out (free()) the lead of each patient. */
static pd_status list_leads(lead **out, size_t *out_count, const pd_score *a, double threshold_a,
                            const pd_score *b, double threshold_b, size_t count)
{
    size_t used = 0;
    pd_status status = pd_alloc(out, count, sizeof **out);
    *out_count = 0;
    if (status != PD_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        bool right_a = (a[i].probability >= threshold_a) == a[i].positive;
        bool right_b = (b[i].probability >= threshold_b) == b[i].positive;
        (*out)[i] = (lead){a[i].patient, 1, right_a - right_b};
    }
    qsort(*out, count, sizeof **out, compare_leads);
    for (size_t i = 1; i < count; i++) {
        if ((*out)[i].patient == (*out)[used].patient) {
            (*out)[used].images++;
            (*out)[used].value += (*out)[i].value;
        } else {
            (*out)[++used] = (*out)[i];
        }
    }
    *out_count = used + 1;
    return PD_OK;
}

/* The factor by which the variance of the mean lead exceeds that of independent images; at least 1.
 * Without variance, the images of a patient are taken for one. */
static double design_effect(const lead *leads, size_t patients, double count, double discordant,
                            double mean)
{
    double squares = 0, n = (double)patients;
    double own = (discordant - count * mean * mean) * count / (count - 1);
    for (size_t i = 0; i < patients; i++)
        squares += pow((double)leads[i].value - (double)leads[i].images * mean, 2);
    squares *= n / (n - 1);
    return n > 1 && own > 0 ? fmax(1, squares / own) : count / n;
}

/* The most discordant images for which chances are counted out: the time grows with their square.
 */
enum { MOST_COUNTED = 4000 };

/* The chance of so large a sum of leads when each patient's may as well have the other sign. With
 * leads of at most 1 it is McNemar's test. */
static pd_status flip_signs(double *p, const lead *leads, size_t patients)
{
    pd_status status = PD_OK;
    double *chances = NULL, *next = NULL; /* [2 * reach + 1] of sums from -reach */
    int64_t wins = 0, losses = 0, sum = 0, reach = 0;
    double squares = 0;
    for (size_t i = 0; i < patients; i++) {
        wins += leads[i].value > 0;
        losses += leads[i].value < 0;
        sum += leads[i].value;
        reach += llabs(leads[i].value);
        squares += (double)leads[i].value * (double)leads[i].value;
    }
    if (reach == wins + losses) {
        *p = mcnemar(wins < losses ? wins : losses, wins + losses);
        return PD_OK;
    }
    if (reach > MOST_COUNTED) {
        *p = erfc(fabs((double)sum) / sqrt(squares) * M_SQRT1_2);
        return PD_OK;
    }
    size_t size = (size_t)(2 * reach + 1);
    PD_TRY(pd_alloc(&chances, size, sizeof *chances));
    PD_TRY(pd_alloc(&next, size, sizeof *next));
    chances[reach] = 1;
    for (size_t i = 0; i < patients; i++) {
        int64_t step = llabs(leads[i].value);
        if (step == 0)
            continue;
        for (int64_t at = 0; at <= 2 * reach; at++)
            next[at] = ((at >= step ? chances[at - step] : 0) +
                        (at + step <= 2 * reach ? chances[at + step] : 0)) /
                       2;
        memcpy(chances, next, size * sizeof *chances);
    }
    *p = 0;
    for (int64_t at = 0; at <= 2 * reach; at++)
        *p += llabs(at - reach) >= llabs(sum) ? chances[at] : 0;
    *p = fmin(1, *p);
cleanup:
    free(chances);
    free(next);
    return status;
}

/* Sets the interval from cells [a is right][b is right], each divided by the design effect.
 * Newcombe: the distances to Wilson's limits add like vectors at an angle whose cosine is the
 * correlation of the two, which a continuity correction reduces when it is positive. */
static void newcombe(pd_difference *out, const int64_t cells[2][2], double effect)
{
    double both = (double)cells[1][1] / effect, neither = (double)cells[0][0] / effect;
    double only_a = (double)cells[1][0] / effect, only_b = (double)cells[0][1] / effect;
    double n = both + neither + only_a + only_b;
    double right_a = both + only_a, wrong_a = n - right_a;
    double right_b = both + only_b, wrong_b = n - right_b;
    pd_figure of_a = pd_wilson_effective(right_a / n, n);
    pd_figure of_b = pd_wilson_effective(right_b / n, n);
    double together = both * neither - only_a * only_b;
    if (together > 0)
        together = fmax(0, together - n / 2);
    double spread = sqrt(fmax(0, right_a * wrong_a * right_b * wrong_b));
    double correlation = spread > 0 ? together / spread : 0;
    double a_low = of_a.value - of_a.low, a_high = of_a.high - of_a.value;
    double b_low = of_b.value - of_b.low, b_high = of_b.high - of_b.value;
    double below = a_low * a_low - 2 * correlation * a_low * b_high + b_high * b_high;
    double above = a_high * a_high - 2 * correlation * a_high * b_low + b_low * b_low;
    out->low = out->value - sqrt(fmax(0, below));
    out->high = out->value + sqrt(fmax(0, above));
}

pd_status pd_difference_accuracy(pd_difference *out, const pd_score *a, double threshold_a,
                                 const pd_score *b, double threshold_b, size_t count)
{
    pd_status status = PD_OK;
    pd_score *sorted_a = NULL, *sorted_b = NULL;
    lead *leads = NULL;
    size_t patients;
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
    int64_t only_a = cells[1][0], only_b = cells[0][1];
    out->value = (double)(only_a - only_b) / (double)count;
    PD_TRY(list_leads(&leads, &patients, sorted_a, threshold_a, sorted_b, threshold_b, count));
    double effect =
        design_effect(leads, patients, (double)count, (double)(only_a + only_b), out->value);
    newcombe(out, cells, effect);
    PD_TRY(flip_signs(&out->p, leads, patients));
cleanup:
    free(leads);
    free(sorted_a);
    free(sorted_b);
    return status;
}
