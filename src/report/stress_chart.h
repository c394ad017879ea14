/* The stress test as a dot plot: at a glance which change hurts, and how. */
#ifndef PNEUMO_REPORT_STRESS_CHART_H
#define PNEUMO_REPORT_STRESS_CHART_H

#include "verdict.h"

#include <stdio.h>

/* Writes a <figure>: a line per change, grouped by family, the images as they are first; on it
 * sensitivity and specificity with their 95 % intervals, and the AUC at the right; a vertical line
 * at each target. Rows that miss a target are shaded, and the worst is named. What is not defined
 * is left out. The colours are the page's, as in plot.h; the marks differ in shape too. */
void pd_stress_chart_write(FILE *out, const pd_stress *stress, pd_targets targets);

#endif
