/* What a reader of an evaluation must know. */
#ifndef PNEUMO_REPORT_WARNINGS_H
#define PNEUMO_REPORT_WARNINGS_H

#include "pneumo/evaluate/results.h"
#include "verdict.h"

/* What a reader of the figures must know, a line each. At most one per decision of each fold (two
 * thresholds and the three-class answer), one on the shapes of each, one on what calibration has
 * seen of each, five on the data and the threshold, and those of a stress test that misses a
 * target, which are the last. */
typedef struct pd_warnings {
    int count;
    int stress; /* how many are the stress test's */
    char lines[15 + PD_VERDICT_LINES][256];
} pd_warnings;

pd_warnings pd_warnings_of(const pd_results *results);

#endif
