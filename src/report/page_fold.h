/* The section of report.html on a fold. */
#ifndef PNEUMO_REPORT_PAGE_FOLD_H
#define PNEUMO_REPORT_PAGE_FOLD_H

#include "pneumo/evaluate/results.h"

#include <stdio.h>

/* Writes nothing for a fold that is not present. `name` is its key in report.json: "val" or "test".
 * Fails when memory runs out. */
pd_status pd_page_write_fold(FILE *out, const pd_results *results, const pd_results_fold *fold,
                             const char *title, const char *name);

/* The tables on the shape and size of the images; `fold_at` is the fold's key in report.json. */
void pd_page_write_shape(FILE *out, const pd_results_fold *fold, const char *fold_at);

/* The section on the stress test of a fold; nothing if there was none. `name` as above. */
void pd_page_write_stress(FILE *out, const pd_results *results, const pd_stress *stress,
                          const char *title, const char *name);

#endif
