/* Calibration of probabilities, and the temperature that corrects them. */
#ifndef PNEUMO_METRICS_CALIBRATION_H
#define PNEUMO_METRICS_CALIBRATION_H

#include "pneumo/base/status.h"
#include "pneumo/metrics/metrics.h"

#include <stddef.h>
#include <stdint.h>

enum { PD_CALIBRATION_BINS = 10 };

/* The share of errors that is tolerated outside of the stored band of doubt: 1 %. */
enum { PD_BAND_PERCENT = 1 };
#define PD_BAND_ERROR (PD_BAND_PERCENT / 100.0)

/* The samples whose probability lies in [low, high), the last bin with its end. */
typedef struct pd_calibration_bin {
    double low, high;
    int64_t count;
    double mean_probability; /* NAN when empty */
    pd_figure positive;      /* share that is pneumonia, with its Wilson interval */
} pd_calibration_bin;

typedef struct pd_calibration {
    double brier; /* mean squared difference between probability and truth (Brier 1950) */
    double ece;   /* expected calibration error over the bins, weighted by count (Guo et al.,
                     arXiv:1706.04599, for the probability of the positive class) */
    pd_calibration_bin bins[PD_CALIBRATION_BINS]; /* of equal width */
} pd_calibration;

/* Of scores[count].probability, which must lie in 0..1; other errors as pd_ranking_check. No
 * samples: all NAN but the bounds of the bins and their counts. */
pd_status pd_calibration_compute(pd_calibration *out, const pd_score *scores, size_t count);

/* The temperature T in [1/20, 20] that minimises the mean cross-entropy of 1 / (1 + exp(-logit /
 * T)) (Guo et al., arXiv:1706.04599). Where the sign of every logit is correct, the minimum is at T
 * = 0 and says nothing about confidence: T is then 1, as when all logits are 0. Fails when a logit
 * is not finite, a label is not 0 or 1 or a class is missing. */
pd_status pd_temperature_fit(double *out, const double *logits, const int32_t *positive,
                             size_t count);

/* The band of doubt [*low, *high] around `threshold`, both ends included. It is the narrowest band
 * for which at most a share `error` (such as 0.01) of the samples below it are pneumonia and at
 * most that share of the samples above it are normal. Each bound is chosen on its own and is the
 * threshold or the probability of a sample. *low = *high = threshold when both sides have samples
 * and none of them needs to be referred. A side without samples, about which nothing is known, and
 * one on which no bound meets the condition are referred whole: the bound is 0 or 1, or the
 * threshold if that lies beyond.
 * Errors as pd_ranking_check, and a threshold or error that is NaN, or an error outside 0..1. */
pd_status pd_band_choose(double *low, double *high, const pd_score *scores, size_t count,
                         double threshold, double error);

#endif
