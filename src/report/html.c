#include "html.h"

#include "pneumo/base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

static const char common_style[] =
    ":root{color-scheme:light dark;--ground:#fff;--ink:#1c2024;--soft:#5f6770;--line:#d9dde1;"
    "--mark:#e8f3ec}\n"
    "@media(prefers-color-scheme:dark){:root{--ground:#15181b;--ink:#e6e8ea;--soft:#9aa3ab;"
    "--line:#343a40;--mark:#1d3527}}\n"
    "@media print{:root{color-scheme:light;--ground:#fff;--ink:#000;--soft:#444;--line:#999;"
    "--mark:#eee}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--ground);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\n"
    "main{max-width:80rem;margin:0 auto;padding:1.5rem 1rem}\n"
    "h1{font-size:1.6rem;line-height:1.2;margin:0 0 .5rem}\n"
    "h2{font-size:1.15rem;margin:2rem 0 .5rem}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);text-align:left;"
    "vertical-align:top}\n";

void pd_html_begin(FILE *out, const char *title, const char *style)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
          out);
    pd_html_element(out, "title", title);
    fprintf(out, "\n<style>\n%s%s</style>\n</head>\n<body>\n<main>\n", common_style, style);
}

void pd_html_end(FILE *out)
{
    fputs("</main>\n</body>\n</html>\n", out);
}

void pd_html_text(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t length = pd_text_character_size(text);
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        case '\t':
        case '\n':
            fputc(*text, out);
            break;
        default:
            if (length == 0 || pd_text_is_control(text))
                fputc('?', out);
            else
                fwrite(text, 1, length, out);
        }
        text += length == 0 ? 1 : length;
    }
}

void pd_html_print(FILE *out, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pd_html_text(out, text);
}

void pd_html_element(FILE *out, const char *tag, const char *text)
{
    fprintf(out, "<%s>", tag);
    pd_html_text(out, text);
    fprintf(out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

/* Base64 (RFC 4648). */
static void write_base64(FILE *out, const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t three = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
                        left > 1 ? digits[three >> 6 & 63] : '=',
                        left > 2 ? digits[three & 63] : '='};
        fwrite(four, 1, sizeof four, out);
    }
}

void pd_html_png(FILE *out, const unsigned char *png, size_t size, const char *description)
{
    fputs("<img alt=\"", out);
    pd_html_text(out, description);
    fputs("\" src=\"data:image/png;base64,", out);
    write_base64(out, png, size);
    fputs("\">", out);
}
