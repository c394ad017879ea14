/* How far probabilities can be taken at their word, and the temperature that mends them. */
#ifndef PNEUMO_METRICS_CALIBRATION_H
#define PNEUMO_METRICS_CALIBRATION_H

#include "pneumo/base/status.h"
#include "pneumo/metrics/metrics.h"

#include <stddef.h>
#include <stdint.h>

enum { PD_CALIBRATION_BINS = 10 };

/* The errors that pd_band_choose tolerates outside of the stored band: 1 %. */
#define PD_BAND_ERROR 0.01

/* The samples whose probability lies in [low, high), the last bin with its end. */
typedef struct pd_calibration_bin {
    double low, high;
    int64_t count;
    double mean_probability; /* NAN when empty */
    pd_figure positive;      /* share that truly is pneumonia, with its Wilson interval */
} pd_calibration_bin;

typedef struct pd_calibration {
    double brier; /* mean squared difference of probability and truth (Brier 1950) */
    double ece;   /* expected calibration error over the bins, weighted by count (Guo et al.,
                     arXiv:1706.04599, for the probability of the positive class) */
    pd_calibration_bin bins[PD_CALIBRATION_BINS]; /* of equal width */
} pd_calibration;

/* Of scores[count].probability, which must lie in 0..1; other errors as pd_ranking_check. No
 * samples: all NAN but the bounds of the bins and their counts. */
pd_status pd_calibration_compute(pd_calibration *out, const pd_score *scores, size_t count);

/* The temperature T in [1/20, 20] that minimises the mean cross-entropy of 1 / (1 + exp(-logit /
 * T)) (Guo et al., arXiv:1706.04599). Logits that decide every sample rightly would be best at T =
 * 0: such samples cannot tell how sure the network may be, and T is 1. So it is when all logits are
 * 0. Fails when a logit is not finite, a label is not 0 or 1 or a class is missing. */
pd_status pd_temperature_fit(double *out, const double *logits, const int32_t *positive,
                             size_t count);

/* The band [*low, *high] of probabilities around `threshold` in which the model is unsure; both
 * ends belong to it. It is the narrowest for which, of the samples on either side outside of it, no
 * more than `error` (such as 0.01) of those called NORMAL are pneumonia and no more than `error` of
 * those called PNEUMONIA are normal; each bound is chosen by itself and is the threshold or the
 * probability of a sample. *low = *high = threshold when nothing need be referred. A side on which
 * no bound leaves samples outside and reaches that is referred whole: 0 or 1. Errors as
 * pd_ranking_check, and a threshold or error that is not a number or an error outside 0..1. */
pd_status pd_band_choose(double *low, double *high, const pd_score *scores, size_t count,
                         double threshold, double error);

#endif
