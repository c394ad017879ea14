/* Comparing runs, and whether the differences between the best are more than noise. */
#ifndef PNEUMO_REPORT_COMPARE_H
#define PNEUMO_REPORT_COMPARE_H

#include "pneumo/report/outcome.h"

#include <stdbool.h>

/* How many of the best runs are compared in pairs. */
enum { PD_COMPARISON_FIRST = 3, PD_COMPARISON_LINES = 8 };

typedef struct pd_comparison {
    int count;
    pd_outcome *runs; /* [count], best first */
    char **names;     /* [count]: the job, with the folder where runs share it. UTF-8, one line */
    char *lines[PD_COMPARISON_LINES]; /* plain sentences on the runs, UTF-8 */
    int line_count;
} pd_comparison;

/* Reads report.json of each of folders[count] and sorts the runs by a column, best first: the
 * highest, for parameters and seconds the lowest; unknown figures last.
 *
 * For each pair of the first three, a sentence says by how much AUC (DeLong) and accuracy (exact
 * McNemar, each run at its own threshold) differ on the same test images, from scores.csv, and
 * whether that is more than noise: p below 0.05 after Holm's correction over the pairs. For a pair
 * without scores or with different test images (another data.digest, other ids) it gives that
 * reason. `folders` is borrowed; the caller owns *out.
 *
 * Errors as pd_outcome_read and pd_score_file_read, and scores.csv and report.json of different
 * evaluations. */
pd_status pd_compare(pd_comparison **out, const char *const *folders, int count, pd_column sort);
void pd_comparison_destroy(pd_comparison **comparison);

/* Whether no run has a better figure in that column. False for a single run. */
bool pd_comparison_is_best(const pd_comparison *comparison, int run, pd_column column);

#endif
