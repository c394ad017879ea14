#include "terminal.h"

#include "pneumo/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile bool progress_is_visible; /* read by signal handlers */

/* Not a terminal of which nothing is known, such as one inside an editor. */
bool pd_terminal_is_interactive(void)
{
    const char *type = getenv("TERM");
    return isatty(STDERR_FILENO) && type != NULL && type[0] != '\0' && strcmp(type, "dumb") != 0;
}

int pd_terminal_width(void)
{
    enum { USUAL = 80 };
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : USUAL;
}

/* The lock of stderr, which a thread can take again, covers progress_is_visible, too. */

void pd_terminal_write_line(const char *line, size_t size)
{
    flockfile(stderr);
    pd_terminal_clear_progress();
    fwrite(line, 1, size, stderr);
    fflush(stderr);
    funlockfile(stderr);
}

void pd_terminal_show_progress(const char *text)
{
    flockfile(stderr);
    /* A character in the last column would move the cursor to the next row on some terminals. */
    fprintf(stderr, "\r\033[K%.*s", (int)pd_text_fit(text, pd_terminal_width() - 1), text);
    fflush(stderr);
    progress_is_visible = true;
    funlockfile(stderr);
}

void pd_terminal_clear_progress(void)
{
    flockfile(stderr);
    if (progress_is_visible)
        fputs("\r\033[K", stderr);
    progress_is_visible = false;
    funlockfile(stderr);
}

/* Takes no lock: the thread that it interrupts may have it. */
void pd_terminal_write_from_handler(const char *line)
{
    static const char clear[] = "\r\033[K";
    struct iovec parts[3] = {{(void *)clear, progress_is_visible ? strlen(clear) : 0},
                             {(void *)line, strlen(line)},
                             {(void *)"\n", 1}};
    /* There is nobody to tell of a failure. */
    if (writev(STDERR_FILENO, parts, 3) < 0)
        return;
}
