/* What the place can show where text is printed. */
#ifndef PNEUMO_REPORT_TEXT_STYLE_H
#define PNEUMO_REPORT_TEXT_STYLE_H

#include <stdbool.h>

typedef struct pd_text_style {
    int width, height; /* columns and rows */
    bool unicode;      /* Braille dots; else ASCII */
    bool colour;
} pd_text_style;

#endif
