#include "pneumo/report/table.h"

#include "html.h"
#include "pneumo/base/clock.h"
#include "pneumo/base/text.h"
#include "text_file.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = 64 };

static const char *const titles[PD_COLUMNS] = {
    "accuracy %", "recall %",          "specificity %", "F1 %", "AUC",
    "stress AUC", "stress balanced %", "parameters",    "time", "images/s"};

static const char legend[] =
    "Test fold at the threshold in use, with 95 % intervals; stress: the worst change of "
    "the validation fold's images; * best of its column.";

static bool has_interval(pd_column column)
{
    return column <= PD_COLUMN_AUC;
}

/* Shares are shown in percent, except AUC, which needs more digits. */
static void format_share(char *text, size_t size, pd_column column, double value)
{
    if (column == PD_COLUMN_AUC || column == PD_COLUMN_STRESS_AUC)
        snprintf(text, size, "%.4f", value);
    else
        snprintf(text, size, "%.1f", 100 * value);
}

/* "97.1", "12 min 05 s"; "-" if unknown. */
static void format_value(char text[CELL], const pd_outcome *run, pd_column column)
{
    double value = run->columns[column].value;
    if (isnan(value))
        snprintf(text, CELL, "-");
    else if (column == PD_COLUMN_SECONDS)
        pd_clock_format(text, CELL, value);
    else if (column == PD_COLUMN_PARAMETERS)
        snprintf(text, CELL, "%.0f", value);
    else if (column == PD_COLUMN_IMAGES_PER_SECOND)
        snprintf(text, CELL, "%.1f", value);
    else
        format_share(text, CELL, column, value);
}

/* "94.6-98.4"; empty without an interval. */
static void format_interval(char text[CELL], const pd_outcome *run, pd_column column)
{
    const pd_figure *figure = &run->columns[column];
    char low[CELL / 4], high[CELL / 4];
    text[0] = '\0';
    if (isnan(figure->low) || isnan(figure->high))
        return;
    format_share(low, sizeof low, column, figure->low);
    format_share(high, sizeof high, column, figure->high);
    snprintf(text, CELL, "%s-%s", low, high);
}

/* ---- screen ---- */

/* "*97.1 (94.6-98.4)" */
static void format_cell(char text[CELL], const pd_comparison *comparison, int run, pd_column column)
{
    char value[CELL], interval[CELL];
    format_value(value, &comparison->runs[run], column);
    format_interval(interval, &comparison->runs[run], column);
    bool bracketed = interval[0] != '\0';
    snprintf(text, CELL, "%s%.20s%s%.32s%s",
             pd_comparison_is_best(comparison, run, column) ? "*" : "", value,
             bracketed ? " (" : "", interval, bracketed ? ")" : "");
}

void pd_table_print(FILE *out, const pd_comparison *comparison)
{
    static const char heading[] = "run";
    char cell[CELL];
    int name_width = (int)strlen(heading), widths[PD_COLUMNS];
    for (int run = 0; run < comparison->count; run++) {
        int width = pd_text_columns(comparison->names[run]);
        name_width = width > name_width ? width : name_width;
    }
    fprintf(out, "%-*s", name_width, heading);
    for (pd_column column = 0; column < PD_COLUMNS; column++) {
        widths[column] = (int)strlen(titles[column]);
        for (int run = 0; run < comparison->count; run++) {
            format_cell(cell, comparison, run, column);
            int width = (int)strlen(cell);
            widths[column] = width > widths[column] ? width : widths[column];
        }
        fprintf(out, "  %*s", widths[column], titles[column]);
    }
    fputc('\n', out);
    for (int run = 0; run < comparison->count; run++) {
        fprintf(out, "%s%*s", comparison->names[run],
                name_width - pd_text_columns(comparison->names[run]), "");
        for (pd_column column = 0; column < PD_COLUMNS; column++) {
            format_cell(cell, comparison, run, column);
            fprintf(out, "  %*s", widths[column], cell);
        }
        fputc('\n', out);
    }
    fprintf(out, "\n%s\n", legend);
    for (int i = 0; i < comparison->line_count; i++)
        fprintf(out, "%s\n", comparison->lines[i]);
}

/* ---- files ---- */

static void put_number(FILE *out, double value)
{
    char number[PD_TEXT_NUMBER];
    fprintf(out, ",%s", isnan(value) ? "" : pd_text_number(number, value));
}

static pd_status put_csv(FILE *out, const void *content)
{
    const pd_comparison *comparison = content;
    fputs("run,job,data_digest", out);
    for (pd_column column = 0; column < PD_COLUMNS; column++) {
        const char *name = pd_column_names[column];
        fprintf(out, ",%s", name);
        if (has_interval(column))
            fprintf(out, ",%s_low,%s_high", name, name);
    }
    fputc('\n', out);
    for (int i = 0; i < comparison->count; i++) {
        const pd_outcome *run = &comparison->runs[i];
        pd_text_write_csv(out, run->folder);
        fputc(',', out);
        pd_text_write_csv(out, run->job);
        fputc(',', out);
        pd_text_write_csv(out, run->digest);
        for (pd_column column = 0; column < PD_COLUMNS; column++) {
            put_number(out, run->columns[column].value);
            if (has_interval(column)) {
                put_number(out, run->columns[column].low);
                put_number(out, run->columns[column].high);
            }
        }
        fputc('\n', out);
    }
    return PD_OK;
}

/* On a narrow screen a run is a block of lines, each with the title of its column. */
static const char style[] =
    "td{text-align:right;white-space:nowrap}\n"
    "thead th{text-align:right;color:var(--soft);font-weight:600;overflow-wrap:normal}\n"
    "th:first-child{text-align:left}\n"
    "tbody th{font-weight:600}\n"
    "td small{display:block;color:var(--soft)}\n"
    "td.best{background:var(--mark);font-weight:700}\n"
    "td.best small{font-weight:400}\n"
    "p,li{max-width:50rem}\n"
    "@media screen and (max-width:60rem){table,tbody,tr,th,td{display:block}thead{display:none}\n"
    "tbody tr{border-top:2px solid var(--line);padding:.5rem 0}tbody th,td{border:0}\n"
    "td::before{content:attr(data-title);float:left;font-weight:400;color:var(--soft)}\n"
    "td small{display:inline;margin-left:.5rem}}\n"
    "@media print{body{font-size:8pt}th,td{padding:.2rem .3rem}}\n";

static void put_html_cell(FILE *out, const pd_comparison *comparison, int run, pd_column column)
{
    char text[CELL];
    bool best = pd_comparison_is_best(comparison, run, column);
    fprintf(out, "<td data-title=\"%s\"%s>", titles[column], best ? " class=\"best\"" : "");
    format_value(text, &comparison->runs[run], column);
    fprintf(out, "%s%s", best ? "* " : "", text);
    format_interval(text, &comparison->runs[run], column);
    if (text[0] != '\0') {
        fputc(' ', out);
        pd_html_element(out, "small", text);
    }
    fputs("</td>\n", out);
}

static pd_status put_html(FILE *out, const void *content)
{
    const pd_comparison *comparison = content;
    char title[CELL];
    snprintf(title, sizeof title, "Comparison of %d run%s", comparison->count,
             pd_text_plural(comparison->count));
    pd_html_begin(out, title, style);
    pd_html_element(out, "h1", title);
    fputs("\n", out);
    pd_html_element(out, "p", legend);
    fputs("\n<table>\n<thead><tr><th>run</th>", out);
    for (pd_column column = 0; column < PD_COLUMNS; column++)
        pd_html_element(out, "th", titles[column]);
    fputs("</tr></thead>\n<tbody>\n", out);
    for (int run = 0; run < comparison->count; run++) {
        fputs("<tr>", out);
        pd_html_element(out, "th", comparison->names[run]);
        fputc('\n', out);
        for (pd_column column = 0; column < PD_COLUMNS; column++)
            put_html_cell(out, comparison, run, column);
        fputs("</tr>\n", out);
    }
    fputs("</tbody>\n</table>\n", out);
    if (comparison->line_count > 0) {
        fputs("<h2>Is it more than noise?</h2>\n<ul>\n", out);
        for (int i = 0; i < comparison->line_count; i++) {
            pd_html_element(out, "li", comparison->lines[i]);
            fputc('\n', out);
        }
        fputs("</ul>\n", out);
    }
    pd_html_end(out);
    return PD_OK;
}

pd_status pd_table_write_csv(const char *path, const pd_comparison *comparison)
{
    return pd_text_file_write(path, put_csv, comparison);
}

pd_status pd_table_write_html(const char *path, const pd_comparison *comparison)
{
    return pd_text_file_write(path, put_html, comparison);
}
