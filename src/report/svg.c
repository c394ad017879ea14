#include "svg.h"

#include "html.h"

void pd_svg_begin(FILE *out, double width, double height, const char *description)
{
    fprintf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", width, height);
    pd_html_text(out, description);
    fputs("\">\n", out);
}

void pd_svg_end(FILE *out)
{
    fputs("</svg>\n", out);
}

void pd_svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *attributes)
{
    fprintf(out, "<polyline points=\"%.1f,%.1f %.1f,%.1f\" fill=\"none\" %s/>\n", x1, y1, x2, y2,
            attributes);
}

void pd_svg_text(FILE *out, double x, double y, const char *attributes, const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" fill=\"var(--plot-ink)\" %s>", x, y, attributes);
    pd_html_text(out, text);
    fputs("</text>\n", out);
}
