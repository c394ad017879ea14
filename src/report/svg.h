/* Writing SVG inside of a page. Lengths are in units of the view box. `attributes` is markup. */
#ifndef PNEUMO_REPORT_SVG_H
#define PNEUMO_REPORT_SVG_H

#include <stdio.h>

/* Opens an <svg> element with a view box and no size of its own; `description` is escaped and
 * serves readers who cannot see the drawing. */
void pd_svg_begin(FILE *out, double width, double height, const char *description);
void pd_svg_end(FILE *out);

void pd_svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *attributes);

/* Text in the ink colour with its baseline at y; `text` is escaped. */
void pd_svg_text(FILE *out, double x, double y, const char *attributes, const char *text);

#endif
