#include "pneumo/base/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

/* The first of these that is not empty names the locale (POSIX, 8.2). */
static bool is_unicode(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *locale = setting(names[i]);
        if (locale[0] != '\0')
            return strcasestr(locale, "utf-8") != NULL || strcasestr(locale, "utf8") != NULL;
    }
    return false;
}

pd_screen pd_screen_open(void)
{
    const char *type = setting("TERM");
    bool redraws = isatty(STDOUT_FILENO) && type[0] != '\0' && strcmp(type, "dumb") != 0;
    pd_screen screen = {.redraws = redraws,
                        .unicode = is_unicode(),
                        .colour = redraws && setting("NO_COLOR")[0] == '\0'};
    pd_screen_measure(&screen);
    return screen;
}

void pd_screen_measure(pd_screen *screen)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    screen->width = known && size.ws_col > 0 ? size.ws_col : 80;
    screen->height = known && size.ws_row > 0 ? size.ws_row : 24;
}

void pd_screen_draw(pd_screen *screen, const char *text)
{
    int rows = 0;
    if (screen->drawn > 0)
        printf("\033[%dA", screen->drawn);
    /* The cursor stays below the text, so that row is free. */
    for (; *text != '\0' && rows + 1 < screen->height; rows++) {
        int length = (int)strcspn(text, "\n");
        printf("\r%.*s\033[K\n", length, text);
        text += length + (text[length] == '\n');
    }
    fputs("\033[J", stdout);
    fflush(stdout);
    screen->drawn = rows;
}
