/* Standard output as a screen: a text that is drawn again in place. */
#ifndef PNEUMO_BASE_SCREEN_H
#define PNEUMO_BASE_SCREEN_H

#include <stdbool.h>

typedef struct pd_screen {
    bool redraws; /* standard output is a terminal on which lines can be replaced */
    bool unicode; /* the locale's characters are UTF-8 */
    bool colour;  /* redraws, and NO_COLOR is not set (no-color.org) */
    int width, height;
    int drawn; /* rows of the text that is visible */
} pd_screen;

/* Looks at standard output and the environment (TERM, NO_COLOR, LC_ALL, LC_CTYPE, LANG). */
pd_screen pd_screen_open(void);

/* Updates width and height, which change with the window: 80 x 24 if unknown. */
void pd_screen_measure(pd_screen *screen);

/* Draws a text of whole lines in place of the last one; lines beyond the height are not shown. Only
 * if the screen redraws. No line may be wider than the screen. */
void pd_screen_draw(pd_screen *screen, const char *text);

#endif
