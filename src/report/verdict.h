/* What the stress test says in words. */
#ifndef PNEUMO_REPORT_VERDICT_H
#define PNEUMO_REPORT_VERDICT_H

#include "pneumo/evaluate/results.h"

#include <stdbool.h>

/* Whether a row's figure is below its target. A figure that is not defined is not. */
bool pd_verdict_misses_sensitivity(const pd_stress_row *row, pd_targets targets);
bool pd_verdict_misses_specificity(const pd_stress_row *row, pd_targets targets);
bool pd_verdict_misses(const pd_stress_row *row, pd_targets targets);

enum { PD_VERDICT_LINES = PD_CHANGE_FAMILIES + 1 };

typedef struct pd_verdict {
    bool missed; /* a target is missed by the images as they are or under a change */
    int count;   /* of lines; 0: there was no stress test */
    char lines[PD_VERDICT_LINES][256];
} pd_verdict;

/* If a target is missed, a line on the images as they are where they miss one, then a line for each
 * family of changes that lowers a figure to below its target: the row of the lowest balanced
 * accuracy among those that do, its figures below their targets, and on which images the model is
 * not to be trusted. The families are in the order of those balanced accuracies. Else one line that
 * names the worst row of all.
 *
 * `images` stands before the word "images": "validation ", or "". */
pd_verdict pd_verdict_of(const pd_stress *stress, const char *images, pd_targets targets);

/* What the stress test says: that of the test fold if it was run, else that of the validation fold,
 * which the lines then say. */
pd_verdict pd_verdict_of_results(const pd_results *results);

#endif
