/* Whether a model's predictions depend on the shape and size of images before they were squared. */
#ifndef PNEUMO_METRICS_SHAPE_H
#define PNEUMO_METRICS_SHAPE_H

#include "pneumo/data/shape.h"
#include "pneumo/metrics/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PD_SHAPE_THIRDS = 3 };

/* A third of the images of a class: those with the lowest, middle or highest values of a measure.
 */
typedef struct pd_shape_third {
    double low, high; /* its least and greatest value; NAN when empty */
    int64_t count;
    pd_figure right; /* share classified correctly: specificity of normal images, sensitivity of
                        pneumonias, with its Wilson interval; all NAN when empty */
} pd_shape_third;

typedef struct pd_shape_class {
    pd_shape_third thirds[PD_SHAPE_THIRDS]; /* lowest, middle, highest */
    double p; /* of so large a difference between thirds of equal accuracy; adjusted by Holm for all
                 tests of the fold; NAN with fewer than two thirds */
    pd_figure correlation; /* Spearman's, of the probability (or its log-odds: the ranks are the
                              same) with the measure; all NAN when either is constant */
} pd_shape_class;

typedef struct pd_shape_figures {
    bool known;                        /* false: the measure is the same for all images */
    pd_shape_class classes[PD_LABELS]; /* by pd_label */
    pd_figure auc_high_normal;         /* AUC of the normal images of their highest third against
                                          the pneumonias of their lowest */
    pd_figure auc_low_normal;          /* of the normal images of their lowest third against the
                                          pneumonias of their highest */
} pd_shape_figures;

typedef struct pd_shape_report {
    bool known; /* false: the height and width of an image are unknown, or those of all images are
                   equal; nothing else is set then */
    pd_shape_figures measures[PD_SHAPE_MEASURES]; /* by pd_shape_measure */
} pd_shape_report;

extern const char *const pd_shape_measure_names[PD_SHAPE_MEASURES]; /* aspect, area */
extern const char *const pd_shape_class_names[PD_LABELS];           /* normal, pneumonia */
extern const char *const pd_shape_third_names[PD_SHAPE_THIRDS];     /* lowest, middle, highest */

/* Judges scores[count] at `threshold` (positive when probability >= threshold); `samples` of the
 * data set, by pd_score.id. Errors as pd_auc.
 *
 * A class is cut at its terciles, the values at ranks ceil(n/3) and ceil(2n/3). Equal values stay
 * together, so with many ties thirds are unequal or empty.
 *
 * The difference between thirds is tested on the table of correct and wrong calls by third: with
 * Pearson's chi-square if every expected count is at least 5 (Cochran, Biometrics 10, 417-451,
 * 1954), else exactly (Freeman and Halton, Biometrika 38, 141-149, 1951). p is adjusted over the
 * tests of all classes and measures (Holm, Scandinavian Journal of Statistics 6, 65-70, 1979).
 *
 * The correlation's 95 % interval is by Fisher's z with the variance (1 + r^2/2) / (n - 3) of
 * Bonett and Wright, Psychometrika 65, 23-28, 2000. |r| is capped at 1 - 6 / (n^3 - n), halfway
 * from 1 to the next value without ties, so that a perfect order of few images has an interval of
 * some width; below four images it is [-1, 1].
 *
 * Images of one patient are treated as independent: where patients have many images, intervals are
 * too narrow and p too small. */
pd_status pd_shape_judge(pd_shape_report *out, const pd_score *scores, size_t count,
                         double threshold, const pd_sample *samples);

/* The smallest correlation that is reported. A sicker child may be imaged differently, so a weak
 * correlation is no evidence of a shortcut. */
#define PD_SHAPE_CORRELATION 0.15

/* Whether the predictions depend on shape or size within a class, where neither indicates disease:
 * thirds differ (p below 0.05), or a correlation's whole interval is beyond PD_SHAPE_CORRELATION on
 * either side. If so, writes a line on the strongest evidence: the lowest such p, else the
 * correlation furthest from 0. */
bool pd_shape_warn(char *line, size_t size, const pd_shape_report *report);

#endif
