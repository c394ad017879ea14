/* Writing HTML: self-contained pages without scripts and requests. */
#ifndef PNEUMO_REPORT_HTML_H
#define PNEUMO_REPORT_HTML_H

#include <stddef.h>
#include <stdio.h>

/* Writes everything up to the start of the body. `title` is escaped; `style` is CSS that is
 * appended to the style sheet of all pages (fonts, tables, and colours for light, dark and print as
 * variables). */
void pd_html_begin(FILE *out, const char *title, const char *style);
void pd_html_end(FILE *out);

/* Writes `text` escaped, for use as text or as a quoted attribute value. Bytes that are not UTF-8
 * and control characters other than tab and line feed become '?'. */
void pd_html_text(FILE *out, const char *text);

/* The same for a text in printf style, truncated at 512 bytes. */
void pd_html_print(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes <tag>text</tag>, with `text` escaped. `tag` is markup, attributes included:
 * "th scope=\"col\"". */
void pd_html_element(FILE *out, const char *tag, const char *text);

/* Writes an image with its PNG embedded; `description` is its alternative text. */
void pd_html_png(FILE *out, const unsigned char *png, size_t size, const char *description);

#endif
