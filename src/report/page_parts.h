/* Numbers and tables of report.html.
 *
 * Besides the rounded digits that are shown, a number carries its key in report.json, and the same
 * digits as there, in attributes. `at` is the key of a number or of the object that
 * holds it. */
#ifndef PNEUMO_REPORT_PAGE_PARTS_H
#define PNEUMO_REPORT_PAGE_PARTS_H

#include "pneumo/metrics/metrics.h"

#include <stdio.h>

/* A key of report.json, such as "folds.test.chosen.auc". */
typedef struct pd_page_key {
    char text[96];
} pd_page_key;

/* The key of a member of an object. */
pd_page_key pd_page_key_of(const char *object, const char *name);

/* `scale` * value with `decimals` decimals; a dash when it is not finite. */
void pd_page_put_number(FILE *out, double value, double scale, int decimals, const char *at);
void pd_page_put_percent(FILE *out, double value, const char *at);
void pd_page_put_count(FILE *out, int64_t count, const char *at);

/* The interval of a figure, in percent. */
void pd_page_put_interval(FILE *out, const pd_figure *figure, const char *at);

/* Opens a table with a column of row titles and `columns`, which are markup and end with NULL. */
void pd_page_open_table(FILE *out, const char *const *columns);

/* Columns for rows of pd_page_open_figure_row. */
extern const char *const pd_page_figure_columns[];

/* Opens the row of a figure: title, percent, interval. The caller closes it. */
void pd_page_open_figure_row(FILE *out, const char *title, const pd_figure *figure, const char *at);

/* `text`, or "unknown" for NULL. */
const char *pd_page_known(const char *text);

#endif
