/* Writing HTML: pages of one file that run nothing and ask nothing of anywhere. */
#ifndef PNEUMO_REPORT_HTML_H
#define PNEUMO_REPORT_HTML_H

#include <stddef.h>
#include <stdio.h>

/* Writes all up to the start of the body. `title` is escaped; `style` is CSS that is added to the
 * sheet that all pages share (type, colours for light, dark and print as variables, tables). */
void pd_html_begin(FILE *out, const char *title, const char *style);
void pd_html_end(FILE *out);

/* Writes `text` as text or as the value of an attribute in quotes: it can be no markup. What is not
 * UTF-8 and control characters other than tab and line feed become '?'. */
void pd_html_text(FILE *out, const char *text);

/* The same of a text in printf style, cut at 512 bytes. */
void pd_html_print(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes <tag>text</tag>, with `text` escaped. `tag` is markup, attributes included:
 * "th scope=\"col\"". */
void pd_html_element(FILE *out, const char *tag, const char *text);

/* Writes an image whose PNG is inside the page; `description` is for who cannot see it. */
void pd_html_png(FILE *out, const unsigned char *png, size_t size, const char *description);

#endif
