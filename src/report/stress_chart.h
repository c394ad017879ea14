/* The stress test as a dot plot. */
#ifndef PNEUMO_REPORT_STRESS_CHART_H
#define PNEUMO_REPORT_STRESS_CHART_H

#include "verdict.h"

#include <stdio.h>

/* Writes a <figure>: a row per change, grouped by family, the unchanged images first, with
 * sensitivity and specificity, their 95 % intervals, and the AUC at the right; a vertical line at
 * each target. Rows that miss a target are shaded, and the worst is marked. Undefined figures are
 * left out. Colours are the page's, as in plot.h; the marks also differ in shape. */
void pd_stress_chart_write(FILE *out, const pd_stress *stress, pd_targets targets);

#endif
