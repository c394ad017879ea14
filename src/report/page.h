/* report.html: a run as a page of one file. */
#ifndef PNEUMO_REPORT_PAGE_H
#define PNEUMO_REPORT_PAGE_H

#include "pneumo/evaluate/results.h"
#include "pneumo/io/dataset.h"

/* A misclassified image. */
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
    const pd_page_mistake *mistakes; /* most confident first */
    int mistake_count;
} pd_page;

/* Writes the page with pd_output_write: without scripts and requests, all texts escaped, plots as
 * SVG. The figures in the tables carry their keys in report.json and their digits there:
 * data-key="folds.test.chosen.auc.value" data-value="0.98". Texts may hold any bytes; NULL shows as
 * "unknown", an undefined number as a dash. Fails when memory runs out or the file cannot be
 * written. */
pd_status pd_page_write(const char *path, const pd_page *page);

#endif
