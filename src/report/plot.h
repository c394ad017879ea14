/* Plots with axes, as SVG inside of a page. */
#ifndef PNEUMO_REPORT_PLOT_H
#define PNEUMO_REPORT_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Colours that the page's style defines for light and dark: --plot-ink, ... */
typedef enum pd_plot_colour {
    PD_PLOT_INK,   /* axes and text */
    PD_PLOT_GRID,  /* grid lines */
    PD_PLOT_BAND,  /* areas in the background */
    PD_PLOT_MUTED, /* reference lines */
    PD_PLOT_FIRST,
    PD_PLOT_SECOND,
    PD_PLOT_THIRD,
    PD_PLOT_FOURTH,
    PD_PLOT_COLOURS
} pd_plot_colour;

/* "ink", "grid", ... */
extern const char *const pd_plot_colour_names[PD_PLOT_COLOURS];

typedef enum pd_plot_shape {
    PD_PLOT_LINE,   /* through the points; interrupted where one is not finite */
    PD_PLOT_DASHES, /* the same, dashed */
    PD_PLOT_DOTS,   /* one at each finite point */
    PD_PLOT_BOXES   /* filled; points 0 and 1, 2 and 3, ... are opposite corners */
} pd_plot_shape;

typedef struct pd_plot_point {
    double x, y;
} pd_plot_point;

typedef struct pd_plot_mark {
    pd_plot_shape shape;
    pd_plot_colour colour;
    const pd_plot_point *points;
    size_t count;
} pd_plot_mark;

/* An axis from low to high, low < high; logarithmic only with low > 0. */
typedef struct pd_plot_axis {
    const char *label;
    double low, high;
    bool logarithmic;
} pd_plot_axis;

typedef struct pd_plot {
    const char *description; /* for readers who cannot see the plot */
    pd_plot_axis x, y;
    const pd_plot_mark *marks; /* drawn in this order */
    size_t mark_count;
} pd_plot;

/* Writes the plot as one <svg> element with a view box, without size, ids and requests. Lines and
 * boxes are clipped to the axes; dots outside of them are left out. */
void pd_plot_write(FILE *out, const pd_plot *plot);

#endif
