#include "page_parts.h"

#include "pneumo/base/text.h"

#include <inttypes.h>
#include <math.h>

pd_page_key pd_page_key_of(const char *object, const char *name)
{
    pd_page_key k;
    snprintf(k.text, sizeof k.text, "%.63s.%.31s", object, name);
    return k;
}

void pd_page_put_number(FILE *out, double value, double scale, int decimals, const char *at)
{
    char digits[PD_TEXT_NUMBER];
    if (isfinite(value))
        fprintf(out, "<span data-key=\"%s\" data-value=\"%s\">%.*f</span>", at,
                pd_text_number(digits, value), decimals, scale * value);
    else
        fprintf(out, "<span data-key=\"%s\" data-value=\"null\">–</span>", at);
}

void pd_page_put_percent(FILE *out, double value, const char *at)
{
    pd_page_put_number(out, value, 100, 1, at);
}

void pd_page_put_count(FILE *out, int64_t count, const char *at)
{
    fprintf(out, "<span data-key=\"%s\" data-value=\"%" PRId64 "\">%" PRId64 "</span>", at, count,
            count);
}

void pd_page_put_interval(FILE *out, const pd_figure *figure, const char *at)
{
    pd_page_put_percent(out, figure->low, pd_page_key_of(at, "low").text);
    fputs(isfinite(figure->low) ? "–" : " ", out);
    pd_page_put_percent(out, figure->high, pd_page_key_of(at, "high").text);
}

void pd_page_open_table(FILE *out, const char *const *columns)
{
    fputs("<table>\n<thead><tr><td></td>", out);
    for (; *columns != NULL; columns++)
        fprintf(out, "<th scope=\"col\">%s</th>", *columns);
    fputs("</tr></thead>\n", out);
}

const char *const pd_page_figure_columns[] = {"%", "95&nbsp;% interval", NULL};

void pd_page_open_figure_row(FILE *out, const char *title, const pd_figure *figure, const char *at)
{
    fprintf(out, "<tr><th scope=\"row\">%s</th><td><b>", title);
    pd_page_put_percent(out, figure->value, pd_page_key_of(at, "value").text);
    fputs("</b></td><td>", out);
    pd_page_put_interval(out, figure, at);
    fputs("</td>", out);
}

const char *pd_page_known(const char *text)
{
    return text != NULL ? text : "unknown";
}
