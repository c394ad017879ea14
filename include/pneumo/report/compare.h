/* Runs side by side, and whether what sets the best apart is more than noise. */
#ifndef PNEUMO_REPORT_COMPARE_H
#define PNEUMO_REPORT_COMPARE_H

#include "pneumo/report/outcome.h"

#include <stdbool.h>

/* How many of the first runs are compared with each other. */
enum { PD_COMPARISON_FIRST = 3, PD_COMPARISON_LINES = 8 };

typedef struct pd_comparison {
    int count;
    pd_outcome *runs; /* [count], best first */
    char **names;     /* [count]: the job; where runs share it, with the folder. UTF-8, one line */
    char *lines[PD_COMPARISON_LINES]; /* plain sentences on the runs, UTF-8 */
    int line_count;
} pd_comparison;

/* Reads report.json of each of folders[count] and sorts the runs by a column, best first: the
 * highest, but of parameters and seconds the lowest; what is not known last.
 *
 * Of each pair of the first three a sentence says by how much AUC (DeLong) and accuracy (exact
 * McNemar, each run at its own threshold) differ on the same test images, from scores.csv, and
 * whether that is more than noise: p below 0.05 after Holm's correction over the pairs. A pair
 * without common test images (another data.digest, other ids) or scores gets a sentence that says
 * so. `folders` is borrowed; the caller owns *out.
 *
 * Fails as pd_outcome_read and pd_score_file_read do, and when scores.csv and report.json are not
 * of one evaluation. */
pd_status pd_compare(pd_comparison **out, const char *const *folders, int count, pd_column sort);
void pd_comparison_destroy(pd_comparison **comparison);

/* Whether no run has a better figure in that column. False for a single run. */
bool pd_comparison_is_best(const pd_comparison *comparison, int run, pd_column column);

/* out[count]: p[count] corrected for their number by Holm's step-down method (Scandinavian Journal
 * of Statistics 1979). */
void pd_holm(double *out, const double *p, int count);

#endif
