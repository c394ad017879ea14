#include "stress_chart.h"

#include "html.h"
#include "svg.h"

#include <math.h>

/* In units of the view box, which are about points on a phone. */
static const double width = 440, left = 134, right = 360, row_height = 15, head = 36, foot = 34;
static const double nudge = 2.6; /* offset of both marks of a row from its middle */

typedef struct pd_stress_drawing {
    FILE *out;
    const pd_stress *stress;
    pd_targets targets;
    double low; /* left end of the axis; the right end is 1 */
    double y;   /* the middle of the current row */
} pd_stress_drawing;

typedef enum kind { SENSITIVITY, SPECIFICITY } kind;

static const struct {
    const char *name, *colour;
    double nudge;
} kinds[] = {{"sensitivity", "first", -1}, {"specificity", "second", 1}};

static double target_of(const pd_stress_drawing *drawing, kind of)
{
    return of == SENSITIVITY ? drawing->targets.sensitivity : drawing->targets.specificity;
}

/* The multiple of 0.1 below all drawn values. */
static double find_low(const pd_stress *stress, pd_targets targets)
{
    double low = fmin(0.8, fmin(targets.sensitivity, targets.specificity));
    for (int i = 0; i < PD_STRESS_ROWS; i++) {
        low = fmin(low, stress->rows[i].metrics.sensitivity.low); /* fmin ignores NAN */
        low = fmin(low, stress->rows[i].metrics.specificity.low);
    }
    return fmax(0, floor(10 * low) / 10);
}

static double place(const pd_stress_drawing *drawing, double share)
{
    return left + (right - left) * (share - drawing->low) / (1 - drawing->low);
}

/* A filled diamond or an open square, which differ without colour too. */
static void draw_symbol(FILE *out, kind of, double x, double y)
{
    if (of == SENSITIVITY)
        fprintf(out,
                "<polygon points=\"%.1f,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f\" "
                "fill=\"var(--plot-first)\"/>\n",
                x - 3.6, y, x, y - 3.6, x + 3.6, y, x, y + 3.6);
    else
        fprintf(out,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"5\" height=\"5\" fill=\"var(--ground)\" "
                "stroke=\"var(--plot-second)\" stroke-width=\"1.4\"/>\n",
                x - 2.5, y - 2.5);
}

static void draw_figure(const pd_stress_drawing *drawing, const pd_figure *figure, kind of)
{
    char attributes[64];
    double y = drawing->y + kinds[of].nudge * nudge;
    if (!isfinite(figure->value))
        return;
    snprintf(attributes, sizeof attributes, "stroke=\"var(--plot-%s)\" stroke-width=\"1.2\"",
             kinds[of].colour);
    pd_svg_line(drawing->out, place(drawing, figure->low), y, place(drawing, figure->high), y,
                attributes);
    draw_symbol(drawing->out, of, place(drawing, figure->value), y);
}

static void shade_row(const pd_stress_drawing *drawing, int number)
{
    if (pd_verdict_misses(&drawing->stress->rows[number], drawing->targets))
        fprintf(drawing->out,
                "<rect x=\"0\" y=\"%.1f\" width=\"%.0f\" height=\"%.0f\" fill=\"var(--wrong)\"/>\n",
                drawing->y - row_height / 2, width, row_height);
}

static void draw_row(const pd_stress_drawing *drawing, int number)
{
    const pd_stress_row *row = &drawing->stress->rows[number];
    bool worst = number == drawing->stress->worst;
    char area[16] = "";
    const char *weight = worst ? "font-weight=\"700\"" : "";
    pd_svg_text(drawing->out, 8, drawing->y + 3.4, weight, pd_stress_name(row));
    draw_figure(drawing, &row->metrics.sensitivity, SENSITIVITY);
    draw_figure(drawing, &row->metrics.specificity, SPECIFICITY);
    if (isfinite(row->metrics.auc.value))
        snprintf(area, sizeof area, "%.3f", row->metrics.auc.value);
    pd_svg_text(drawing->out, right + 8, drawing->y + 3.4, weight, area);
    if (worst)
        pd_svg_text(drawing->out, right + 44, drawing->y + 3.4, weight, "worst");
}

/* Grid lines, with their numbers at the bottom. */
static void draw_axis(const pd_stress_drawing *drawing, double bottom)
{
    char text[16];
    int step = drawing->low < 0.45 ? 20 : 10;
    for (int percent = 100; percent >= 100 * drawing->low - 1e-9; percent -= step) {
        double x = place(drawing, percent / 100.0);
        pd_svg_line(drawing->out, x, head - 6, x, bottom, "stroke=\"var(--plot-grid)\"");
        snprintf(text, sizeof text, "%d", percent);
        pd_svg_text(drawing->out, x, bottom + 11, "text-anchor=\"middle\"", text);
    }
    pd_svg_text(drawing->out, (left + right) / 2, bottom + 25, "text-anchor=\"middle\"",
                "% of images classified correctly");
}

/* A line through all rows at each target, with its number at the top. */
static void draw_targets(const pd_stress_drawing *drawing, double bottom)
{
    for (kind of = SENSITIVITY; of <= SPECIFICITY; of++) {
        char text[32], attributes[96];
        double x = place(drawing, target_of(drawing, of)), y = head - (of == SENSITIVITY ? 20 : 8);
        snprintf(attributes, sizeof attributes,
                 "stroke=\"var(--plot-%s)\" stroke-width=\"1.2\" stroke-dasharray=\"%s\"",
                 kinds[of].colour, of == SENSITIVITY ? "6 3" : "2 2");
        pd_svg_line(drawing->out, x, y - 8, x, bottom, attributes);
        snprintf(text, sizeof text, "%s %g %%", of == SENSITIVITY ? "sens." : "spec.",
                 100 * target_of(drawing, of));
        pd_svg_text(drawing->out, x - 4, y, "text-anchor=\"end\"", text);
    }
}

/* The middle of the line of a family's title; its rows are below. */
static double title_place(int family)
{
    int lines = 1;
    for (int i = 0; i < PD_CHANGES; i++)
        lines += (int)pd_changes[i].family < family;
    return head + row_height * (lines + family + 0.5);
}

static void draw_titles(const pd_stress_drawing *drawing)
{
    for (int family = 0; family < PD_CHANGE_FAMILIES; family++)
        pd_svg_text(drawing->out, 0, title_place(family) + 4.4, "font-style=\"italic\"",
                    pd_change_family_names[family]);
}

/* Draws every row: the unchanged images first, then family by family. */
static void draw_rows(pd_stress_drawing *drawing,
                      void (*draw)(const pd_stress_drawing *drawing, int number))
{
    drawing->y = head + row_height / 2;
    draw(drawing, 0);
    for (int family = 0; family < PD_CHANGE_FAMILIES; family++) {
        drawing->y = title_place(family);
        for (int i = 1; i < PD_STRESS_ROWS; i++) {
            if ((int)pd_changes[drawing->stress->rows[i].change].family != family)
                continue;
            drawing->y += row_height;
            draw(drawing, i);
        }
    }
}

static void write_legend(FILE *out)
{
    fputs("<ul class=\"legend\">", out);
    for (kind of = SENSITIVITY; of <= SPECIFICITY; of++) {
        fputs("<li><svg class=\"symbol\" viewBox=\"0 0 24 10\" role=\"img\" aria-label=\"mark\">",
              out);
        fprintf(out, "<polyline points=\"1,5 23,5\" fill=\"none\" stroke=\"var(--plot-%s)\"/>",
                kinds[of].colour);
        draw_symbol(out, of, 12, 5);
        fprintf(out, "</svg>%s, 95 %% interval</li>", kinds[of].name);
    }
    fputs("<li>dashed: their targets</li><li>shaded: below a target</li></ul>\n", out);
}

void pd_stress_chart_write(FILE *out, const pd_stress *stress, pd_targets targets)
{
    bool known = stress->worst != PD_STRESS_NO_ROW;
    pd_stress_drawing drawing = {
        .out = out, .stress = stress, .targets = targets, .low = find_low(stress, targets)};
    double bottom = head + row_height * (PD_STRESS_ROWS + PD_CHANGE_FAMILIES);
    fputs("<figure class=\"stress\">\n", out);
    pd_html_element(out, "h4", "Sensitivity and specificity under each change");
    char description[256];
    snprintf(description, sizeof description,
             "Sensitivity and specificity under each of %d changes%s%s. The table below has the "
             "numbers.",
             PD_CHANGES, known ? "; worst: images " : "",
             known ? pd_stress_phrase(&stress->rows[stress->worst]) : "");
    pd_svg_begin(out, width, bottom + foot, description);
    fputs("<g font-size=\"10\">\n", out);
    pd_svg_text(out, right + 8, head - 8, "", "AUC");
    draw_rows(&drawing, shade_row);
    draw_axis(&drawing, bottom);
    draw_targets(&drawing, bottom);
    draw_titles(&drawing);
    draw_rows(&drawing, draw_row);
    fputs("</g>", out);
    pd_svg_end(out);
    write_legend(out);
    fputs("</figure>\n", out);
}
