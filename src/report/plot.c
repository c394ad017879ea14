#include "pneumo/report/plot.h"

#include "pneumo/base/memory.h"
#include "pneumo/report/html.h"

#include <ctype.h>
#include <math.h>
#include <plplot.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* In points, the unit of the view box. Small, so that text stays readable on a phone. */
enum { WIDTH = 320, HEIGHT = 270 };
static const double left = 0.2, right = 0.98, bottom = 0.19, top = 0.97; /* of the axes */
static const double text_millimetres = 3.2;                              /* 12 points */
static const double dot_points = 3;                                      /* radius */

const char *const pd_plot_colour_names[PD_PLOT_COLOURS] = {
    "ink", "grid", "band", "muted", "first", "second", "third", "fourth",
};

/* PLplot ends the process when it cannot go on, unless its handler jumps away. */
static jmp_buf give_up;
static char complaint[256];

static int on_exit_wanted(const char *message)
{
    snprintf(complaint, sizeof(complaint), "%s", message);
    longjmp(give_up, 1);
}

static void on_abort(const char *message)
{
    snprintf(complaint, sizeof(complaint), "%s", message);
}

/* PLplot asks the terminal for another device when it lacks the one it is told to use. */
static bool has_svg(void)
{
    const char *names[64], *devices[64], **all_names = names, **all_devices = devices;
    int count = 64;
    bool found = false;
    plgDevs(&all_names, &all_devices, &count);
    for (int i = 0; i < count; i++)
        found = found || strcmp(devices[i], "svg") == 0;
    return found;
}

static double on_axis(const pd_plot_axis *axis, double value)
{
    return axis->logarithmic ? log10(value) : value;
}

/* Where a value lies, in the axis' own measure; NAN where it has no place. What is far outside is
 * brought nearer, since PLplot counts in whole numbers of small range. */
static double place(const pd_plot_axis *axis, double value)
{
    double low = on_axis(axis, axis->low), high = on_axis(axis, axis->high);
    double at = on_axis(axis, value), far = 10 * (high - low);
    return isfinite(at) ? fmin(fmax(at, low - far), high + far) : (double)NAN;
}

static void draw_line(const double *x, const double *y, size_t count)
{
    for (size_t i = 0; i < count;) {
        size_t run = 0;
        while (i + run < count && isfinite(x[i + run]) && isfinite(y[i + run]))
            run++;
        if (run > 1)
            plline((int)run, x + i, y + i);
        i += run + 1;
    }
}

/* As polygons: PLplot's own circles have hundreds of corners. */
static void draw_dots(const pd_plot *plot, const double *x, const double *y, size_t count)
{
    enum { CORNERS = 16 };
    double x_span = on_axis(&plot->x, plot->x.high) - on_axis(&plot->x, plot->x.low);
    double y_span = on_axis(&plot->y, plot->y.high) - on_axis(&plot->y, plot->y.low);
    double x_radius = dot_points * x_span / ((right - left) * WIDTH);
    double y_radius = dot_points * y_span / ((top - bottom) * HEIGHT);
    for (size_t i = 0; i < count; i++) {
        double x_corners[CORNERS], y_corners[CORNERS];
        for (int c = 0; c < CORNERS; c++) {
            x_corners[c] = x[i] + x_radius * cos(2 * M_PI * c / CORNERS);
            y_corners[c] = y[i] + y_radius * sin(2 * M_PI * c / CORNERS);
        }
        if (isfinite(x[i]) && isfinite(y[i]))
            plfill(CORNERS, x_corners, y_corners);
    }
}

static void draw_boxes(const double *x, const double *y, size_t count)
{
    for (size_t i = 0; i + 1 < count; i += 2)
        if (isfinite(x[i] + x[i + 1]) && isfinite(y[i] + y[i + 1]))
            plfill(4, (double[]){x[i], x[i + 1], x[i + 1], x[i]},
                   (double[]){y[i], y[i], y[i + 1], y[i + 1]});
}

/* x and y: the mark's points in the axes' own measure. */
static void draw_mark(const pd_plot *plot, const pd_plot_mark *mark, const double *x,
                      const double *y)
{
    plcol0(1 + mark->colour);
    plwidth(1.5);
    switch (mark->shape) {
    case PD_PLOT_LINE:
        draw_line(x, y, mark->count);
        break;
    case PD_PLOT_DASHES:
        pllsty(2);
        draw_line(x, y, mark->count);
        pllsty(1);
        break;
    case PD_PLOT_DOTS:
        draw_dots(plot, x, y, mark->count);
        break;
    case PD_PLOT_BOXES:
        draw_boxes(x, y, mark->count);
        break;
    }
}

static void draw_axes(const pd_plot *plot)
{
    plwidth(1);
    plcol0(1 + PD_PLOT_GRID);
    plbox(plot->x.logarithmic ? "gl" : "g", 0, 0, plot->y.logarithmic ? "gl" : "g", 0, 0);
    plcol0(1 + PD_PLOT_INK);
    plsmaj(text_millimetres, 0.3);
    plbox(plot->x.logarithmic ? "bintlf" : "bint", 0, 0, plot->y.logarithmic ? "bintlfv" : "bintv",
          0, 0);
    plmtex("b", 3.5, 0.5, 0.5, plot->x.label);
    plmtex("l", 5, 0.5, 0.5, plot->y.label);
}

/* PLplot's colour 0 is the background. The colours are mere numbers, #000000, #000001, ..., in
 * whose place copy_svg puts the page's. */
static void set_colours(void)
{
    plscmap0n(1 + PD_PLOT_COLOURS);
    for (int i = 0; i <= PD_PLOT_COLOURS; i++)
        plscol0(i, 0, 0, i);
}

/* Draws into `out`, which PLplot closes. x and y: the points of all marks, one mark after another,
 * in the axes' own measure. */
static void draw(FILE *out, const pd_plot *plot, const double *x, const double *y)
{
    plsdev("svg");
    plsfile(out);
    plsetopt("drvopt", "text_clipping=0"); /* clipping would need ids */
    plspage(0, 0, WIDTH, HEIGHT, 0, 0);
    set_colours();
    plinit();
    plschr(text_millimetres, 1);
    pladv(0);
    plvpor(left, right, bottom, top);
    plwind(on_axis(&plot->x, plot->x.low), on_axis(&plot->x, plot->x.high),
           on_axis(&plot->y, plot->y.low), on_axis(&plot->y, plot->y.high));
    draw_axes(plot);
    for (size_t m = 0, at = 0; m < plot->mark_count; at += plot->marks[m++].count)
        draw_mark(plot, &plot->marks[m], x + at, y + at);
    plend();
}

/* Stores at *svg (free(), also after a failure) what PLplot writes. */
static pd_status render(char **svg, const pd_plot *plot, const double *x, const double *y)
{
    size_t size = 0;
    complaint[0] = '\0';
    plsexit(on_exit_wanted);
    plsabort(on_abort);
    if (!has_svg())
        return pd_fail("cannot draw a plot: PLplot has no SVG driver: install PLplot again");
    FILE *out = open_memstream(svg, &size);
    if (!out)
        return pd_fail("cannot draw a plot: out of memory");
    if (setjmp(give_up) == 0)
        draw(out, plot, x, y);
    else
        fclose(out);
    return complaint[0] ? pd_fail("cannot draw a plot: PLplot: %s", complaint) : PD_OK;
}

/* Writes the page's colour instead of the one at `at`; returns what it stands for, or 0. */
static size_t copy_colour(FILE *out, const char *at)
{
    unsigned colour;
    if (sscanf(at, "\"#0000%2X\"", &colour) != 1 || colour > PD_PLOT_COLOURS)
        return 0;
    if (colour == 0)
        fputs("\"none\"", out);
    else
        fprintf(out, "\"var(--plot-%s)\"", pd_plot_colour_names[colour - 1]);
    return strlen("\"#000000\"");
}

/* Copies what is inside of PLplot's <svg> element, in the page's colours and without the blanks
 * that it is indented by. */
static pd_status copy_svg(FILE *out, const char *svg, const char *description)
{
    const char *start = strstr(svg, "<svg");
    const char *inside = start ? strchr(start, '>') : NULL;
    const char *end = inside ? strstr(inside, "</svg>") : NULL;
    if (!end)
        return pd_fail("cannot draw a plot: PLplot wrote no SVG");
    fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    pd_html_text(out, description);
    fputs("\">", out);
    for (const char *at = inside + 1; at < end;) {
        size_t colour = *at == '"' ? copy_colour(out, at) : 0;
        if (colour == 0 && !isspace((unsigned char)*at))
            fputc(*at, out);
        else if (colour == 0 && !isspace((unsigned char)at[-1]))
            fputc(' ', out);
        at += colour > 0 ? colour : 1;
    }
    fputs("</svg>\n", out);
    return PD_OK;
}

pd_status pd_plot_write(FILE *out, const pd_plot *plot)
{
    pd_status status = PD_OK;
    char *svg = NULL;
    size_t count = 0;
    double *x = NULL, *y = NULL;
    for (size_t m = 0; m < plot->mark_count; m++)
        count += plot->marks[m].count;
    PD_TRY(pd_alloc(&x, count, sizeof(*x)));
    PD_TRY(pd_alloc(&y, count, sizeof(*y)));
    for (size_t m = 0, at = 0; m < plot->mark_count; m++)
        for (size_t i = 0; i < plot->marks[m].count; i++, at++) {
            x[at] = place(&plot->x, plot->marks[m].points[i].x);
            y[at] = place(&plot->y, plot->marks[m].points[i].y);
        }
    PD_TRY(render(&svg, plot, x, y));
    PD_TRY(copy_svg(out, svg, plot->description));
cleanup:
    free(svg);
    free(x);
    free(y);
    return status;
}
