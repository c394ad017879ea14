/* Plots as SVG that goes inside a page, by PLplot. */
#ifndef PNEUMO_REPORT_PLOT_H
#define PNEUMO_REPORT_PLOT_H

#include "pneumo/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Each stands for a colour that the page's style gives, for light and dark: --plot-ink, ... */
typedef enum pd_plot_colour {
    PD_PLOT_INK,   /* axes and text */
    PD_PLOT_GRID,  /* grid lines */
    PD_PLOT_BAND,  /* areas behind the rest */
    PD_PLOT_MUTED, /* what the rest is compared with */
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
    PD_PLOT_DASHES, /* the same */
    PD_PLOT_DOTS,   /* one at each finite point */
    PD_PLOT_BOXES   /* filled, between points 0 and 1, 2 and 3, ... as opposite corners */
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
    const char *label; /* plain ASCII without '#' */
    double low, high;
    bool logarithmic;
} pd_plot_axis;

typedef struct pd_plot {
    const char *description; /* for who cannot see it */
    pd_plot_axis x, y;
    const pd_plot_mark *marks; /* later ones lie over earlier ones */
    size_t mark_count;
} pd_plot;

/* Writes the plot as one <svg> element with a view box, no size, no id and no request. What lies
 * outside of the axes is cut off. Not for two threads at once. Fails when PLplot cannot draw. */
pd_status pd_plot_write(FILE *out, const pd_plot *plot);

#endif
