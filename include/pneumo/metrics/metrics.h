/* Figures of merit of a binary classifier and their 95 % intervals. Positive is PNEUMONIA. */
#ifndef PNEUMO_METRICS_METRICS_H
#define PNEUMO_METRICS_METRICS_H

#include "pneumo/base/status.h"
#include "pneumo/metrics/scores.h"

#include <stddef.h>
#include <stdint.h>

/* The normal distribution's 97.5 % quantile: two-sided 95 % intervals. */
#define PD_Z95 1.959963984540054

/* A figure with its 95 % interval; all NAN when undefined (no such samples). */
typedef struct pd_figure {
    double value, low, high;
} pd_figure;

/* What a model is asked to reach. */
typedef struct pd_targets {
    double sensitivity, specificity; /* 0..1 */
} pd_targets;

typedef struct pd_confusion {
    int64_t true_positive, false_negative, true_negative, false_positive;
} pd_confusion;

typedef struct pd_metrics {
    double threshold; /* positive when probability >= threshold */
    pd_confusion confusion;
    pd_figure accuracy, balanced_accuracy, sensitivity, specificity, precision, f1, auc;
} pd_metrics;

/* Sorts by id and checks that each id in expected[count] (ascending) occurs exactly once: a
 * missing, repeated or unexpected score is an error that names the id. */
pd_status pd_scores_check(pd_score *scores, size_t count, const int64_t *expected,
                          size_t expected_count);

/* Wilson score interval (JASA 1927) of `successes` of `trials`; all NAN when trials is 0. */
pd_figure pd_wilson(int64_t successes, int64_t trials);

/* The same of a share `p` of `n` > 0 trials, which may be no whole number, such as an effective
 * sample size. */
pd_figure pd_wilson_effective(double p, double n);

/* The least number of trials at which the Wilson interval of a proportion `rate` (0..1) is narrower
 * than 2 * half_width (above 0); NAN gives 0. */
int64_t pd_wilson_trials(double rate, double half_width);

/* Area under the ROC curve with ties counted half, and DeLong's interval (DeLong, DeLong,
 * Clarke-Pearson, Biometrics 1988; fast form of Sun and Xu, IEEE SPL 2014), clipped to [0, 1].
 *
 * DeLong's variance is 0 when the classes are fully separated or all scores are equal, and
 * undefined for a class of one sample. An interval of width 0 would claim certainty, so the
 * interval is then Newcombe's score interval (method 5, Statistics in Medicine 2006), which depends
 * on the area and the class sizes only: an area of 1 from 50 + 50 samples gets [0.960, 1].
 *
 * All NAN when a class is missing. Here and below, a score that is not finite or a label other than
 * 0 and 1 is an error that names the sample. */
pd_status pd_auc(pd_figure *out, const pd_score *scores, size_t count);

/* The same area with an interval for scores that are independent only between patients, such as
 * those of several images of a patient or of changed versions of an image: Obuchowski, Biometrics
 * 53, 567-578, 1997. Where the variance is 0 or a class has one patient, Newcombe's interval is
 * that of as many samples as patients of each class. With one score per patient it is pd_auc. */
pd_status pd_auc_patients(pd_figure *out, const pd_score *scores, size_t count);

/* Adds scores[count] to *counts, each called positive at probability >= threshold. */
void pd_confusion_add(pd_confusion *counts, const pd_score *scores, size_t count, double threshold);

/* Sets the confusion and the figures that follow from it: all but the AUC. Proportions have Wilson
 * intervals. Balanced accuracy has Newcombe's hybrid score interval (method 10, Statistics in
 * Medicine 1998), F1 the "Wilson indirect" one of Lam, Gopal and Qian (arXiv:2309.14621). Figures
 * without samples are NAN. */
void pd_metrics_from_confusion(pd_metrics *out, pd_confusion confusion);

/* All figures at one threshold: pd_auc and pd_metrics_from_confusion. */
pd_status pd_metrics_compute(pd_metrics *out, const pd_score *scores, size_t count,
                             double threshold);

/* The figures by number, for tables: 0 <= i < PD_FIGURES, in the order of pd_metrics. */
enum { PD_FIGURES = 7 };
extern const char *const pd_figure_names[PD_FIGURES]; /* accuracy, balanced_accuracy, ... */
pd_figure pd_metrics_figure(const pd_metrics *metrics, int i);
pd_figure *pd_metrics_figure_at(pd_metrics *metrics, int i);

/* A line such as "predicts NORMAL for every image: recall 0", or NULL if both classes are
 * predicted. */
const char *pd_metrics_one_class(const pd_metrics *metrics);

#endif
