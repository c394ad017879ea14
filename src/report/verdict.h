/* The verdict of the stress test, in sentences. */
#ifndef PNEUMO_REPORT_VERDICT_H
#define PNEUMO_REPORT_VERDICT_H

#include "pneumo/evaluate/results.h"

#include <stdbool.h>

/* Whether a row's figure is below its target; false for an undefined figure. */
bool pd_verdict_misses_sensitivity(const pd_stress_row *row, pd_targets targets);
bool pd_verdict_misses_specificity(const pd_stress_row *row, pd_targets targets);
bool pd_verdict_misses(const pd_stress_row *row, pd_targets targets);

/* Of a fold: one on the unchanged images, two per family, one on a class without images. */
enum { PD_VERDICT_FOLD_LINES = 2 * PD_CHANGE_FAMILIES + 2 };
enum { PD_VERDICT_LINES = 2 * PD_VERDICT_FOLD_LINES };

typedef struct pd_verdict {
    bool missed;  /* a target is missed by the images as they are or under a change */
    bool unknown; /* none is missed, but one cannot be judged: there are no images of a class */
    int count;    /* of lines; 0: there was no stress test */
    char lines[PD_VERDICT_LINES][256];
} pd_verdict;

/* If a target is missed: a line on the unchanged images if they miss one, then for each family of
 * changes that lowers sensitivity or specificity below its target a line on the row with the lowest
 * one: its figures below their targets, and the images on which the model is not to be trusted. One
 * line if both are lowest in one row. They are in the order of balanced accuracy, lowest first.
 * Otherwise one line on the worst row of all. If all images are of one class, the figure of that
 * class is judged, and the last line says that the other one is unknown.
 *
 * `images` precedes the word "images": "validation ", or "". */
pd_verdict pd_verdict_of(const pd_stress *stress, const char *images, pd_targets targets);

/* The verdict on the test fold if it was stress-tested, otherwise that on the validation fold, in
 * lines that say so. If both were, the validation fold's lines follow where it misses a target, and
 * those of a fold that misses one come first; where the test fold alone has no verdict, the
 * validation fold's counts, and its lines come first. */
pd_verdict pd_verdict_of_results(const pd_results *results);

/* Says that epoch, threshold or both were chosen on changed images of the validation fold, so its
 * stress test is optimistic. NULL: neither was, there was none, or it is of other data. */
const char *pd_verdict_caveat(const pd_results *results);

#endif
