/* Runs while they are trained, as text. */
#ifndef PNEUMO_REPORT_WATCH_H
#define PNEUMO_REPORT_WATCH_H

#include "pneumo/report/text_style.h"
#include "pneumo/train/run_view.h"

#include <stdio.h>

/* Prints runs[count] one below the other: what each does and how fast, its last and best epoch, and
 * curves of loss and AUC if there is room. No line is wider than style->width; the runs share
 * style->height rows. */
void pd_watch_print(FILE *out, const pd_run_view *runs, int count, const pd_text_style *style);

/* Prints one line on an epoch, runs[0 <= row < count] of its history; the speed and what is left of
 * a training are those of the present. */
void pd_watch_print_epoch(FILE *out, const pd_run_view *run, int row);

/* Prints one line on what the run does now, or how it ended. */
void pd_watch_print_life(FILE *out, const pd_run_view *run);

#endif
