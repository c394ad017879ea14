#include "text_plot.h"

#include "pneumo/base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns of the axis' numbers: "0.6931 ". A cell has 2 x 4 dots of Braille, or is one character.
 */
enum { AXIS = 7, DOTS_X = 2, DOTS_Y = 4 };

static const char *const colours[PD_TEXT_PLOT_SERIES] = {"\033[36m", "\033[33m"};
static const char plain[] = "\033[0m";

/* Which dots of a cell each series has: bit y * DOTS_X + x. */
typedef struct canvas {
    int width, height; /* in cells */
    int dots_x, dots_y;
    unsigned char cells[PD_TEXT_PLOT_SERIES][PD_TEXT_PLOT_ROWS][PD_TEXT_PLOT_COLUMNS];
} canvas;

static void set_dot(canvas *c, int series, int x, int y)
{
    int column = x / c->dots_x, row = y / c->dots_y;
    if (x < 0 || y < 0 || column >= c->width || row >= c->height)
        return;
    c->cells[series][row][column] |=
        (unsigned char)(1u << (y % c->dots_y * c->dots_x + x % c->dots_x));
}

/* A line between two dots, without gaps. */
static void draw_line(canvas *c, int series, const int from[2], const int to[2])
{
    int steps = pd_max_int(pd_max_int(abs(to[0] - from[0]), abs(to[1] - from[1])), 1);
    for (int i = 0; i <= steps; i++)
        set_dot(c, series, from[0] + (to[0] - from[0]) * i / steps,
                from[1] + (to[1] - from[1]) * i / steps);
}

/* The range of all values; false if there is none. */
static bool find_range(const pd_text_plot *plot, double *low, double *high)
{
    *low = (double)INFINITY;
    *high = -(double)INFINITY;
    for (int s = 0; s < plot->series_count; s++)
        for (int i = 0; i < plot->count; i++)
            if (isfinite(plot->series[s].values[i])) {
                *low = fmin(*low, plot->series[s].values[i]);
                *high = fmax(*high, plot->series[s].values[i]);
            }
    return *low <= *high;
}

static void draw_series(canvas *c, const pd_text_plot *plot, int series, double low, double high)
{
    int last[2] = {-1, -1}, right = c->width * c->dots_x - 1, bottom = c->height * c->dots_y - 1;
    int first = plot->epochs[0], span = plot->epochs[plot->count - 1] - first;
    for (int i = 0; i < plot->count; i++) {
        double value = plot->series[series].values[i];
        if (!isfinite(value)) {
            last[0] = -1;
            continue;
        }
        double height = high > low ? (value - low) / (high - low) : 0.5;
        int at[2] = {span == 0 ? 0 : (int)((double)(plot->epochs[i] - first) / span * right + 0.5),
                     (int)((1 - height) * bottom + 0.5)};
        draw_line(c, series, last[0] < 0 ? at : last, at);
        memcpy(last, at, sizeof last);
    }
}

/* Appends text to a line that holds less than PD_TEXT_PLOT_BYTES. */
static void append(char *line, const char *text)
{
    size_t used = strlen(line);
    snprintf(line + used, PD_TEXT_PLOT_BYTES - used, "%s", text);
}

/* The character of a cell, and its series; Braille patterns are U+2800 and a bit per dot. */
static void append_cell(char *line, const canvas *c, int row, int column,
                        const pd_text_style *style)
{
    static const unsigned char braille[] = {0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80};
    static const char *const ascii[] = {" ", "*", "o", "@"};
    static const char *const shapes[] = {" ", "\u2022", "\u25cb", "\u25c9"};
    int first = c->cells[0][row][column], second = c->cells[1][row][column];
    int which = (first != 0) + 2 * (second != 0), pattern = 0;
    char text[4] = {0};
    if (c->dots_x == 1 || which == 0) {
        append(line, style->unicode ? shapes[which] : ascii[which]);
        return;
    }
    for (int bit = 0; bit < DOTS_X * DOTS_Y; bit++)
        if (((first | second) >> bit & 1) != 0)
            pattern |= braille[bit];
    text[0] = (char)0xe2;
    text[1] = (char)(0xa0 | pattern >> 6);
    text[2] = (char)(0x80 | (pattern & 0x3f));
    append(line, style->colour ? colours[second != 0] : "");
    append(line, text);
    append(line, style->colour ? plain : "");
}

/* "loss: * train  o validation", cut to the width and filled up. */
static void draw_title(char *line, const pd_text_plot *plot, const canvas *c,
                       const pd_text_style *style)
{
    static const char *const ascii[] = {"* ", "o "}, *const shapes[] = {"\u2022 ", "\u25cb "};
    char text[PD_TEXT_PLOT_COLUMNS + 1];
    int used = snprintf(text, sizeof text, "%-*s%.*s", pd_min_int(AXIS, style->width), "",
                        style->width - AXIS, plot->title);
    line[0] = '\0';
    append(line, text);
    for (int i = 0; i < plot->series_count && plot->series_count > 1; i++) {
        int length = (int)strlen(plot->series[i].name) + 2 + (c->dots_x == 1 ? 2 : 0);
        if (used + length > style->width)
            break;
        append(line, "  ");
        append(line, style->colour ? colours[i] : "");
        append(line, c->dots_x > 1 ? "" : style->unicode ? shapes[i] : ascii[i]);
        append(line, plot->series[i].name);
        append(line, style->colour ? plain : "");
        used += length;
    }
    snprintf(text, sizeof text, "%*s", pd_max_int(style->width - used, 0), "");
    append(line, text);
}

/* "       1              24" */
static void draw_epochs(char *line, const pd_text_plot *plot, const pd_text_style *style)
{
    char first[16], last[16];
    snprintf(first, sizeof first, "%d", plot->epochs[0]);
    snprintf(last, sizeof last, "%d", plot->epochs[plot->count - 1]);
    int room = style->width - AXIS - (int)strlen(first);
    bool both = plot->count > 1 && room > (int)strlen(last);
    snprintf(line, PD_TEXT_PLOT_BYTES, "%*s%s%*s", AXIS, "", first, room, both ? last : "");
}

static void draw_row(char *line, const canvas *c, int row, double value, const pd_text_style *style)
{
    char number[32] = "";
    line[0] = '\0';
    if (isfinite(value))
        snprintf(number, sizeof number, fabs(value) < 10 ? "%.4f" : "%.4g", value);
    char label[AXIS + 1];
    snprintf(label, sizeof label, "%*.*s ", AXIS - 1, AXIS - 1, number);
    append(line, label);
    for (int column = 0; column < c->width; column++)
        append_cell(line, c, row, column, style);
}

void pd_text_plot_draw(char lines[PD_TEXT_PLOT_ROWS][PD_TEXT_PLOT_BYTES], const pd_text_plot *plot,
                       const pd_text_style *style)
{
    double low = 0, high = 0;
    canvas c = {.width = style->width - AXIS, .height = style->height - 2};
    /* Two curves of dots can be told apart by their colours only. */
    bool braille = style->unicode && (style->colour || plot->series_count == 1);
    c.dots_x = braille ? DOTS_X : 1;
    c.dots_y = braille ? DOTS_Y : 1;
    bool any = plot->count > 0 && find_range(plot, &low, &high);
    draw_title(lines[0], plot, &c, style);
    for (int s = 0; s < plot->series_count && any; s++)
        draw_series(&c, plot, s, low, high);
    for (int row = 0; row < c.height; row++) {
        double value = !any                                ? (double)NAN
                       : row == 0                          ? high
                       : row + 1 == c.height && high > low ? low
                                                           : (double)NAN;
        draw_row(lines[row + 1], &c, row, value, style);
    }
    if (any)
        draw_epochs(lines[style->height - 1], plot, style);
    else
        snprintf(lines[style->height - 1], PD_TEXT_PLOT_BYTES, "%*s%-*.*s", AXIS, "",
                 style->width - AXIS, style->width - AXIS, "no epoch yet");
}
