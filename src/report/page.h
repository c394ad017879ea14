/* report.html: one file that shows a run to people. */
#ifndef PNEUMO_REPORT_PAGE_H
#define PNEUMO_REPORT_PAGE_H

#include "pneumo/evaluate/results.h"
#include "pneumo/io/checkpoint.h"
#include "pneumo/io/dataset.h"

/* An image that was decided wrongly. */
typedef struct pd_page_mistake {
    const char *name;
    pd_label label;
    double probability;
    const unsigned char *picture; /* PNG, the image beside its heat map; NULL: none */
    size_t picture_size;          /* bytes */
    double border;                /* share of the heat map's weight near the border; NAN: none */
} pd_page_mistake;

/* All borrowed. */
typedef struct pd_page {
    const pd_results *results;
    const pd_dataset_info *data;
    const pd_history_row *history;
    int history_count;
    const char *job_text;
    const pd_page_mistake *mistakes; /* most confident first */
    int mistake_count;
} pd_page;

/* Writes the page, by pd_file_write: no script, no request to anywhere, every text escaped, vector
 * plots inside. A number that report.json has too carries its place there and its digits:
 * data-key="folds.test.chosen.auc.value" data-value="0.98". Texts may hold any bytes; NULL is
 * "unknown", and what is not defined a dash. Fails when memory runs out, a plot cannot be drawn or
 * the file cannot be written. */
pd_status pd_page_write(const char *path, const pd_page *page);

#endif
