#include "pneumo/metrics/threshold.h"

#include "beta.h"
#include "pneumo/base/memory.h"
#include "ranking.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* A threshold between the two: halfway, or `above` itself when they are neighbouring doubles. */
static double halfway(double below, double above)
{
    double middle = below / 2 + above / 2; /* the sum itself could overflow */
    return middle > below && middle <= above ? middle : above;
}

/* The threshold that calls sorted[first] and all after it positive. */
static double threshold_at(const pd_score *sorted, size_t count, size_t first)
{
    if (first == 0)
        return sorted[0].probability;
    if (first == count)
        return nextafter(sorted[count - 1].probability, INFINITY);
    return halfway(sorted[first - 1].probability, sorted[first].probability);
}

/* Fails when a class is missing; otherwise *sorted is released with free(). */
static pd_status sort_both_classes(pd_score **sorted, size_t *positives, const pd_score *scores,
                                   size_t count)
{
    pd_status status = pd_ranking_sort(sorted, positives, scores, count);
    if (status == PD_OK && (*positives == 0 || *positives == count)) {
        status = pd_fail("cannot choose a threshold: all %zu samples of the fold are %s; both "
                         "classes are needed",
                         count, *positives == 0 ? "normal" : "pneumonia");
        free(*sorted);
        *sorted = NULL;
    }
    return status;
}

pd_status pd_threshold_choose(double *out, const pd_score *scores, size_t count, double target)
{
    pd_status status = PD_OK;
    pd_score *sorted = NULL;
    size_t positives = 0;
    *out = NAN;
    if (!(target >= 0 && target <= 1))
        return pd_fail("target sensitivity %g is not between 0 and 1", target);
    PD_TRY(sort_both_classes(&sorted, &positives, scores, count));

    /* Lowering the threshold raises sensitivity and lowers specificity, so the highest one that
     * reaches the target is the answer. sorted[first] and all after it are called positive; equal
     * scores stay together. The comparison uses the same division as the reported sensitivity, so
     * both round alike. */
    size_t first = count;
    int64_t found = 0;
    while ((double)found / (double)positives < target) {
        double level = sorted[first - 1].probability;
        for (; first > 0 && sorted[first - 1].probability == level; first--)
            found += sorted[first - 1].positive;
    }
    /* Including further scores costs no specificity as long as all are pneumonias. */
    for (size_t next = first; next > 0;) {
        double level = sorted[next - 1].probability;
        bool pure = true;
        for (; next > 0 && sorted[next - 1].probability == level; next--)
            pure = pure && sorted[next - 1].positive;
        if (!pure)
            break;
        first = next;
    }
    *out = threshold_at(sorted, count, first);
cleanup:
    free(sorted);
    return status;
}

/* The targets, and the scores per image. */
typedef struct request {
    double sensitivity, specificity, copies;
} request;

/* A threshold that calls the scores from number `first` on positive. */
typedef struct candidate {
    size_t first;
    double log_odds, log_probability; /* that both targets hold */
} candidate;

/* log(exp(a) + exp(b)) */
static double log_sum(double a, double b)
{
    double high = fmax(a, b), low = fmin(a, b);
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}

/* The tails at `target` of the posterior after that many correct and wrong calls. */
static pd_beta_tails posterior(double right, double wrong, double target, double copies)
{
    return pd_beta_log_tails(right / copies + 1, wrong / copies + 1, target);
}

/* Both targets hold with probability p q, and at least one is missed with (1 - p) + p (1 - q). */
static candidate weigh(size_t first, pd_beta_tails p, pd_beta_tails q)
{
    double holds = p.log_above + q.log_above;
    double fails = log_sum(p.log_below, p.log_above + q.log_below);
    return (candidate){first, holds - fails, holds};
}

/* Fills candidates[count + 1], from the highest threshold to the lowest, and returns their number.
 */
static size_t list_candidates(candidate *candidates, const pd_score *sorted, size_t count,
                              size_t positives, const request *asked)
{
    size_t used = 0, first = count, found = 0, negatives = count - positives;
    pd_beta_tails sensitivity = posterior(0, (double)positives, asked->sensitivity, asked->copies);
    pd_beta_tails specificity = posterior((double)negatives, 0, asked->specificity, asked->copies);
    candidates[used++] = weigh(first, sensitivity, specificity);
    while (first > 0) {
        size_t found_before = found, before = first;
        double level = sorted[first - 1].probability;
        for (; first > 0 && sorted[first - 1].probability == level; first--)
            found += (size_t)sorted[first - 1].positive;
        size_t alarms = count - first - found;
        /* A posterior is expensive, and usually only one of the two counts changes. */
        if (found > found_before)
            sensitivity = posterior((double)found, (double)(positives - found), asked->sensitivity,
                                    asked->copies);
        if (found - found_before < before - first)
            specificity = posterior((double)(negatives - alarms), (double)alarms,
                                    asked->specificity, asked->copies);
        candidates[used++] = weigh(first, sensitivity, specificity);
    }
    return used;
}

/* The middle of the last run of candidates with the highest log-odds. */
static const candidate *best_candidate(const candidate *candidates, size_t count)
{
    size_t begin = 0, end = 0; /* of the run */
    for (size_t i = 1; i < count; i++) {
        if (candidates[i].log_odds < candidates[begin].log_odds)
            continue;
        bool continues = candidates[i].log_odds == candidates[begin].log_odds && end == i - 1;
        end = i;
        if (!continues)
            begin = i;
    }
    return &candidates[begin + (end - begin) / 2];
}

pd_status pd_threshold_both(double *out, double *probability, const pd_score *scores, size_t count,
                            double sensitivity, double specificity, double copies)
{
    pd_status status = PD_OK;
    pd_score *sorted = NULL;
    candidate *candidates = NULL;
    size_t positives = 0;
    const request asked = {sensitivity, specificity, copies};
    *out = *probability = NAN;
    if (!(sensitivity > 0 && sensitivity < 1 && specificity > 0 && specificity < 1))
        return pd_fail("target sensitivity %g and specificity %g: both must be above 0 and "
                       "below 1",
                       sensitivity, specificity);
    if (!(copies >= 1 && isfinite(copies)))
        return pd_fail("%g scores per image: the number must be finite and at least 1", copies);
    PD_TRY(sort_both_classes(&sorted, &positives, scores, count));
    PD_TRY(pd_alloc(&candidates, count + 1, sizeof *candidates));
    size_t used = list_candidates(candidates, sorted, count, positives, &asked);
    const candidate *best = best_candidate(candidates, used);
    *out = threshold_at(sorted, count, best->first);
    *probability = exp(best->log_probability);
cleanup:
    free(sorted);
    free(candidates);
    return status;
}
