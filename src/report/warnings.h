/* Warnings about the results of an evaluation. */
#ifndef PNEUMO_REPORT_WARNINGS_H
#define PNEUMO_REPORT_WARNINGS_H

#include "pneumo/evaluate/results.h"
#include "verdict.h"

/* One line each. For each fold at most one per decision (two thresholds and the three classes), one
 * on the shape of images and one on images used for calibration; six on the data and the
 * threshold; last the lines of the stress tests that miss a target. */
typedef struct pd_warnings {
    int count;
    int stress; /* how many are the stress test's */
    char lines[16 + PD_VERDICT_LINES][256];
} pd_warnings;

pd_warnings pd_warnings_of(const pd_results *results);

#endif
