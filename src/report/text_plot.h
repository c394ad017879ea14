/* Curves over epochs as lines of text. */
#ifndef PNEUMO_REPORT_TEXT_PLOT_H
#define PNEUMO_REPORT_TEXT_PLOT_H

#include "pneumo/report/text_style.h"

enum {
    PD_TEXT_PLOT_ROWS = 24,
    PD_TEXT_PLOT_COLUMNS = 200,
    PD_TEXT_PLOT_BYTES = 4096,
    PD_TEXT_PLOT_SERIES = 2
};

typedef struct pd_text_series {
    const char *name;     /* borrowed */
    const double *values; /* [count] of the plot; NAN: none; borrowed */
} pd_text_series;

typedef struct pd_text_plot {
    const char *title; /* borrowed */
    const int *epochs; /* [count], ascending; borrowed */
    int count;
    int series_count;
    pd_text_series series[PD_TEXT_PLOT_SERIES];
} pd_text_plot;

/* Draws a plot of style->width columns and style->height rows, its title and axis included, into
 * lines[height]: each fills the width, and holds colours only with style->colour. At least 16
 * columns and 5 rows, at most PD_TEXT_PLOT_COLUMNS and PD_TEXT_PLOT_ROWS. */
void pd_text_plot_draw(char lines[PD_TEXT_PLOT_ROWS][PD_TEXT_PLOT_BYTES], const pd_text_plot *plot,
                       const pd_text_style *style);

#endif
