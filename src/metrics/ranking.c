#include "ranking.h"

#include "pneumo/base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int compare_probabilities(const void *a, const void *b)
{
    double left = ((const pd_score *)a)->probability, right = ((const pd_score *)b)->probability;
    return (left > right) - (left < right);
}

pd_status pd_ranking_check(size_t *positives, const pd_score *scores, size_t count)
{
    *positives = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(scores[i].probability))
            return pd_fail("the score of sample %" PRId64
                           " is %g, not a probability; the network's "
                           "weights are probably not finite",
                           scores[i].id, scores[i].probability);
        if (!pd_score_is_finite(&scores[i]))
            return pd_fail("the network's output for sample %" PRId64
                           " is infinite; the network's weights are probably not finite",
                           scores[i].id);
        if (scores[i].positive != 0 && scores[i].positive != 1)
            return pd_fail("sample %" PRId64 " has label %" PRId32 "; labels are 0 (normal) and 1 "
                           "(pneumonia)",
                           scores[i].id, scores[i].positive);
        *positives += (size_t)scores[i].positive;
    }
    return PD_OK;
}

pd_status pd_ranking_sort(pd_score **sorted, size_t *positives, const pd_score *scores,
                          size_t count)
{
    pd_status status = PD_OK;
    *sorted = NULL;
    PD_TRY(pd_ranking_check(positives, scores, count));
    PD_TRY(pd_alloc(sorted, count, sizeof **sorted));
    if (count > 0) {
        memcpy(*sorted, scores, count * sizeof **sorted);
        qsort(*sorted, count, sizeof **sorted, compare_probabilities);
    }
cleanup:
    return status;
}

/* Sun and Xu compute DeLong's components from midranks among all scores and within a class. Their
 * difference is a count, the same for all of a run of equal scores: a positive beats every negative
 * before the run and half of those in it. */
pd_status pd_ranking_placements(pd_placement **out, double *auc, size_t *positives,
                                const pd_score *scores, size_t count)
{
    pd_status status = PD_OK;
    pd_score *sorted = NULL;
    *out = NULL;
    *auc = NAN;
    PD_TRY(pd_ranking_sort(&sorted, positives, scores, count));
    if (*positives == 0 || *positives == count)
        goto cleanup;
    PD_TRY(pd_alloc(out, count, sizeof **out));

    double m = (double)*positives, n = (double)(count - *positives);
    double positives_before = 0, negatives_before = 0, wins_twice = 0;
    for (size_t start = 0, end = 0; start < count; start = end) {
        double level = sorted[start].probability;
        double run_positives = 0, run_negatives = 0;
        for (; end < count && sorted[end].probability == level; end++) {
            run_positives += sorted[end].positive;
            run_negatives += !sorted[end].positive;
        }
        double beaten_twice = 2 * negatives_before + run_negatives;
        double beaters_twice = 2 * (m - positives_before) - run_positives;
        for (size_t i = start; i < end; i++)
            (*out)[i] = (pd_placement){sorted[i].id, sorted[i].positive, sorted[i].patient,
                                       sorted[i].positive ? beaten_twice / (2 * n)
                                                          : beaters_twice / (2 * m)};
        wins_twice += run_positives * beaten_twice;
        positives_before += run_positives;
        negatives_before += run_negatives;
    }
    *auc = wins_twice / (2 * m * n); /* integer numerator and denominator: rounded once */
cleanup:
    free(sorted);
    return status;
}

/* By patient; then so that a rounded sum does not depend on the order of the scores. */
static int compare_patients(const void *a, const void *b)
{
    const pd_placement *left = a, *right = b;
    if (left->patient != right->patient)
        return left->patient < right->patient ? -1 : 1;
    if (left->positive != right->positive)
        return left->positive - right->positive;
    return (left->share > right->share) - (left->share < right->share);
}

/* Sums over patients. */
typedef struct patient_sums {
    double images[2];         /* by class */
    double patients, with[2]; /* with images of a class */
    double squares[2];        /* of a patient's sum of deviations from the mean, by class */
    double products;          /* of the sums of both classes */
} patient_sums;

static patient_sums sum_patients(pd_placement *placements, size_t count, double mean)
{
    patient_sums out = {0};
    qsort(placements, count, sizeof *placements, compare_patients);
    for (size_t start = 0, end = 0; start < count; start = end) {
        double sum[2] = {0};
        bool has[2] = {false};
        for (; end < count && placements[end].patient == placements[start].patient; end++) {
            sum[placements[end].positive] += placements[end].share - mean;
            out.images[placements[end].positive]++;
            has[placements[end].positive] = true;
        }
        out.patients++;
        for (int i = 0; i < 2; i++) {
            out.with[i] += has[i];
            out.squares[i] += sum[i] * sum[i];
        }
        out.products += sum[0] * sum[1];
    }
    return out;
}

double pd_placements_variance(pd_placement *placements, size_t count, double mean,
                              double patients[2])
{
    patient_sums of = sum_patients(placements, count, mean);
    patients[0] = of.with[0];
    patients[1] = of.with[1];
    if (of.with[0] < 2 || of.with[1] < 2)
        return (double)NAN;
    double m = of.images[1], n = of.images[0];
    return of.with[1] / (of.with[1] - 1) * of.squares[1] / (m * m) +
           of.with[0] / (of.with[0] - 1) * of.squares[0] / (n * n) +
           2 * of.patients / (of.patients - 1) * of.products / (m * n);
}
