/* Figures per patient, and intervals that account for several images of one patient. */
#ifndef PNEUMO_METRICS_PATIENTS_H
#define PNEUMO_METRICS_PATIENTS_H

#include "pneumo/metrics/metrics.h"

#include <stddef.h>
#include <stdint.h>

/* One score per patient, in ascending order of pd_score.patient, which becomes its id: the mean of
 * the probabilities of the patient's images, and positive if any of them is. The other fields do
 * not apply: logit, views and loss are NAN, truth and predicted -1. (*out)[*out_count] is
 * released by free(). Errors as pd_ranking_check. */
pd_status pd_patients_merge(pd_score **out, size_t *out_count, const pd_score *scores,
                            size_t count);

enum { PD_BOOTSTRAP_REPLICATES = 2000 };

/* Sets low and high of every figure of *metrics (computed from the same scores by
 * pd_metrics_compute) to the 2.5 and 97.5 percentiles over `replicates` resamplings of patients
 * with replacement (Efron's percentile interval on clusters). A pure function of its arguments; the
 * order of the scores and the number of threads do not matter. Replicates in which a figure is
 * undefined are skipped for that figure; it is NAN if all are.
 *
 * When the percentiles coincide, such as when no image is misclassified, an interval of width 0
 * would claim certainty. The interval is then the one of pd_metrics_compute for one image per
 * patient, or one per patient and class, with the mean probability, widened to contain the figure's
 * value (NAN where that figure is undefined).
 *
 * One sort, then O(count + patients) per replicate. Errors as pd_metrics_compute, and replicates
 * below 1. */
pd_status pd_bootstrap_patients(pd_metrics *metrics, const pd_score *scores, size_t count,
                                int replicates, uint64_t seed);

#endif
