#include "plot.h"

#include "svg.h"

#include <math.h>

/* In points, the unit of the view box. Small, so that text stays readable on a phone. */
static const double width = 320, height = 270;
static const double left = 64, right = 313.6, top = 8.1, bottom = 218.7; /* of the axes */
static const double text_size = 12, tick_length = 2.7, dot_radius = 3.5;
static const double text_drop = 4.8; /* from the middle of a line of text to its baseline */

const char *const pd_plot_colour_names[PD_PLOT_COLOURS] = {
    "ink", "grid", "band", "muted", "first", "second", "third", "fourth",
};

/* The fraction of the way along the axis at which a value lies; NAN where the axis has no place for
 * it. Values far outside are brought nearer, so that differences between them stay finite. */
static double fraction(const pd_plot_axis *axis, double value)
{
    double low = axis->low, high = axis->high;
    if (axis->logarithmic) {
        low = log10(low);
        high = log10(high);
        value = log10(value);
    }
    return isfinite(value) ? fmin(fmax((value - low) / (high - low), -1e3), 1e3) : (double)NAN;
}

/* The point in units of the view box. */
static pd_plot_point place(const pd_plot *plot, pd_plot_point point)
{
    return (pd_plot_point){left + (right - left) * fraction(&plot->x, point.x),
                           bottom - (bottom - top) * fraction(&plot->y, point.y)};
}

static bool is_finite(pd_plot_point point)
{
    return isfinite(point.x) && isfinite(point.y);
}

static bool is_inside(pd_plot_point point)
{
    const double rounding = 1e-6;
    return point.x >= left - rounding && point.x <= right + rounding && point.y >= top - rounding &&
           point.y <= bottom + rounding;
}

/* --- Marks --- */

/* Narrows [*begin, *end], the visible part of a segment from 0 to 1, to where from + t * change >=
 * limit (Liang and Barsky, ACM Transactions on Graphics 3, 1984). */
static void clip_against(double from, double change, double limit, double *begin, double *end)
{
    double at = (limit - from) / change;
    if (change > 0)
        *begin = fmax(*begin, at);
    else if (change < 0)
        *end = fmin(*end, at);
    else if (from < limit)
        *end = -1;
}

/* Clips the segment from *a to *b to the axes; returns whether any of it is inside. */
static bool clip(pd_plot_point *a, pd_plot_point *b)
{
    double begin = 0, end = 1, dx = b->x - a->x, dy = b->y - a->y;
    clip_against(a->x, dx, left, &begin, &end);
    clip_against(-a->x, -dx, -right, &begin, &end);
    clip_against(a->y, dy, top, &begin, &end);
    clip_against(-a->y, -dy, -bottom, &begin, &end);
    if (begin > end)
        return false;
    pd_plot_point start = *a;
    if (begin > 0)
        *a = (pd_plot_point){start.x + begin * dx, start.y + begin * dy};
    if (end < 1)
        *b = (pd_plot_point){start.x + end * dx, start.y + end * dy};
    return true;
}

/* A polyline per run of segments that are inside and joined. */
static void draw_line(FILE *out, const pd_plot *plot, const pd_plot_mark *mark)
{
    bool open = false;
    for (size_t i = 0; i + 1 < mark->count; i++) {
        pd_plot_point a = place(plot, mark->points[i]), b = place(plot, mark->points[i + 1]);
        bool joined = open && is_inside(a);
        bool drawn = is_finite(a) && is_finite(b) && clip(&a, &b);
        if (open && !(drawn && joined)) {
            fputs("\"/>\n", out);
            open = false;
        }
        if (!drawn)
            continue;
        if (!open)
            fprintf(out,
                    "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"var(--plot-%s)\"%s "
                    "points=\"%.2f,%.2f",
                    pd_plot_colour_names[mark->colour],
                    mark->shape == PD_PLOT_DASHES ? " stroke-dasharray=\"3.5 3\"" : "", a.x, a.y);
        fprintf(out, " %.2f,%.2f", b.x, b.y);
        open = true;
    }
    if (open)
        fputs("\"/>\n", out);
}

static void draw_dots(FILE *out, const pd_plot *plot, const pd_plot_mark *mark)
{
    for (size_t i = 0; i < mark->count; i++) {
        pd_plot_point at = place(plot, mark->points[i]);
        if (is_inside(at)) /* false for NAN */
            fprintf(out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%g\" fill=\"var(--plot-%s)\"/>\n",
                    at.x, at.y, dot_radius, pd_plot_colour_names[mark->colour]);
    }
}

static void draw_boxes(FILE *out, const pd_plot *plot, const pd_plot_mark *mark)
{
    for (size_t i = 0; i + 1 < mark->count; i += 2) {
        pd_plot_point a = place(plot, mark->points[i]), b = place(plot, mark->points[i + 1]);
        if (!is_finite(a) || !is_finite(b))
            continue;
        double x1 = fmax(fmin(a.x, b.x), left), x2 = fmin(fmax(a.x, b.x), right);
        double y1 = fmax(fmin(a.y, b.y), top), y2 = fmin(fmax(a.y, b.y), bottom);
        if (x1 < x2 && y1 < y2)
            fprintf(out,
                    "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
                    "fill=\"var(--plot-%s)\"/>\n",
                    x1, y1, x2 - x1, y2 - y1, pd_plot_colour_names[mark->colour]);
    }
}

/* --- Axes --- */

typedef struct ticks {
    double first, step; /* of a logarithmic axis: exponents of 10 */
    int count, decimals;
} ticks;

/* A linear axis has a tick at multiples of 1, 2 or 5 times a power of 10, three to eight of them; a
 * logarithmic one at powers of 10, eleven at most. */
static ticks choose_ticks(const pd_plot_axis *axis)
{
    double low = axis->logarithmic ? log10(axis->low) : axis->low;
    double high = axis->logarithmic ? log10(axis->high) : axis->high, range = high - low;
    double power = pow(10, floor(log10(range))), part = range / power;
    ticks out = {.step = power * (part > 6 ? 2 : part > 3 ? 1 : part > 1.5 ? 0.5 : 0.2)};
    if (axis->logarithmic)
        out.step = fmax(1, ceil(range / 10));
    double first = ceil(low / out.step - 1e-9), last = floor(high / out.step + 1e-9);
    out.first = first * out.step;
    out.count = last < first ? 0 : (int)(last - first) + 1;
    out.decimals = (int)fmax(0, -floor(log10(out.step) + 1e-9));
    return out;
}

static double tick_value(const pd_plot_axis *axis, const ticks *t, int number)
{
    double at = t->first + number * t->step;
    return axis->logarithmic ? pow(10, at) : at;
}

/* Long numbers get an exponent, so that they fit beside the axis. */
static void print_tick(char *text, size_t size, const pd_plot_axis *axis, const ticks *t,
                       double value)
{
    if (fabs(value) < t->step * 1e-6 && !axis->logarithmic)
        value = 0; /* a sum of steps need not meet it */
    if (axis->logarithmic || t->decimals > 4 || fabs(value) >= 1e5)
        snprintf(text, size, "%.7g", value);
    else
        snprintf(text, size, "%.*f", t->decimals, value);
}

static void draw_axis(FILE *out, const pd_plot *plot, bool across)
{
    static const char grid[] = "stroke=\"var(--plot-grid)\"", ink[] = "stroke=\"var(--plot-ink)\"";
    const pd_plot_axis *axis = across ? &plot->x : &plot->y;
    ticks t = choose_ticks(axis);
    for (int i = 0; i < t.count; i++) {
        char text[32];
        double value = tick_value(axis, &t, i);
        pd_plot_point at = place(
            plot, (pd_plot_point){across ? value : plot->x.low, across ? plot->y.low : value});
        print_tick(text, sizeof text, axis, &t, value);
        if (across) {
            pd_svg_line(out, at.x, bottom, at.x, top, grid);
            pd_svg_line(out, at.x, bottom, at.x, bottom + tick_length, ink);
            pd_svg_text(out, at.x, bottom + 15.9 + text_drop, "text-anchor=\"middle\"", text);
        } else {
            pd_svg_line(out, left, at.y, right, at.y, grid);
            pd_svg_line(out, left - tick_length, at.y, left, at.y, ink);
            pd_svg_text(out, left - 9.1, at.y + text_drop, "text-anchor=\"end\"", text);
        }
    }
}

static void draw_axes(FILE *out, const pd_plot *plot)
{
    static const char ink[] = "stroke=\"var(--plot-ink)\"";
    double middle = (top + bottom) / 2;
    char upright[64];
    draw_axis(out, plot, true);
    draw_axis(out, plot, false);
    pd_svg_line(out, left, bottom, right, bottom, ink);
    pd_svg_line(out, left, top, left, bottom, ink);
    pd_svg_text(out, (left + right) / 2, bottom + 31.7 + text_drop, "text-anchor=\"middle\"",
                plot->x.label);
    snprintf(upright, sizeof upright, "text-anchor=\"middle\" transform=\"rotate(-90 %.1f %.1f)\"",
             18.6 + text_drop, middle);
    pd_svg_text(out, 18.6 + text_drop, middle, upright, plot->y.label);
}

void pd_plot_write(FILE *out, const pd_plot *plot)
{
    pd_svg_begin(out, width, height, plot->description);
    fprintf(out, "<g font-size=\"%g\">\n", text_size);
    draw_axes(out, plot);
    for (size_t i = 0; i < plot->mark_count; i++) {
        const pd_plot_mark *mark = &plot->marks[i];
        if (mark->shape == PD_PLOT_DOTS)
            draw_dots(out, plot, mark);
        else if (mark->shape == PD_PLOT_BOXES)
            draw_boxes(out, plot, mark);
        else
            draw_line(out, plot, mark);
    }
    fputs("</g>", out);
    pd_svg_end(out);
}
