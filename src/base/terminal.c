#include "terminal.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile bool progress_is_visible; /* read by signal handlers */

bool pd_terminal_is_interactive(void)
{
    return isatty(STDERR_FILENO);
}

void pd_terminal_write_line(const char *line, size_t size)
{
    pd_terminal_clear_progress();
    fwrite(line, 1, size, stderr);
    fflush(stderr);
}

void pd_terminal_show_progress(const char *text)
{
    fprintf(stderr, "\r\033[K%s", text);
    fflush(stderr);
    progress_is_visible = true;
}

void pd_terminal_clear_progress(void)
{
    if (!progress_is_visible)
        return;
    fputs("\r\033[K", stderr);
    progress_is_visible = false;
}

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
