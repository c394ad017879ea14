/* A comparison as a table: as text, CSV or HTML. */
#ifndef PNEUMO_REPORT_TABLE_H
#define PNEUMO_REPORT_TABLE_H

#include "pneumo/report/compare.h"

#include <stdio.h>

/* A line per run, '*' before the best figure of each column, and the sentences below. */
void pd_table_print(FILE *out, const pd_comparison *comparison);

/* Both with pd_output_write. CSV (RFC 4180): a header and a row per run; figures have a column each
 * for value, low and high; numbers read back to the same bits; unknown figures are empty. */
pd_status pd_table_write_csv(const char *path, const pd_comparison *comparison);
pd_status pd_table_write_html(const char *path, const pd_comparison *comparison);

#endif
