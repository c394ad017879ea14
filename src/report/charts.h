/* The plots of report.html, each written as a <figure> with its caption and legend. */
#ifndef PNEUMO_REPORT_CHARTS_H
#define PNEUMO_REPORT_CHARTS_H

#include "pneumo/evaluate/results.h"
#include "pneumo/io/checkpoint.h"

#include <stdio.h>

/* Of a fold that is present, with scores of both classes. */
pd_status pd_chart_roc(FILE *out, const pd_results_fold *fold);
pd_status pd_chart_precision_recall(FILE *out, const pd_results_fold *fold);

/* Of a fold that is present; any scores, or none. */
void pd_chart_calibration(FILE *out, const pd_results_fold *fold);
/* The band of doubt is [low, high]; not finite: none. */
void pd_chart_scores(FILE *out, const pd_results_fold *fold, double low, double high);

/* Over at least one epoch; a gap where a figure is NAN. */
pd_status pd_chart_loss(FILE *out, const pd_history_row *history, int count, int64_t weights_epoch);
pd_status pd_chart_validation(FILE *out, const pd_history_row *history, int count,
                              int64_t weights_epoch);

#endif
