#include "pneumo/metrics/calibration.h"

#include "ranking.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

pd_status pd_calibration_compute(pd_calibration *out, const pd_score *scores, size_t count)
{
    pd_status status = PD_OK;
    size_t positives;
    int64_t hits[PD_CALIBRATION_BINS] = {0};
    double squares = 0, sums[PD_CALIBRATION_BINS] = {0}; /* of probabilities */
    *out = (pd_calibration){.brier = NAN, .ece = NAN};
    for (int b = 0; b < PD_CALIBRATION_BINS; b++) {
        out->bins[b].low = (double)b / PD_CALIBRATION_BINS;
        out->bins[b].high = (double)(b + 1) / PD_CALIBRATION_BINS;
    }
    PD_TRY(pd_ranking_check(&positives, scores, count));

    for (size_t i = 0; i < count; i++) {
        double p = scores[i].probability;
        if (p < 0 || p > 1) {
            status = pd_fail("the score of sample %" PRId64 " is %g, not a probability: it lies "
                             "outside 0..1",
                             scores[i].id, p);
            goto cleanup;
        }
        int b = PD_CALIBRATION_BINS - 1;
        while (p < out->bins[b].low)
            b--;
        out->bins[b].count++;
        hits[b] += scores[i].positive;
        sums[b] += p;
        squares += (p - scores[i].positive) * (p - scores[i].positive);
    }

    double gaps = 0;
    for (int b = 0; b < PD_CALIBRATION_BINS; b++) {
        pd_calibration_bin *bin = &out->bins[b];
        bin->mean_probability = sums[b] / (double)bin->count;
        bin->positive = pd_wilson(hits[b], bin->count);
        gaps += fabs(sums[b] - (double)hits[b]);
    }
    out->brier = squares / (double)count;
    out->ece = gaps / (double)count;
cleanup:
    return status;
}

/* The derivative of the mean cross-entropy with respect to 1 / T. Each term is computed without
 * cancellation for large logits. */
static double slope(const double *logits, const int32_t *positive, size_t count, double temperature)
{
    double mean = 0;
    for (size_t i = 0; i < count; i++) {
        double scaled = logits[i] / temperature;
        double excess = positive[i] ? -1 / (1 + exp(scaled)) : 1 / (1 + exp(-scaled));
        mean += logits[i] / (double)count * excess;
    }
    return mean;
}

pd_status pd_temperature_fit(double *out, const double *logits, const int32_t *positive,
                             size_t count)
{
    size_t positives = 0;
    bool separated = true;
    *out = NAN;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(logits[i]))
            return pd_fail("cannot fit a temperature: logit %zu is %g; the network's weights "
                           "are probably not finite",
                           i, logits[i]);
        if (positive[i] != 0 && positive[i] != 1)
            return pd_fail("cannot fit a temperature: label %zu is %" PRId32 "; labels are 0 "
                           "(normal) and 1 (pneumonia)",
                           i, positive[i]);
        positives += (size_t)positive[i];
        separated = separated && (positive[i] ? logits[i] > 0 : logits[i] < 0);
    }
    if (positives == 0 || positives == count)
        return pd_fail("cannot fit a temperature: all %zu samples are %s; both classes "
                       "are needed",
                       count, positives == 0 ? "normal" : "pneumonia");
    if (separated) {
        *out = 1;
        return PD_OK;
    }

    /* The cross-entropy is convex in 1 / T, so its slope changes sign once: bisect on a log scale,
     * where the first middle is 1. */
    double low = 1.0 / 20, high = 20;
    for (int i = 0; i < 60; i++) {
        double middle = sqrt(low * high), at = slope(logits, positive, count, middle);
        if (at >= 0)
            low = middle;
        if (at <= 0)
            high = middle;
    }
    *out = sqrt(low * high);
    return PD_OK;
}

/* One bound of the band, for the samples called PNEUMONIA (called = 1) or NORMAL (0): the bound
 * closest to the threshold, coming from the most confident sample, outside of which the error is
 * low enough. */
static double bound_choose(const pd_score *sorted, size_t count, int called, double threshold,
                           double error)
{
    double bound = called ? fmax(1, threshold) : fmin(0, threshold);
    int64_t outside = 0, wrong = 0;
    for (size_t i = 0; i < count; i++) {
        const pd_score *s = &sorted[called ? count - 1 - i : i];
        if (called ? s->probability <= threshold : s->probability >= threshold)
            break;
        outside++;
        wrong += s->positive != called;
        double next = threshold;
        if (i + 1 < count) {
            double following = sorted[called ? count - 2 - i : i + 1].probability;
            next = called ? fmax(following, threshold) : fmin(following, threshold);
        }
        /* Equal scores stay together. */
        if (next != s->probability && (double)wrong / (double)outside <= error)
            bound = next;
    }
    return bound;
}

pd_status pd_band_choose(double *low, double *high, const pd_score *scores, size_t count,
                         double threshold, double error)
{
    pd_status status = PD_OK;
    pd_score *sorted = NULL;
    size_t positives;
    *low = *high = NAN;
    if (isnan(threshold))
        return pd_fail("the decision threshold is NaN");
    if (!(error >= 0 && error <= 1))
        return pd_fail("the error %g allowed outside the band of doubt is not between 0 and 1",
                       error);
    PD_TRY(pd_ranking_sort(&sorted, &positives, scores, count));
    *low = bound_choose(sorted, count, 0, threshold, error);
    *high = bound_choose(sorted, count, 1, threshold, error);
cleanup:
    free(sorted);
    return status;
}
